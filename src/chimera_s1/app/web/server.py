"""The HTTP server: uvicorn on a socket of its own, as one task of the runtime."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from typing import Any

import uvicorn
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from litestar.types import ASGIApp

from chimera_s1.app.web.connection_protocol import LIMITS, ConnectionLimits, LimitedProtocol
from chimera_s1.app.web.connections import Connections
from chimera_s1.app.web.limit_requests import LimitRequests
from chimera_s1.domain.errors import ConfigurationError

GRACEFUL_STOP_TIMEOUT_S = 5
BACKLOG = 256
STUCK_READER_TIMEOUT_MS = 30_000
"""How long sent data may stay unacknowledged before the connection is dropped."""

_PORT_MAX = 65_535
_TICKS_PER_S = 10
"""Uvicorn calls `on_tick` that often."""


def bind(
    host: str,
    port: int,
    *,
    loopback_only: bool = False,
    stuck_reader_ms: int = STUCK_READER_TIMEOUT_MS,
) -> socket.socket:
    """A listening TCP socket; port 0 takes a free port.

    It listens at once, so that a second service on the same port fails to start.

    With *loopback_only* other addresses are refused, because no tokens are configured. The kernel
    drops a connection whose reader takes nothing for *stuck_reader_ms* (TCP_USER_TIMEOUT of tcp(7);
    accepted sockets inherit it).

    Raises:
        ConfigurationError: The socket cannot be opened; the text names the setting to change.
    """
    if not 0 <= port <= _PORT_MAX:
        raise ConfigurationError(f"S1_HTTP_PORT={port} is not a port; write 0 to {_PORT_MAX}")
    family, address = _resolve(host, port)
    if loopback_only and not ip_address(address[0]).is_loopback:
        raise ConfigurationError(
            f"S1_HTTP_HOST={host} can be reached from other machines, and no tokens are "
            "configured; make one with chimera-s1 tokens create and name its file in "
            "S1_API_TOKENS_FILE, or listen on 127.0.0.1"
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Linux only; elsewhere a stuck reader keeps its connection until TCP times out.
        if option := getattr(socket, "TCP_USER_TIMEOUT", None):
            listener.setsockopt(socket.IPPROTO_TCP, option, stuck_reader_ms)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(_bind_error_message(error, host, port)) from error
    listener.setblocking(False)  # noqa: FBT003 (the standard library's signature)
    return listener


class HttpServer:
    """Uvicorn on a socket from `bind`.

    Args:
        listener: Closed when serving ends.
        end_streams: Ends every response that would not end by itself.
        connections: Those that are open, at most as many as it says.
        limits: Of each connection.
        graceful_stop_s: How long a stop waits for requests in progress.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        end_streams: Callable[[], None],
        *,
        connections: Connections | None = None,
        limits: ConnectionLimits = LIMITS,
        graceful_stop_s: int = GRACEFUL_STOP_TIMEOUT_S,
    ) -> None:
        self._listener = listener
        self._end_streams = end_streams
        self.url = _url(listener)
        """Like `http://127.0.0.1:8080`."""
        connections = connections or Connections()
        protocol: Any = partial(LimitedProtocol, connections=connections, limits=limits)
        self._server = _Uvicorn(
            uvicorn.Config(
                LimitRequests(app, connections),
                http=protocol,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                headers=[("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")],
                proxy_headers=False,
                timeout_graceful_shutdown=graceful_stop_s,
            ),
            connections,
        )

    async def serve(self, *, task_status: TaskStatus[str] = TASK_STATUS_IGNORED) -> None:
        """Serve until `stop`; report the URL when serving has started."""
        self._server.on_started = lambda: task_status.started(self.url)
        with self._listener:
            try:
                await self._server.serve(sockets=[self._listener])
            finally:
                self._server.stop_accepting()

    def stop(self) -> None:
        """Accept no more connections, end the streams and finish requests in progress."""
        self._end_streams()
        self._server.should_exit = True


class _Uvicorn(uvicorn.Server):
    on_started: Callable[[], None]

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self.servers = []
        self._connections = connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()

    def stop_accepting(self) -> None:
        """Uvicorn does it at an orderly end only; a loop with an open listener does not close."""
        for server in self.servers:
            server.close()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_PER_S == 0:
            self._connections.end_overdue(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn would handle SIGTERM and raise it again at the end: exit code 143.
        yield


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"S1_HTTP_HOST={host} is not an address of this machine ({error}); "
            "write one, like 127.0.0.1 or 0.0.0.0"
        ) from error
    family, _, _, _, address = found[0]
    return family, address


def _bind_error_message(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is taken by another process; set S1_HTTP_PORT to a free "
                "port, or to 0 to have one picked"
            )
        case errno.EACCES:
            return (
                f"port {port} on {host} may not be opened by this user; "
                "set S1_HTTP_PORT to 1024 or above"
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{host} is not an address of this machine; set S1_HTTP_HOST to one that is, "
                "like 127.0.0.1 or 0.0.0.0"
            )
        case _:
            return (
                f"{host} port {port} cannot be opened ({error.strerror}); "
                "change S1_HTTP_HOST or S1_HTTP_PORT"
            )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
