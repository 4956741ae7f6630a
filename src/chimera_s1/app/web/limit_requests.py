"""Limits the requests in progress; requests of orchestrators and Prometheus are always served."""

from urllib.parse import quote

from litestar.types import ASGIApp, Receive, Scope, Send

from chimera_s1.app.web.connections import Connections
from chimera_s1.app.web.problem_kinds import BUSY
from chimera_s1.app.web.raw_problem import problem_message

PROBE_PATHS = frozenset({"/health", "/ready", "/metrics"})


class LimitRequests:
    """The ASGI application *app*, or 503 while `Connections.requests_max` are in progress."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app = app
        self._connections = connections
        self._in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBE_PATHS:
            await self._app(scope, receive, send)
        elif self._in_progress >= self._connections.requests_max:
            self._connections.requests_refused += 1
            await _refuse(scope["path"], send)
        else:
            self._in_progress += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._in_progress -= 1


async def _refuse(path: str, send: Send) -> None:
    headers, body = problem_message(BUSY, "too many requests are in progress; retry", quote(path))
    await send({"type": "http.response.start", "status": BUSY.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
