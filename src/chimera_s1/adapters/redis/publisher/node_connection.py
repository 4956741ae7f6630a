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
from chimera_s1.adapters.redis.node_credentials import NodeCredentials
from chimera_s1.adapters.redis.publisher.quote_encoder import encode_command, parse_error_reply

CLIENT_NAME = "chimera-s1"
_NO_CLIENT_ID = "9223372036854775807"
_CLIENT_ID_PATTERN = re.compile(rb"\bid=(\d+) addr=(\S+)")

Replies = Sequence[object]
ReplyCallback = Callable[[Replies | None], None]
"""Told the replies to a request, error replies among them as `hiredis.ReplyError`; None where the
connection ended first, and nobody knows what the server did.
"""


class ClientId(Struct, frozen=True):
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

        client_id: What the server calls it; None until it was introduced.
    """

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.answered = False
        self.client_id: ClientId | None = None
        self._reader = hiredis.Reader()
        self._replies: list[object] = []
        self._expected = 0
        self._on_replies: ReplyCallback | None = None
        self._transport: asyncio.Transport | None = None
        self._end_reason = ""

    @property
    def busy(self) -> bool:
        """Whether a request waits for replies."""
        return self._on_replies is not None

    @property
    def ready(self) -> bool:
        """Whether it is open and takes a request."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and not self._end_reason and not self.busy

    @property
    def end_reason(self) -> str:
        """Why it ended, for people."""
        return self._end_reason or "the server closed the connection"

    def request(self, data: bytes, expected: int, on_replies: ReplyCallback) -> None:
        """Send *data*, which the server answers with *expected* replies."""
        assert not self.busy, "one request at a time"
        assert self._transport is not None, "a request needs an open connection"
        self._expected, self._on_replies = expected, on_replies
        self._transport.write(data)

    def abort(self, reason: str) -> None:
        """End it now; what is in flight is settled as unknown."""
        if self._transport is not None:
            self._end_reason = self._end_reason or reason
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
        elif self._on_replies is not None and len(replies) == self._expected:
            self.answered = True
            self._replies = []
            self._complete(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._end_reason = self._end_reason or (str(exc) if exc else "")
        self._transport = None
        self._complete(None)
        self.ended.set()

    def _complete(self, replies: Replies | None) -> None:
        settle, self._on_replies, self._expected = self._on_replies, None, 0
        if settle is not None:
            settle(replies)


async def open_connection(
    address: RedisAddress, credentials: NodeCredentials, unanswered_client: ClientId | None
) -> NodeConnection:
    """Connect, introduce ourselves, and end what is left of *unanswered_client*.

    Args:
        address: Of the node.

        credentials: Credentials and TLS.

        unanswered_client: An earlier connection of ours that ended with an unanswered request.

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
        ssl=credentials.tls,
        server_hostname=address.host if credentials.tls else None,
    )
    try:
        connection.client_id = await _handshake(connection, credentials, unanswered_client)
    except BaseException:
        await close_connection(connection)
        raise
    return connection


async def close_connection(connection: NodeConnection) -> None:
    """End it, and return once its transport is gone."""
    connection.abort("closed by us")
    with anyio.CancelScope(shield=True):
        await connection.ended.wait()


async def _handshake(
    connection: NodeConnection, credentials: NodeCredentials, unanswered_client: ClientId | None
) -> ClientId:
    # The server may still hold commands of a connection that we gave up, and would run them after
    # newer ones of this connection. Once it has answered CLIENT KILL, it runs none of them. Asked
    # each time, so that a user without the right to it is told when the service starts.
    kill_filter = (
        [unanswered_client.number, "ADDR", unanswered_client.address]
        if unanswered_client
        else [_NO_CLIENT_ID]
    )
    commands = [
        *(
            [("AUTH", *filter(None, (credentials.user, credentials.password)))]
            if credentials.password
            else []
        ),
        ("CLIENT", "SETNAME", CLIENT_NAME),
        ("CLIENT", "INFO"),
        ("CLIENT", "KILL", "ID", *kill_filter),
    ]
    answered = anyio.Event()
    received: list[Replies | None] = []

    def settle(replies: Replies | None) -> None:
        received.append(replies)
        answered.set()

    data = "".join(encode_command(*each) for each in commands).encode()
    connection.request(data, len(commands), settle)
    await answered.wait()
    connection.answered = False
    if (replies := received[0]) is None:
        raise RedisConnectionError(connection.end_reason)
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise parse_error_reply(str(reply))
    return _parse_client_id(replies[-2])


def _parse_client_id(reply: object) -> ClientId:
    found = _CLIENT_ID_PATTERN.search(reply) if isinstance(reply, bytes) else None
    if found is None:
        raise RedisConnectionError("the server's CLIENT INFO has no id and address")
    return ClientId(*(part.decode() for part in found.groups()))
