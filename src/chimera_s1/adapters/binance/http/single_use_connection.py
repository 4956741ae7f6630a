"""A connection to a REST host that carries one request and its reply.

What arrives is read at once, even before the request: so an end of an idle connection is seen
before anything is sent on it. A socket that is only asked whether it is readable cannot tell that
end from the session tickets that TLS 1.3 sends after its handshake.
"""

import asyncio
import ssl
from typing import cast
from urllib.parse import urlsplit

import h11
import httpx2
from msgspec import Struct
from python_socks.async_.asyncio import Proxy

from chimera_s1.adapters.binance.egress import Egress

_PORTS = {"http": 80, "https": 443}
_NO_HEADERS = httpx2.Headers()
_REQUEST_HEADERS = [("Host", "any"), ("Connection", "close")]


class HttpReply(Struct, frozen=True):
    status: int
    headers: httpx2.Headers
    body: bytes


class ReplyBuffer:
    """The part of a reply that has arrived; `status` is 0 before its head has."""

    def __init__(self, bytes_max: int) -> None:
        self.status = 0
        self.headers = _NO_HEADERS
        self.body = bytearray()
        self.complete = False
        self._bytes_max = bytes_max

    def add(self, piece: bytes) -> None:
        """Raises:
        httpx2.DecodingError: The body is too long.
        """
        self.body += piece
        if len(self.body) > self._bytes_max:
            raise httpx2.DecodingError(f"body longer than {self._bytes_max} bytes")

    async def fill(self, reply: httpx2.Response) -> None:
        """Raises:
        httpx2.DecodingError: The body is too long.
        """
        self.status, self.headers = reply.status_code, reply.headers
        async for piece in reply.aiter_bytes():
            self.add(piece)
        self.complete = True

    def as_reply(self) -> HttpReply:
        return HttpReply(self.status, self.headers, bytes(self.body))


class SingleUseConnection(asyncio.Protocol):
    """Attributes:
    opened_at: By the event loop's clock, s.

    changed: Set with every piece that arrives, and with the end.
    """

    def __init__(self) -> None:
        self.opened_at = asyncio.get_running_loop().time()
        self.changed = asyncio.Event()
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._arrived = asyncio.Event()
        self._method = ""
        self._idle = True
        self._lost: Exception | None = None

    @property
    def is_usable(self) -> bool:
        """Nothing was sent, nothing has arrived, and it has not ended, as far as is known here."""
        transport = self._transport
        return self._idle and transport is not None and not transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have its methods, and are no subclass of it.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        # Before a request it is a goodbye, such as a proxy's 408.
        self._idle = False
        self._http.receive_data(data)
        self._tell()

    def eof_received(self) -> None:
        self._idle = False
        self._http.receive_data(b"")
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc
        if exc is None:
            self._http.receive_data(b"")
        self._idle = False
        self._tell()

    def send(self, method: str, request: bytes) -> None:
        """*request* as it is, in one write; the connection must be usable."""
        assert self._transport is not None
        self._idle = False
        self._method = method
        self._transport.write(request)

    async def receive(self, buffer: ReplyBuffer) -> None:
        """Fill *buffer* with the reply to what was sent.

        Raises:
            OSError: The connection broke.
            h11.RemoteProtocolError: It ended early, or what came is no HTTP.
            httpx2.DecodingError: The body is too long.
        """
        await self._arrived.wait()
        self._expect_reply()
        while not buffer.complete:
            changed = self.changed
            match self._http.next_event():
                case h11.NEED_DATA:
                    if self._lost is not None:
                        raise self._lost
                    await changed.wait()
                case h11.Response(status_code=status, headers=headers):
                    buffer.status = status
                    buffer.headers = httpx2.Headers(list(headers))
                case h11.Data(data=data):
                    buffer.add(data)
                case h11.EndOfMessage():
                    buffer.complete = True
                case h11.ConnectionClosed():
                    raise h11.RemoteProtocolError("connection closed without a reply")
                case _:
                    pass  # 100 Continue and the like

    def close(self) -> None:
        """At once: whatever else might arrive is of no use."""
        if self._transport is not None:
            self._transport.abort()

    def _expect_reply(self) -> None:
        """Tell h11 of the request as far as the form of its reply depends on it."""
        self._http.send(h11.Request(method=self._method, target="/", headers=_REQUEST_HEADERS))
        self._http.send(h11.EndOfMessage())

    def _tell(self) -> None:
        self._arrived.set()
        self.changed.set()
        self.changed = asyncio.Event()


async def dial(url: str, egress: Egress, context: ssl.SSLContext) -> SingleUseConnection:
    """Connect to the host of *url*; through a proxy in a tunnel.

    Raises:
        OSError: Or any other error of DNS, TCP, TLS, the proxy, or the URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not an http:// or https:// URL with a host")
    host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    tls = context if parts.scheme == "https" else None
    loop = asyncio.get_running_loop()
    if not egress.proxy:
        return (await loop.create_connection(SingleUseConnection, host, port, ssl=tls))[1]
    tunnel = await Proxy.from_url(egress.proxy).connect(host, port)
    try:
        name = host if tls else None
        made = loop.create_connection(
            SingleUseConnection, sock=tunnel, ssl=tls, server_hostname=name
        )
        return (await made)[1]
    except BaseException:
        tunnel.close()
        raise
