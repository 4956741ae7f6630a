"""An HTTP server that answers with exactly the bytes it is given, and keeps what it was sent.

async with raw_http(reply(200, b'{"tranId":7}')) as server: ...
"""

import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio
from anyio.abc import SocketAttribute, SocketStream
from msgspec import Struct

HOST = "127.0.0.1"
_HEAD_END = b"\r\n\r\n"


class Script(Struct, frozen=True):
    """What is done once a request is there.

    Attributes:
        reply: Sent in one write.

        then: `close`; `reset`, without a goodbye; `stay`, as if more came; or `next`, with a second
            request on the same connection.
    """

    reply: bytes = b""
    then: str = "close"


def reply(status: int, body: bytes = b"", *headers: str, announced: int | None = None) -> bytes:
    """A reply of HTTP/1.1; *announced* is what it says is its length, where that is not true."""
    length = len(body) if announced is None else announced
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + _HEAD_END + body


class Heard(Struct):
    """A request as it came."""

    connection: int
    head: bytes
    body: bytes

    @property
    def target(self) -> bytes:
        return self.head.split(b" ", 2)[1]

    def header(self, name: str) -> bytes:
        """Its one value."""
        wanted = name.lower().encode()
        lines = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        (value,) = [value.strip() for found, _, value in lines if found.lower() == wanted]
        return value


class RawHttp:
    """Attributes:
    url: Where to ask.

    dials: Connections accepted so far.

    requests: Whole requests.

    fragments: What came and was no whole request.
    """

    def __init__(self, url: str, scripts: Sequence[Script]) -> None:
        self.url = url
        self.dials = 0
        self.requests: list[Heard] = []
        self.fragments: list[bytes] = []
        self._scripts = scripts
        self._news = anyio.Event()

    async def until_asked(self, count: int = 1) -> None:
        """Return once *count* requests have come in all."""
        while len(self.requests) < count:
            await self._news.wait()

    async def serve(self, stream: SocketStream) -> None:
        self.dials += 1
        number = self.dials
        async with stream:
            while (request := await self._request(stream, number)) is not None:
                script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
                self.requests.append(request)
                self._news.set()
                self._news = anyio.Event()
                if not await _play(stream, script):
                    return

    async def _request(self, stream: SocketStream, number: int) -> Heard | None:
        data = b""
        try:
            while _HEAD_END not in data:
                data += await stream.receive()
            head, _, body = data.partition(_HEAD_END)
            heard = Heard(number, head, body)
            size = int(heard.header("Content-Length")) if head.startswith(b"POST") else 0
            while len(heard.body) < size:
                heard.body += await stream.receive()
        except anyio.EndOfStream:
            if data:
                self.fragments.append(data)
            return None
        return heard


async def _play(stream: SocketStream, script: Script) -> bool:
    """Whether another request may come."""
    if script.reply:
        await stream.send(script.reply)
    match script.then:
        case "reset":
            raw: socket.socket = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case "stay":
            async for _ in stream:
                raise AssertionError("more was sent than one request")
        case _:
            return script.then == "next"
    return False


@asynccontextmanager
async def raw_http(*scripts: Script) -> AsyncIterator[RawHttp]:
    """A server on a free port of loopback.

    Args:
        scripts: One per request, the last also for all later ones.
    """
    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        port = listener.extra(SocketAttribute.local_port)
        server = RawHttp(f"http://{HOST}:{port}", scripts)

        async def serve(stream: SocketStream) -> None:
            try:
                await server.serve(stream)
            except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the client has cut the connection: that may be what is tested

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield server
            tasks.cancel_scope.cancel()
