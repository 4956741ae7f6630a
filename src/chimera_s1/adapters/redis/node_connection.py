"""One connection to one Redis node: a request at a time, its replies matched by their number."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import cast

import anyio
import hiredis
from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.node_credentials import NodeAccess
from chimera_s1.adapters.redis.quote_encoder import command, reply_error

CLIENT_NAME = "chimera-s1"
_NOBODY = "9223372036854775807"
_IDENTITY = re.compile(rb"\bid=(\d+) addr=(\S+)")

Replies = Sequence[object]
Settle = Callable[[Replies | None], None]
"""Told the replies to a request, error replies among them as `hiredis.ReplyError`; None where the
connection ended first, and nobody knows what the server did.
"""


class ClientIdentity(Struct, frozen=True):
    """A connection as its server knows it. The address tells it from one of the same number that a
    restarted server has given to somebody else.
    """

    number: str
    address: str


class NodeConnection(asyncio.Protocol):
    """Bytes out, replies in. Whatever makes its replies doubtful ends it.

    Attributes:
        ended: Set when the connection is gone.

        answered: Whether a request was answered in full.

        identity: What the server calls it; None until it was introduced.
    """

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.answered = False
        self.identity: ClientIdentity | None = None
        self._reader = hiredis.Reader()
        self._replies: list[object] = []
        self._expected = 0
        self._settle: Settle | None = None
        self._transport: asyncio.Transport | None = None
        self._defect = ""

    @property
    def busy(self) -> bool:
        """Whether a request waits for replies."""
        return self._settle is not None

    @property
    def usable(self) -> bool:
        """Whether it is open and takes a request."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and not self._defect and not self.busy

    @property
    def defect(self) -> str:
        """Why it ended, for people."""
        return self._defect or "the server closed the connection"

    def request(self, data: bytes, expected: int, settle: Settle) -> None:
        """Send *data*, which the server answers with *expected* replies."""
        assert not self.busy, "one request at a time"
        assert self._transport is not None, "a request needs an open connection"
        self._expected, self._settle = expected, settle
        self._transport.write(data)

    def abort(self, defect: str) -> None:
        """End it now; what is in flight is settled as unknown."""
        if self._transport is not None:
            self._defect = self._defect or defect
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        replies, reader = self._replies, self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        except hiredis.ProtocolError as error:
            self.abort(f"the server sent what is not RESP ({error})")
            return
        if len(replies) > self._expected:
            # Its own words on why it is about to close; or nobody knows whose replies these are.
            said = next((str(r) for r in replies if isinstance(r, hiredis.ReplyError)), "")
            self.abort(said or "the server sent a reply that nothing had asked for")
        elif self._settle is not None and len(replies) == self._expected:
            self.answered = True
            self._replies = []
            self._finish(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._defect = self._defect or (str(exc) if exc else "")
        self._transport = None
        self._finish(None)
        self.ended.set()

    def _finish(self, replies: Replies | None) -> None:
        settle, self._settle, self._expected = self._settle, None, 0
        if settle is not None:
            settle(replies)


async def open_connection(
    address: RedisAddress, access: NodeAccess, predecessor: ClientIdentity | None
) -> NodeConnection:
    """Connect, introduce ourselves, and end what is left of *predecessor*.

    Args:
        address: Of the node.

        access: Credentials and TLS.

        predecessor: An earlier connection of ours that ended with an unanswered request.

    Raises:
        OSError: No connection.

        RedisError: The server refuses us.
    """
    connection = NodeConnection()
    loop = asyncio.get_running_loop()
    await loop.create_connection(
        lambda: connection,
        address.host,
        address.port,
        ssl=access.tls,
        server_hostname=address.host if access.tls else None,
    )
    try:
        connection.identity = await _introduce(connection, access, predecessor)
    except BaseException:
        await close_connection(connection)
        raise
    return connection


async def close_connection(connection: NodeConnection) -> None:
    """End it, and return once its transport is gone."""
    connection.abort("closed by us")
    with anyio.CancelScope(shield=True):
        await connection.ended.wait()


async def _introduce(
    connection: NodeConnection, access: NodeAccess, predecessor: ClientIdentity | None
) -> ClientIdentity:
    # The server may still hold commands of a connection that we gave up, and would run them after
    # newer ones of this connection. Once it has answered CLIENT KILL, it runs none of them. Asked
    # each time, so that a user without the right to it is told when the service starts.
    fence = [predecessor.number, "ADDR", predecessor.address] if predecessor else [_NOBODY]
    words = [
        *([("AUTH", *filter(None, (access.user, access.password)))] if access.password else []),
        ("CLIENT", "SETNAME", CLIENT_NAME),
        ("CLIENT", "INFO"),
        ("CLIENT", "KILL", "ID", *fence),
    ]
    answered = anyio.Event()
    received: list[Replies | None] = []

    def settle(replies: Replies | None) -> None:
        received.append(replies)
        answered.set()

    data = "".join(command(*each) for each in words).encode()
    connection.request(data, len(words), settle)
    await answered.wait()
    connection.answered = False
    if (replies := received[0]) is None:
        raise RedisConnectionError(connection.defect)
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise reply_error(str(reply))
    return _identity(replies[-2])


def _identity(reply: object) -> ClientIdentity:
    found = _IDENTITY.search(reply) if isinstance(reply, bytes) else None
    if found is None:
        raise RedisConnectionError("the server's CLIENT INFO has no id and address")
    return ClientIdentity(*(part.decode() for part in found.groups()))
