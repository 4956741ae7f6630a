"""A real forward proxy: CONNECT tunnels for any port, and plain requests for http:// URLs.

And a TLS server, to send through it what the exchange gets.
"""

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
from anyio.abc import ByteStream, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener, TLSStream

_HEAD_MAX = 65_536
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ForwardProxy:
    """Attributes:
    tunnels: Targets of CONNECT, as `host:port`, in order.

    requests: Request lines with an absolute URL, in order.

    answer: Sent in place of what was asked for, where it is not empty.
    """

    def __init__(self, port: int, credentials: str) -> None:
        self.port = port
        self.tunnels: list[str] = []
        self.requests: list[str] = []
        self.answer = b""
        self._credentials = base64.b64encode(credentials.encode()).decode() if credentials else ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, client: SocketStream) -> None:
        async with client:
            reader = BufferedByteReceiveStream(client)
            head = await reader.receive_until(b"\r\n\r\n", _HEAD_MAX)
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            (self.tunnels if method == "CONNECT" else self.requests).append(target)
            if self.answer:
                await client.send(self.answer)
                return
            if self._credentials and self._credentials.encode() not in head:
                await client.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            await self._forward(client, method, target, head + b"\r\n\r\n" + reader.buffer)

    async def _forward(self, client: SocketStream, method: str, target: str, head: bytes) -> None:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        async with await anyio.connect_tcp(str(parts.hostname), parts.port or 80) as server:
            if method == "CONNECT":
                await client.send(ESTABLISHED)
            else:
                origin = f"{parts.scheme}://{parts.netloc}".encode()
                await server.send(head.replace(b" " + origin, b" ", 1))
            await _join(client, server)


async def _join(client: ByteStream, server: ByteStream) -> None:
    """Copy in both directions until the server ends."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_copy, client, server)
        await _copy(server, client)
        tasks.cancel_scope.cancel()


async def _copy(source: ByteStream, sink: ByteStream) -> None:
    async for piece in source:
        await sink.send(piece)


@asynccontextmanager
async def forward_proxy(credentials: str = "") -> AsyncIterator[ForwardProxy]:
    """A proxy on loopback; with *credentials*, `user:password`, it refuses others with 407."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        proxy = ForwardProxy(listener.extra(anyio.abc.SocketAttribute.local_port), credentials)

        async def serve(client: SocketStream) -> None:
            try:
                await proxy.serve(client)
            except* (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead):
                pass  # one side has gone: the other is closed, too

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield proxy
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def tls_front(target_url: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a TLS server on loopback that passes everything on to *target_url*."""
    parts = urlsplit(target_url)

    async def serve(client: TLSStream) -> None:
        try:
            async with (
                client,
                await anyio.connect_tcp(str(parts.hostname), parts.port or 443) as server,
            ):
                await _join(client, server)
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            pass  # one side has gone

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as plain:
        listener = TLSListener(plain, context, standard_compatible=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield plain.extra(anyio.abc.SocketAttribute.local_port)
            tasks.cancel_scope.cancel()
