"""An exchange that sends exactly the bytes it is given, for messages no real server sends.

async with raw_exchange([frame(book(1)), RESERVED_OPCODE]) as url: ...
"""

import base64
import hashlib
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from chimera_s1.adapters.simulator.config import SimulatorAddresses

CONTINUATION, TEXT, BINARY, RESERVED, CLOSE, PING, PONG = 0, 1, 2, 3, 8, 9, 10
_ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEADERS_MAX = 65_536
_SHORT, _MEDIUM = 126, 65_536


def server_frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """One server frame (RFC 6455, 5.2)."""
    size = len(payload)
    first = opcode | (0x80 if fin else 0)
    if size < _SHORT:
        return bytes([first, size]) + payload
    if size < _MEDIUM:
        return struct.pack(">BBH", first, 126, size) + payload
    return struct.pack(">BBQ", first, 127, size) + payload


def book_ticker_message(
    update_id: int, *, symbol: str = "BTCUSDT", bid: str = "100.1", ask: str = "100.3"
) -> bytes:
    """A spot bookTicker message of the combined stream."""
    return (
        b'{"stream":"%b@bookTicker","data":{"u":%d,"s":"%b","b":"%b","B":"2","a":"%b","A":"3"}}'
        % (symbol.lower().encode(), update_id, symbol.encode(), bid.encode(), ask.encode())
    )


class RawExchange:
    """Attributes:
    port: Where it listens on 127.0.0.1.

    url: Where to dial.

    connections_accepted: Connections accepted so far.

    closed: How many of them have ended.

    received: What clients sent, each connection's in a buffer of its own.
    """

    def __init__(
        self, port: int, scripts: Sequence[Sequence[bytes]], handshake: bytes | None
    ) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}"
        self.connections_accepted = 0
        self.closed = 0
        self.received: list[bytearray] = []
        self._scripts = scripts
        self._handshake = handshake
        self._next_piece = anyio.Event()
        self._data_received = anyio.Event()

    def send_next(self) -> None:
        """Send the next piece on every connection."""
        self._next_piece.set()
        self._next_piece = anyio.Event()

    @property
    def addresses(self) -> SimulatorAddresses:
        """As endpoints of a feed; only the stream URLs work."""
        return SimulatorAddresses(
            spot_rest_url="",
            spot_ws_url=self.url,
            perp_rest_url="",
            perp_ws_url=self.url,
            archive_url="",
            control_url="",
        )

    async def wait_for_frame(self, opcode: int, number: int = 1) -> bytes:
        """Wait for frame *number* with *opcode* of the first client; its payload."""
        await self.until(lambda: len(self.sent_by(0, opcode)) >= number)
        return self.sent_by(0, opcode)[number - 1]

    def sent_by(self, client: int, opcode: int) -> list[bytes]:
        """The payloads with *opcode* that a client has sent so far; clients count from 0."""
        sent = bytes(self.received[client]) if client < len(self.received) else b""
        return [payload for found, payload in client_frames(sent) if found == opcode]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait until *enough* is true; it is checked whenever a client connects, sends or
        disconnects.
        """
        while not enough():
            await self._data_received.wait()

    async def serve(self, stream: SocketStream) -> None:
        """Shake hands, send the script of this dial (the last one for all that follow),
        and stay.
        """
        script = self._scripts[min(self.connections_accepted, len(self._scripts) - 1)]
        self.connections_accepted += 1
        sent = bytearray()
        self.received.append(sent)
        self._tell()
        try:
            async with stream:
                await _handshake(stream, self._handshake)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._play, stream, script)
                    async for piece in stream:
                        sent += piece
                        self._tell()
                    tasks.cancel_scope.cancel()
        finally:
            self.closed += 1
            self._tell()

    def _tell(self) -> None:
        self._data_received.set()
        self._data_received = anyio.Event()

    async def _play(self, stream: SocketStream, script: Sequence[bytes]) -> None:
        for number, piece in enumerate(script):
            if number:
                await self._next_piece.wait()
            await stream.send(piece)


@asynccontextmanager
async def raw_exchange(
    *scripts: Sequence[bytes], handshake: bytes | None = None
) -> AsyncIterator[RawExchange]:
    """An exchange on a free port of loopback.

    Args:
        scripts: One per dial, the last also for all later ones: pieces, each sent in one write; the
            first at once, each further one when the test says `go_on`.
        handshake: What each upgrade request is answered with instead of what RFC 6455 asks for; the
            connection is closed then.
    """
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        exchange = RawExchange(port, scripts, handshake)

        async def serve(stream: SocketStream) -> None:
            try:
                await exchange.serve(stream)
            except* (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead):
                pass  # the client has cut the connection: that may be what is tested

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield exchange
            tasks.cancel_scope.cancel()


def client_frames(sent: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of each whole frame in what a client *sent*."""
    at = 0
    while at + 2 <= len(sent):
        size, start = sent[at + 1] & 0x7F, at + 2
        if size == _SHORT:
            size, start = int.from_bytes(sent[start : start + 2], "big"), start + 2
        mask, payload = sent[start : start + 4], sent[start + 4 : start + 4 + size]
        if len(payload) < size:
            return
        yield sent[at] & 0x0F, bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        at = start + 4 + size


async def _handshake(stream: SocketStream, answer: bytes | None) -> None:
    request = await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", _HEADERS_MAX)
    if answer is not None:
        await stream.send(answer)
        await stream.aclose()
        return
    lines = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:])
    key = {name.lower(): value for name, value in lines.items()}[b"sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_SALT, usedforsecurity=False).digest())
    await stream.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
