"""
A request as it came in, and the answer to it, free of any HTTP library.
"""

from typing import Any
from urllib.parse import unquote

import orjson
from msgspec import Struct, field

from tests.arango_double.errors import ArangoError, UnknownRequestError

_DATABASE_PREFIX = "/_db/"
_READING_METHODS = frozenset({"GET", "HEAD"})
_READING_POSTS = ("/_api/cursor", "/_open/auth")
_TRUE, _FALSE = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no"})


class Request(Struct, frozen=True):
    """
    One request.

    Attributes:
        coordinator: Index of the one that got it.

        path: As sent, without the database's part and the query.

        headers: Names in lower case.
    """

    coordinator: int
    method: str
    database: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def segments(self) -> list[str]:
        """
        The parts of the path, unquoted.
        """
        return [unquote(part) for part in self.path.strip("/").split("/")]

    @property
    def writes(self) -> bool:
        """
        Whether it changes what is stored; the AQL known here only reads.
        """
        if self.method in _READING_METHODS or self.path.startswith(_READING_POSTS):
            return False
        return not (self.method == "PUT" and self.flag("onlyget"))

    def json(self) -> Any:
        """
        The parsed body.

        Raises:
            ArangoError: 400/600, it is no JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise ArangoError(400, 600, f"VPackError error: {error}") from None

    def json_object(self) -> dict[str, Any]:
        """
        The parsed body, which is an object.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise ArangoError(400, 400, "expecting a JSON object")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """
        A boolean of the query, which drivers write as 0 and 1.
        """
        value = self.query.get(name)
        if value is None:
            return default
        if value not in _TRUE | _FALSE:
            raise UnknownRequestError(f"the value {value!r} of {name}")
        return value in _TRUE

    def allow_query(self, *names: str) -> None:
        """
        Refuse any other parameter, loudly.
        """
        refuse_others("parameter", self.query, names)


class Answer(Struct, frozen=True):
    """
    What is sent back; a body of None is empty.
    """

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def result(status: int, body: dict[str, Any]) -> Answer:
    """
    An answer with the two keys that go with every object.
    """
    return Answer(status, {"error": False, "code": status, **body})


def failure(error: ArangoError) -> Answer:
    """
    *error* as an answer.
    """
    return Answer(error.status, error.body(), error.headers)


def split_database(path: str) -> tuple[str, str]:
    """
    The database a path names, `_system` without one, and the rest of the path.
    """
    if not path.startswith(_DATABASE_PREFIX):
        return "_system", path
    name, _, rest = path.removeprefix(_DATABASE_PREFIX).partition("/")
    return unquote(name), f"/{rest}"


def refuse_others(kind: str, given: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """
    Raise on the first name of *given* that is not in *allowed*: an option that is ignored here
    and works elsewhere proves nothing.
    """
    unknown = next((name for name in given if name not in allowed), None)
    if unknown is not None:
        raise UnknownRequestError(f"the {kind} {unknown!r}")
