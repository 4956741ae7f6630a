"""An HTTP server that replies with exactly the bytes it is given and keeps the requests.

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


class ScriptedReply(Struct, frozen=True):
    """The reply to one request.

    Attributes:
        reply: Sent in one write.
        after_reply: `close`; `reset`, without a goodbye; `stay`, as if more came; or `next`, with a
            second request on the same connection.
    """

    reply: bytes = b""
    after_reply: str = "close"


def http_reply(
    status: int, body: bytes = b"", *headers: str, announced: int | None = None
) -> bytes:
    """An HTTP/1.1 reply; *announced* is a false Content-Length."""
    length = len(body) if announced is None else announced
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + _HEAD_END + body


class ReceivedRequest(Struct):
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


class RawHttpServer:
    """Attributes:
    url: Where to ask.

    connections_accepted: Connections accepted so far.

    requests: Whole requests.

    fragments: What came and was no whole request.
    """

    def __init__(self, url: str, scripts: Sequence[ScriptedReply]) -> None:
        self.url = url
        self.connections_accepted = 0
        self.requests: list[ReceivedRequest] = []
        self.fragments: list[bytes] = []
        self._scripts = scripts
        self._request_received = anyio.Event()
        self._connection_ended = anyio.Event()

    async def wait_for_connection_end(self) -> None:
        """Return once a connection has ended, and all that came on it was kept."""
        await self._connection_ended.wait()

    async def wait_for_requests(self, count: int = 1) -> None:
        """Return once *count* requests have come in all."""
        while len(self.requests) < count:
            await self._request_received.wait()

    async def serve(self, stream: SocketStream) -> None:
        self.connections_accepted += 1
        number = self.connections_accepted
        async with stream:
            while (request := await self._receive_request(stream, number)) is not None:
                script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
                self.requests.append(request)
                self._request_received.set()
                self._request_received = anyio.Event()
                if not await _send_reply(stream, script):
                    break
        self._connection_ended.set()

    async def _receive_request(self, stream: SocketStream, number: int) -> ReceivedRequest | None:
        data = b""
        try:
            while _HEAD_END not in data:
                data += await stream.receive()
            head, _, body = data.partition(_HEAD_END)
            request = ReceivedRequest(number, head, body)
            size = int(request.header("Content-Length")) if head.startswith(b"POST") else 0
            while len(request.body) < size:
                request.body += await stream.receive()
        except anyio.EndOfStream:
            if data:
                self.fragments.append(data)
            return None
        return request


async def _send_reply(stream: SocketStream, script: ScriptedReply) -> bool:
    """Whether another request may come."""
    if script.reply:
        await stream.send(script.reply)
    match script.after_reply:
        case "reset":
            raw: socket.socket = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case "stay":
            async for _ in stream:
                raise AssertionError("more was sent than one request")
        case _:
            return script.after_reply == "next"
    return False


@asynccontextmanager
async def raw_http_server(*scripts: ScriptedReply) -> AsyncIterator[RawHttpServer]:
    """A server on a free port of loopback.

    Args:
        scripts: One per request, the last also for all later ones.
    """
    async with await anyio.create_tcp_listener(local_host=HOST) as listener:
        port = listener.extra(SocketAttribute.local_port)
        server = RawHttpServer(f"http://{HOST}:{port}", scripts)

        async def serve(stream: SocketStream) -> None:
            try:
                await server.serve(stream)
            except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the client has cut the connection: that may be what is tested

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield server
            tasks.cancel_scope.cancel()
