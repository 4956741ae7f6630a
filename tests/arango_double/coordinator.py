"""One coordinator: an HTTP server on a port of its own."""

import asyncio

import orjson
from aiohttp import web

from tests.arango_double.fault_injection import ConnectionDropped, CoordinatorDown, FaultInjector
from tests.arango_double.http_messages import Request, Response, split_database

HOST = "127.0.0.1"
_SHUTDOWN_S = 1.0
_HEADERS = {
    "server": "ArangoDB",
    "x-arango-queue-time-seconds": "0.000000",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache, no-store, must-revalidate, pre-check=0, post-check=0, max-age=0",
    "pragma": "no-cache",
    "expires": "0",
    "content-type": "application/json; charset=utf-8",
}


class Coordinator:
    """Goes down, and up again on the same port.

    Attributes:
        downs: How often it went down.
    """

    def __init__(self, index: int, injector: FaultInjector) -> None:
        self.downs = 0
        self._index = index
        self._injector = injector
        self._port = 0
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    async def start(self) -> None:
        """Listen, unless it does.

        Raises:
            OSError: Another process has taken the port.
        """
        if self._listener is not None:
            return
        self._server = self._server or web.Server(self._respond, access_log=None)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, HOST, self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Break all connections and refuse new ones, unless it is down."""
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._listener = None
        self.downs += 1

    async def close(self) -> None:
        """Stop, and end the requests in flight."""
        self.stop()
        if self._server is not None:
            await self._server.shutdown(_SHUTDOWN_S)

    async def _respond(self, incoming: web.BaseRequest) -> web.StreamResponse:
        database, path = split_database(incoming.raw_path.partition("?")[0])
        request = Request(
            coordinator=self._index,
            method=incoming.method,
            database=database,
            path=path,
            parameters=dict(incoming.query),
            headers={name.lower(): value for name, value in incoming.headers.items()},
            body=await incoming.content.read(),
        )
        try:
            return _web_response(await self._injector.respond(request))
        except ConnectionDropped as dropped:
            if isinstance(dropped, CoordinatorDown):
                self.stop()
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response()


def _web_response(response: Response) -> web.Response:
    return web.Response(
        status=response.status,
        body=orjson.dumps(response.body),
        headers={**_HEADERS, **response.headers},
    )
