"""One coordinator of the cluster, or a single server."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from arango.client import ArangoClient
from arango.request import Request as DriverRequest
from arango.response import Response
from msgspec import Struct, field

from chimera_s1.adapters.arango.errors import ArangoRequestError, NoReplyError, RequestRejectedError
from chimera_s1.adapters.arango.single_request_client import SingleRequestClient

T = TypeVar("T")

SYSTEM_DATABASE = "_system"

_encode = msgspec.json.Encoder().encode


class ArangoCredentials(Struct, frozen=True):
    """Attributes:
    read_password: Called for each request.
    """

    database: str
    user: str
    read_password: Callable[[], str]

    def __repr__(self) -> str:
        return f"ArangoCredentials(database={self.database!r}, user={self.user!r})"


class Request(Struct, frozen=True):
    """Attributes:
    path: Without `/_db/<database>`.

    body: JSON value; None sends no body.

    on_system_database: Send to `_system`, where databases are created.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    on_system_database: bool = False


def if_match(revision: str) -> dict[str, str]:
    """The header that makes a write conditional on the document's `_rev`."""
    return {"if-match": f'"{revision}"'}


class CoordinatorReply(Struct, frozen=True):
    """A reply without an error.

    Attributes:
        coordinator: URL of the sender.
        status: Of HTTP. For a write, 201: synced to disk; 202: not synced.
    """

    coordinator: str
    status: int
    text: str

    def decode(self, type_: type[T]) -> T:
        """Raises: NoReplyError: The body is no *type_*, so the reply is not from ArangoDB."""
        try:
            return msgspec.json.decode(self.text, type=type_)
        except msgspec.DecodeError:
            raise foreign_reply_error(self) from None


class _ErrorReply(Struct, frozen=True):
    number: int = field(name="errorNum")
    message: str = field(name="errorMessage", default="")


class Coordinator:
    """Sends each request once. Used from several threads."""

    def __init__(
        self,
        url: str,
        credentials: ArangoCredentials,
        *,
        max_connections: int,
        connect_timeout_s: float,
    ) -> None:
        self.url = url
        self._http = SingleRequestClient(
            credentials.read_password,
            max_connections=max_connections,
            connect_timeout_s=connect_timeout_s,
        )
        self._client = ArangoClient(url, resolver_max_tries=1, http_client=self._http)
        self._database, self._system = (
            self._client.db(name, username=credentials.user)
            for name in (credentials.database, SYSTEM_DATABASE)
        )

    def send(self, request: Request, timeout_s: float) -> CoordinatorReply:
        """Raises: ArangoRequestError: No reply within *timeout_s*, or an error reply."""
        try:
            return self._send(request, timeout_s)
        except ArangoRequestError as error:
            error.coordinator = self.url
            raise

    def close(self) -> None:
        self._client.close()

    def _send(self, request: Request, timeout_s: float) -> CoordinatorReply:
        self._http.set_read_timeout(timeout_s)
        database = self._system if request.on_system_database else self._database
        response = database.request(_driver_request(request))
        assert isinstance(response, Response), "the driver returned an async job"
        if response.is_success:
            return CoordinatorReply(self.url, response.status_code, response.raw_body)
        raise _rejected_error(response.status_code, response.raw_body)


def foreign_reply_error(reply: CoordinatorReply) -> NoReplyError:
    return NoReplyError("sent a reply that is not from ArangoDB", reply.coordinator)


def _driver_request(request: Request) -> DriverRequest:
    return DriverRequest(
        method=request.method,
        endpoint=request.path,
        headers=dict(request.headers),
        params=dict(request.params),
        data=None if request.body is None else _encode(request.body).decode(),
        deserialize=False,
    )


def _rejected_error(status: int, text: str) -> RequestRejectedError:
    try:
        body = msgspec.json.decode(text, type=_ErrorReply)
    except msgspec.DecodeError:
        return RequestRejectedError(status, status, "no ArangoDB error body")
    return RequestRejectedError(status, body.number, body.message)
