"""One coordinator of the cluster, or a single server."""

from collections.abc import Mapping
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
    """With what a coordinator is asked; prints without its password."""

    database: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"ArangoAccess(database={self.database!r}, user={self.user!r})"


class Request(Struct, frozen=True):
    """A request.

    Attributes:
        path: Behind the database's part.

        body: JSON values; None for none.

        on_system_database: To the database `_system`, where databases are made.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    on_system_database: bool = False


def if_match(revision: str) -> dict[str, str]:
    """The header of a write that is refused where the document has another `_rev`."""
    return {"if-match": f'"{revision}"'}


class CoordinatorReply(Struct, frozen=True):
    """An answer that is no error.

    Attributes:
        coordinator: Who gave it.

        status: 201 tells of a write that the disk was waited for, 202 that it was not.
    """

    coordinator: str
    status: int
    text: str

    def decode(self, type_: type[T]) -> T:
        """The body as a *type_*.

        Raises:
            NoReplyError: It is something else; so it is not ArangoDB that answers.
        """
        try:
            return msgspec.json.decode(self.text, type=type_)
        except msgspec.DecodeError:
            raise with_coordinator(
                NoReplyError("gives an answer that is not ArangoDB's"), self
            ) from None


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
        """Args:
        url: Scheme, host and port.

        credentials: Database, user and password.

        max_connections: How many calls at once.

        connect_timeout_s: How long a connection may take, s.
        """
        self.url = url
        self._http = SingleRequestClient(
            max_connections=max_connections, connect_timeout_s=connect_timeout_s
        )
        self._client = ArangoClient(url, resolver_max_tries=1, http_client=self._http)
        self._database, self._system = (
            self._client.db(name, username=credentials.user, password=credentials.password)
            for name in (credentials.database, SYSTEM_DATABASE)
        )

    def send(self, request: Request, timeout_s: float) -> CoordinatorReply:
        """The answer to *request*, if it comes within *timeout_s*.

        Raises:
            ArangoFault: There is none, or it is an error.
        """
        try:
            return self._send(request, timeout_s)
        except ArangoRequestError as fault:
            fault.coordinator = self.url
            raise

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _send(self, asked: Request, wait_s: float) -> CoordinatorReply:
        self._http.set_read_timeout(wait_s)
        request = DriverRequest(
            method=asked.method,
            endpoint=asked.path,
            headers=dict(asked.headers),
            params=dict(asked.params),
            data=None if asked.body is None else _encode(asked.body).decode(),
            deserialize=False,
        )
        database = self._system if asked.on_system_database else self._database
        response = database.request(request)
        assert isinstance(response, Response), "nothing here is sent in the background"
        if response.is_success:
            return CoordinatorReply(self.url, response.status_code, response.raw_body)
        raise _rejected_error(response.status_code, response.raw_body)


def with_coordinator(error: ArangoRequestError, reply: CoordinatorReply) -> ArangoRequestError:
    """*error* as the one who gave *reply* has it."""
    error.coordinator = reply.coordinator
    return error


def _rejected_error(status: int, text: str) -> RequestRejectedError:
    try:
        body = msgspec.json.decode(text, type=_ErrorReply)
    except msgspec.DecodeError:
        return RequestRejectedError(status, status, "not in ArangoDB's words")
    return RequestRejectedError(status, body.number, body.message)
