"""A TCP relay in front of the simulator that says when orders, and ends of orders, pass it.

    python -m tests.load.order_tap 127.0.0.1:4001 127.0.0.1:4002

It prints a JSON line with its ports, then one for each `Passage`. `time.perf_counter` is the same
clock in all processes of a machine. When an order passes is the kernel's time of its first byte:
this process may have to wait for its core, and for its caches, the longer it had nothing to do.
"""

import argparse
import asyncio
import re
import socket
import struct
import sys
import time
from contextlib import suppress
from functools import partial
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

HOST = "127.0.0.1"
FRAME_BYTES_MAX = 4_000
READ_BYTES = 65_536
SO_TIMESTAMPNS = 35
_TIMESTAMP = struct.Struct("qq")
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
    """What a client sends; its requests follow each other.

    *arriving* is the same socket: transports do not give the kernel's time of a packet.
    """

    def __init__(self, target: tuple[str, int], arriving: socket.socket) -> None:
        self._target = target
        self._arriving = arriving
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
        """Only of what arrives at once with the connection."""
        self._take(data, time.perf_counter())

    def _read(self) -> None:
        try:
            # The time is that of the last packet read: so only the first byte at first.
            first, extra, _, _ = self._arriving.recvmsg(1, socket.CMSG_SPACE(_TIMESTAMP.size))
        except BlockingIOError:
            return
        except OSError:
            first = b""
        if not first:
            self.close()
            return
        with suppress(OSError):
            first += self._arriving.recv(READ_BYTES)
        self._take(first, _arrival_s(extra))

    def _take(self, data: bytes, at_s: float) -> None:
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
        asyncio.get_running_loop().remove_reader(self._arriving.fileno())
        self._arriving.close()
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
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._transport.pause_reading()
        loop.add_reader(self._arriving.fileno(), self._read)
        made = await loop.create_connection(lambda: _Upstream(self), *self._target)
        self._upstream = made[0]
        self._upstream.write(self._unsent)


def _arrival_s(extra: list[tuple[int, int, bytes]]) -> float:
    """By `time.perf_counter`."""
    ((_, _, timestamp),) = extra
    seconds, nanoseconds = map(int, _TIMESTAMP.unpack(timestamp))
    return time.perf_counter() - (
        time.clock_gettime(time.CLOCK_REALTIME) - seconds - nanoseconds / 1e9
    )


async def _accept(listener: socket.socket, target: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        accepted, _ = await loop.sock_accept(listener)
        accepted.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        arriving = accepted.dup()
        arriving.setblocking(False)  # noqa: FBT003 (of the library)
        await loop.connect_accepted_socket(partial(_Client, target, arriving), accepted)


def _say(message: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def run(targets: list[str]) -> None:
    ports: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        for target in map(_address, targets):
            listener = socket.create_server((HOST, 0))
            listener.setblocking(False)  # noqa: FBT003 (of the library)
            ports.append(listener.getsockname()[1])
            tasks.create_task(_accept(listener, target))
        _say({"ports": ports})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+")
    uvloop.run(run(parser.parse_args().targets))
