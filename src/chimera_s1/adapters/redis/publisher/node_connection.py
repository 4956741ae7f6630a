"""One connection to one Redis node, with at most one request in flight."""

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
from chimera_s1.adapters.redis.tls import closed_early

CLIENT_NAME = "chimera-s1"
_NO_CLIENT_ID = "9223372036854775807"
_CLIENT_ID_PATTERN = re.compile(rb"\bid=(\d+) addr=(\S+)")

Replies = Sequence[object]
ReplyCallback = Callable[[Replies | None], None]
"""Receives the replies, errors as `hiredis.ReplyError`; None if the connection closed first: the
outcome is unknown.
"""


class ClientId(Struct, frozen=True):
    """The server's id of a connection. A restarted server reuses numbers, hence the address."""

    number: str
    address: str


class NodeConnection(asyncio.Protocol):
    """Closes itself if a reply cannot be matched to its request.

    Attributes:
        answered: Whether any request was answered completely.
        client_id: None until the handshake is done.
        closed_by_server: Whether it ended without a reason of this side, or one that was sent.
        end_cause: What ended the connection, if neither side closed it properly.
    """

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.answered = False
        self.client_id: ClientId | None = None
        self._reader = hiredis.Reader()
        self._replies: list[object] = []
        self._reply_count = 0
        self._on_replies: ReplyCallback | None = None
        self._transport: asyncio.Transport | None = None
        self._end_reason = ""
        self.end_cause: Exception | None = None
        self.closed_by_server = False

    @property
    def busy(self) -> bool:
        return self._on_replies is not None

    @property
    def ready(self) -> bool:
        """Whether it is open with no request in flight."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and not self._end_reason and not self.busy

    @property
    def end_reason(self) -> str:
        return self._end_reason or "the server closed the connection"

    def request(self, data: bytes, reply_count: int, on_replies: ReplyCallback) -> None:
        assert not self.busy, "one request at a time"
        assert self._transport is not None, "not connected"
        self._reply_count, self._on_replies = reply_count, on_replies
        self._transport.write(data)

    def abort(self, reason: str) -> None:
        """Close it now; the request in flight gets None."""
        if self._transport is not None:
            self._end_reason = self._end_reason or reason
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        replies, reader = self._replies, self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        except hiredis.ProtocolError as error:
            self.abort(f"invalid RESP from the server ({error})")
            return
        if len(replies) > self._reply_count:
            self.abort(_last_words(replies) or "unexpected reply from the server")
        elif self._on_replies is not None and len(replies) == self._reply_count:
            self.answered = True
            self._replies = []
            self._complete(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end_cause = exc
        last_words = _last_words(self._replies)
        self.closed_by_server = not self._end_reason and not last_words
        self._end_reason = self._end_reason or last_words or str(exc or "")
        self._transport = None
        self._complete(None)
        self.ended.set()

    def _complete(self, replies: Replies | None) -> None:
        on_replies, self._on_replies, self._reply_count = self._on_replies, None, 0
        if on_replies is not None:
            on_replies(replies)


def _last_words(replies: Sequence[object]) -> str:
    """The error that a server may send before it closes the connection."""
    return next((str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError)), "")


async def open_connection(
    address: RedisAddress, credentials: NodeCredentials, unanswered_client: ClientId | None
) -> NodeConnection:
    """Connect, authenticate, and kill *unanswered_client* on the server: an earlier connection that
    closed with a request in flight.

    Raises:
        OSError: The connection failed.
        RedisError: The server refused a command of the handshake.
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
    """Close it and wait until its transport is closed."""
    connection.abort("closed by this client")
    with anyio.CancelScope(shield=True):
        await connection.ended.wait()


async def _handshake(
    connection: NodeConnection, credentials: NodeCredentials, unanswered_client: ClientId | None
) -> ClientId:
    commands = _handshake_commands(credentials, unanswered_client)
    answered = anyio.Event()
    received: list[Replies | None] = []

    def complete(replies: Replies | None) -> None:
        received.append(replies)
        answered.set()

    data = "".join(encode_command(*command) for command in commands).encode()
    connection.request(data, len(commands), complete)
    await answered.wait()
    connection.answered = False
    if (replies := received[0]) is None:
        text = connection.end_reason
        if connection.closed_by_server:
            text = closed_early(text, tls=credentials.tls is not None)
        raise RedisConnectionError(text) from connection.end_cause
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise parse_error_reply(str(reply))
    return _parse_client_id(replies[-2])


def _handshake_commands(
    credentials: NodeCredentials, unanswered_client: ClientId | None
) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    if password := credentials.read_password():
        commands.append(("AUTH", *filter(None, (credentials.user, password))))
    # The server may still hold commands of an abandoned connection and run them after newer ones
    # of this connection. After its reply to CLIENT KILL it runs none of them. Always sent, so that
    # a user without permission for it is reported at start.
    kill_filter = (
        (unanswered_client.number, "ADDR", unanswered_client.address)
        if unanswered_client
        else (_NO_CLIENT_ID,)
    )
    return [
        *commands,
        ("CLIENT", "SETNAME", CLIENT_NAME),
        ("CLIENT", "INFO"),
        ("CLIENT", "KILL", "ID", *kill_filter),
    ]


def _parse_client_id(reply: object) -> ClientId:
    found = _CLIENT_ID_PATTERN.search(reply) if isinstance(reply, bytes) else None
    if found is None:
        raise RedisConnectionError("CLIENT INFO lacks id or addr")
    return ClientId(*(part.decode() for part in found.groups()))
