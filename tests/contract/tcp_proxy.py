"""A TCP proxy in front of a Redis node: it delays, trickles, holds bytes back, refuses writes or
loses replies.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
import hiredis
from anyio.abc import Listener, SocketAttribute, SocketStream

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import HOST, ServerProcess

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class TcpProxy:
    """One connection to the server for each from a client.

    Attributes:
        address: Where clients connect.
        delay_s: How long each read waits before it is passed on to the server, s.
        piece_bytes: The most that is passed to a client at a time; 0 for all there is.
        refusal: Where not empty, an XADD is answered with it and never reaches the server.
        refusals: The same for the next XADD commands only, one each.
        refused: XADD commands answered so.
        lose_reply: The next bytes from the server are lost with their connection.
        lost: Replies lost so.
    """

    def __init__(self, listener: Listener[SocketStream]) -> None:
        self.address = RedisAddress(HOST, int(listener.extra(SocketAttribute.local_port)))
        self.delay_s = 0.0
        self.piece_bytes = 0
        self.refusal = b""
        self.refusals: list[bytes] = []
        self.refused = 0
        self.lose_reply = False
        self.lost = 0
        self._listener = listener
        self._holding = False
        self._links: set[_Link] = set()

    async def serve(self, target: RedisAddress) -> None:
        """Pass everything on to *target* until cancelled."""

        async def connected(client: SocketStream) -> None:
            async with client, AsyncExitStack() as stack:
                try:
                    server = await anyio.connect_tcp(target.host, target.port)
                except OSError:
                    # The server is down: the client finds its connection closed.
                    return
                await stack.enter_async_context(server)
                link = _Link(self, client, server)
                if self._holding:
                    link.gate = anyio.Event()
                self._links.add(link)
                try:
                    await link.run()
                finally:
                    self._links.discard(link)
                    link.ended.set()

        await self._listener.serve(connected)

    def next_refusal(self) -> bytes:
        """Of the next XADD; empty where it is passed on."""
        return self.refusals.pop(0) if self.refusals else self.refusal

    def hold(self) -> None:
        """Hold what open connections send from now on, even after their clients disconnect. Later
        connections are not affected.
        """
        for link in self._links:
            link.gate = anyio.Event()

    def black_hole(self) -> None:
        """Hold what open and later connections send: no client is refused or answered."""
        self._holding = True
        self.hold()

    def release(self) -> None:
        """Pass on what was held, and what comes from now on."""
        self._holding = False
        for link in self._links:
            link.gate.set()

    async def let_go(self) -> None:
        """Pass on what was held; returns when the connections it came over have ended."""
        stuck = [link for link in self._links if link.stuck]
        self.release()
        for link in stuck:
            await link.ended.wait()


class _Link:
    """A client's connection and the server's."""

    def __init__(self, proxy: TcpProxy, client: SocketStream, server: SocketStream) -> None:
        self.gate = anyio.Event()
        self.gate.set()
        self.ended = anyio.Event()
        self.stuck = False
        self._proxy = proxy
        self._client = client
        self._server = server
        self._commands = hiredis.Reader()

    async def run(self) -> None:
        async with anyio.create_task_group() as either:

            async def down() -> None:
                await self._down()
                # The server takes no more.
                either.cancel_scope.cancel()

            either.start_soon(down)
            await self._up()

    async def _up(self) -> None:
        with suppress(*_GONE):
            while True:
                data = await self._client.receive()
                self.stuck = not self.gate.is_set()
                await self.gate.wait()
                if self._proxy.delay_s:
                    await anyio.sleep(self._proxy.delay_s)
                await self._pass_on(data)
        with suppress(*_GONE):
            await self._server.send_eof()

    async def _pass_on(self, data: bytes) -> None:
        if not (self._proxy.refusal or self._proxy.refusals):
            await self._server.send(data)
            return
        self._commands.feed(data)
        while (command := self._commands.gets()) is not False:
            if command[0] == b"XADD" and (refusal := self._proxy.next_refusal()):
                self._proxy.refused += 1
                await self._client.send(refusal)
            else:
                await self._server.send(hiredis.pack_command(tuple(command)))

    async def _down(self) -> None:
        with suppress(*_GONE):
            while True:
                data = await self._server.receive()
                if self._proxy.lose_reply:
                    self._proxy.lose_reply = False
                    self._proxy.lost += 1
                    await self._client.aclose()
                    return
                size = self._proxy.piece_bytes or len(data)
                # A client that has disconnected must not block the server.
                with suppress(*_GONE):
                    for start in range(0, len(data), size):
                        await self._client.send(data[start : start + size])


@asynccontextmanager
async def redis_behind_proxy(
    binary: Path, directory: Path
) -> AsyncIterator[tuple[TcpProxy, ServerProcess]]:
    """A cluster of one node that names the proxy as its address."""
    async with await anyio.create_tcp_listener(local_host=HOST) as listening:
        proxy = TcpProxy(listening)
        announced = ("--cluster-announce-port", str(proxy.address.port))
        async with (
            EmbeddedRedis(directory, binary=binary, options=announced) as redis,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(proxy.serve, redis.nodes[0].address)
            yield proxy, redis.nodes[0]
            tasks.cancel_scope.cancel()
