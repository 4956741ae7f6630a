"""A TCP relay in front of the simulator that says when orders, and ends of orders, pass it.

    python -m tests.load.order_tap 127.0.0.1:4001 127.0.0.1:4002

It prints a JSON line with its ports, then one for each `Passage`. `time.perf_counter` is the same
clock in all processes of a machine.
"""

import argparse
import asyncio
import re
import sys
import time
from functools import partial
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

HOST = "127.0.0.1"
FRAME_BYTES_MAX = 4_000
_PLACED = re.compile(rb"POST /.*newClientOrderId=([\w-]+)", re.DOTALL)
_ENDED = re.compile(rb'"CANCELED"')
_CLIENT_ID = re.compile(rb'"[cC]":"((?:s1-)?bench-\w+)"')


class Passage(Struct, frozen=True):
    """Attributes:
    what: `order`: the first byte of the request that places it; `end`: the frame with its end.
    at_s: Of `time.perf_counter`.
    """

    what: str
    client_id: str
    at_s: float


class _Upstream(asyncio.Protocol):
    """What the simulator sends."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._newest = b""

    def data_received(self, data: bytes) -> None:
        at_s = time.perf_counter()
        self._client.reply(data)
        self._newest = (self._newest + data)[-FRAME_BYTES_MAX:]
        if _ENDED.search(self._newest) and (found := _CLIENT_ID.search(self._newest)):
            self._newest = b""
            _say(Passage("end", found[1].decode(), at_s))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._client.close()


class _Client(asyncio.Protocol):
    """What a client sends; its requests follow each other."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._transport: asyncio.Transport | None = None
        self._upstream: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent = b""
        self._request = b""
        self._began_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have its methods, and are no subclass of it.
        self._transport = cast("asyncio.Transport", transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        at_s = time.perf_counter()
        if not self._request:
            self._began_s = at_s
        self._request += data
        if self._upstream is None:
            self._unsent += data
        else:
            self._upstream.write(data)
        if found := _PLACED.match(self._request):
            _say(Passage("order", found[1].decode(), self._began_s))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._upstream is not None:
            self._upstream.close()

    def reply(self, data: bytes) -> None:
        assert self._transport is not None
        self._request = b""
        self._transport.write(data)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(lambda: _Upstream(self), *self._target)
        self._upstream = made[0]
        self._upstream.write(self._unsent)


def _say(message: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def run(targets: list[str]) -> None:
    loop = asyncio.get_running_loop()
    ports: list[int] = []
    servers: list[asyncio.Server] = []
    for target in map(_address, targets):
        server = await loop.create_server(partial(_Client, target), HOST, 0)
        servers.append(server)
        ports.append(server.sockets[0].getsockname()[1])
    _say({"ports": ports})
    await loop.create_future()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+")
    uvloop.run(run(parser.parse_args().targets))
