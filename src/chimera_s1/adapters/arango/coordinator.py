"""One coordinator of the cluster, or a single server."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from arango.client import ArangoClient
from arango.request import Request as DriverRequest
from arango.response import Response
from msgspec import Struct, field

from chimera_s1.adapters.arango.errors import ArangoFault, NoReplyError, RefusedError
from chimera_s1.adapters.arango.single_request_client import SingleRequestClient

T = TypeVar("T")

SYSTEM = "_system"

_encode = msgspec.json.Encoder().encode


class ArangoAccess(Struct, frozen=True):
    """With what a coordinator is asked; prints without its password."""

    database: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"ArangoAccess(database={self.database!r}, user={self.user!r})"


class Asked(Struct, frozen=True):
    """A request.

    Attributes:
        path: Behind the database's part.

        body: JSON values; None for none.

        system: To the database `_system`, where databases are made.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    system: bool = False


def if_still(revision: str) -> dict[str, str]:
    """The header of a write that is refused where the document has another `_rev`."""
    return {"if-match": f'"{revision}"'}


class Reply(Struct, frozen=True):
    """An answer that is no error.

    Attributes:
        coordinator: Who gave it.

        status: 201 tells of a write that the disk was waited for, 202 that it was not.
    """

    coordinator: str
    status: int
    text: str

    def read(self, kind: type[T]) -> T:
        """The body as a *kind*.

        Raises:
            NoReplyError: It is something else; so it is not ArangoDB that answers.
        """
        try:
            return msgspec.json.decode(self.text, type=kind)
        except msgspec.DecodeError:
            raise blamed(NoReplyError("gives an answer that is not ArangoDB's"), self) from None


class _ErrorBody(Struct, frozen=True):
    number: int = field(name="errorNum")
    message: str = field(name="errorMessage", default="")


class Coordinator:
    """Sends each request once. Used from several threads."""

    def __init__(
        self, url: str, access: ArangoAccess, *, connections: int, connect_s: float
    ) -> None:
        """Args:
        url: Scheme, host and port.

        access: Database, user and password.

        connections: How many calls at once.

        connect_s: How long a connection may take, s.
        """
        self.url = url
        self._http = SingleRequestClient(connections=connections, connect_s=connect_s)
        self._client = ArangoClient(url, resolver_max_tries=1, http_client=self._http)
        self._database, self._system = (
            self._client.db(name, username=access.user, password=access.password)
            for name in (access.database, SYSTEM)
        )

    def send(self, asked: Asked, wait_s: float) -> Reply:
        """The answer to *asked*, if it comes within *wait_s*.

        Raises:
            ArangoFault: There is none, or it is an error.
        """
        try:
            return self._send(asked, wait_s)
        except ArangoFault as fault:
            fault.coordinator = self.url
            raise

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _send(self, asked: Asked, wait_s: float) -> Reply:
        self._http.wait_at_most(wait_s)
        request = DriverRequest(
            method=asked.method,
            endpoint=asked.path,
            headers=dict(asked.headers),
            params=dict(asked.params),
            data=None if asked.body is None else _encode(asked.body).decode(),
            deserialize=False,
        )
        database = self._system if asked.system else self._database
        response = database.request(request)
        assert isinstance(response, Response), "nothing here is sent in the background"
        if response.is_success:
            return Reply(self.url, response.status_code, response.raw_body)
        raise _refusal(response.status_code, response.raw_body)


def blamed(fault: ArangoFault, reply: Reply) -> ArangoFault:
    """*fault* as the one who gave *reply* has it."""
    fault.coordinator = reply.coordinator
    return fault


def _refusal(status: int, text: str) -> RefusedError:
    try:
        body = msgspec.json.decode(text, type=_ErrorBody)
    except msgspec.DecodeError:
        return RefusedError(status, status, "not in ArangoDB's words")
    return RefusedError(status, body.number, body.message)
