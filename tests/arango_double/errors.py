"""Errors in ArangoDB's shape: an HTTP status, an error number, a text, sometimes a document."""

from collections.abc import Mapping
from typing import Any

_NOT_IMPLEMENTED = 9
_NOT_AUTHORIZED = "not authorized to execute this request"

_TEXTS: dict[tuple[int, int], str] = {
    (400, 1501): "syntax error, unexpected end of query string near '' at position 1:1",
    (400, 1620): "document validation failed",
    (401, 11): _NOT_AUTHORIZED,
    (403, 11): "forbidden",
    (403, 1004): "collection is read-only",
    (404, 1591): "query ID not found",
    (404, 1655): "transaction not found",
    (406, 1489): "a shard leader refuses to perform a replication operation",
    (406, 1490): (
        "a shard follower refuses to perform an operation that is not a replication: shard: "
        "chimera/s1, operation: insert, from: PRMR-1, current leader: PRMR-2"
    ),
    (409, 1200): "timeout waiting to lock key - in index primary of type primary over '_key'",
    (409, 1210): "unique constraint violated - in index primary of type primary over '_key'",
    (409, 1447): "follower transaction intermediate commit already performed",
    (409, 1601): "cursor is busy",
    (410, 21): "canceled request",
    (410, 1500): "query killed",
    (410, 1654): "transaction has already been aborted",
    (412, 21004): "queue time violated",
    (421, 1491): "leader resigned",
    (500, 18): "timed out after 5 s waiting for exclusive-lock on collection",
    (500, 28): "locked",
    (500, 29): "deadlock detected",
    (500, 32): "resource limit exceeded",
    (500, 1302): "try again",
    (500, 1457): "timeout in cluster operation",
    (500, 1464): "shard gone",
    (503, 30): "shutdown in progress",
    (503, 38): "server is starting up",
    (503, 503): "service unavailable due to startup or maintenance mode",
    (503, 1429): "write concern not fulfilled",
    (503, 1465): "connection in cluster lost",
    (503, 1478): "cluster backend unavailable",
    (503, 1495): "leadership challenge is ongoing",
    (503, 1496): "not a leader",
    (503, 21003): "queue is full",
}


class ArangoError(Exception):
    """Attributes:
    extra: Added to the body, such as the identity of the stored document.

    headers: Added to the response.
    """

    def __init__(
        self,
        status: int,
        number: int,
        message: str,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.number = number
        self.message = message
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """As the whole body of a response."""
        return {**self.element(), "code": self.status, **self.extra}

    def element(self) -> dict[str, Any]:
        """As one element of a response about several documents."""
        return {"error": True, "errorNum": self.number, "errorMessage": self.message}


class UnknownRequestError(ArangoError):
    """501: the double does not implement this and does not guess."""

    def __init__(self, what: str) -> None:
        text = f"the ArangoDB double does not know {what}; add it to tests/arango_double"
        super().__init__(501, _NOT_IMPLEMENTED, text)


def error_named(name: str) -> ArangoError:
    """The error of a name such as `503/1496`.

    Raises:
        ValueError: The table of server errors has no such name.
    """
    status, _, number = name.partition("/")
    known = status.isdecimal() and number.isdecimal()
    text = _TEXTS.get((int(status), int(number))) if known else None
    if text is None:
        names = ", ".join(f"{status}/{number}" for status, number in _TEXTS)
        raise ValueError(f"{name!r} is not an error of this table: {names}")
    return ArangoError(int(status), int(number), text)


def not_authorized() -> ArangoError:
    """Wrong credentials, or no right to the database, or no such database."""
    headers = {"www-authenticate": 'Bearer token_type="JWT", realm="ArangoDB"'}
    return ArangoError(401, 11, _NOT_AUTHORIZED, headers=headers)


def document_not_found() -> ArangoError:
    return ArangoError(404, 1202, "document not found")


def collection_not_found(name: str) -> ArangoError:
    return ArangoError(404, 1203, f"collection or view not found: {name}")


def revision_conflict(document: Mapping[str, Any]) -> ArangoError:
    """The stored *document* has another `_rev` than the expected one."""
    return ArangoError(
        412,
        1200,
        "conflict, _rev values do not match",
        {name: document[name] for name in ("_id", "_key", "_rev")},
        {"etag": f'"{document["_rev"]}"'},
    )


def not_unique(index: str, kind: str, fields: str, key: str, status: int = 409) -> ArangoError:
    """The document *key* has the same values in a unique index."""
    where = f"in index {index} of type {kind} over '{fields}'"
    return ArangoError(
        status, 1210, f"unique constraint violated - {where}; conflicting key: {key}"
    )
