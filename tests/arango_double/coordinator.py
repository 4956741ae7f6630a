"""
One port of the cluster.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from tests.arango_double.front import Dropped, Front, WentDown
from tests.arango_double.requests_in import Answer, Request, split_database

HOST = "127.0.0.1"
_SHUTDOWN_SECONDS = 1.0
_HEADERS = {
    "server": "ArangoDB",
    "x-arango-queue-time-seconds": "0.000000",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache, no-store, must-revalidate, pre-check=0, post-check=0, max-age=0",
    "pragma": "no-cache",
    "expires": "0",
}
_JSON = "application/json; charset=utf-8"


class Coordinator:
    """
    A server that can go down, and up again on the same port.

    Attributes:
        port: 0 before its first start, where the system may choose.

        downs: How often it went down.
    """

    def __init__(self, index: int, port: int, front: Front) -> None:
        self.index = index
        self.port = port
        self.downs = 0
        self._front = front
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """
        Where clients connect.
        """
        return f"http://{HOST}:{self.port}"

    @property
    def up(self) -> bool:
        """
        Whether it listens.
        """
        return self._listener is not None

    async def go_up(self) -> None:
        """
        Listen; nothing where it does.

        Raises:
            OSError: The port is somebody else's.
        """
        if self._listener is not None:
            return
        self._server = self._server or web.Server(self._respond, access_log=None)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, HOST, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def go_down(self) -> None:
        """
        Break all connections and refuse new ones; nothing where it is down.
        """
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._listener = None
        self.downs += 1

    async def close(self) -> None:
        """
        Go down and end what is under way.
        """
        self.go_down()
        if self._server is not None:
            await self._server.shutdown(_SHUTDOWN_SECONDS)

    async def _respond(self, incoming: web.BaseRequest) -> web.StreamResponse:
        database, path = split_database(incoming.raw_path.partition("?")[0])
        request = Request(
            coordinator=self.index,
            method=incoming.method,
            database=database,
            path=path,
            query=dict(incoming.query),
            headers={name.lower(): value for name, value in incoming.headers.items()},
            body=await incoming.content.read(),
        )
        try:
            return _response(await self._front.answer(request))
        except Dropped as dropped:
            if isinstance(dropped, WentDown):
                self.go_down()
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response()


def _response(answer: Answer) -> web.Response:
    headers: Mapping[str, Any] = {**_HEADERS, **answer.headers}
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    body = orjson.dumps(answer.body)
    typed = {**headers, "content-type": _JSON}
    return web.Response(status=answer.status, body=body, headers=typed)
