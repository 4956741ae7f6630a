"""Attacks on the HTTP server, for `tests.load.bench_door`: no token, a few sockets.

As a module it runs one of them until it is terminated, and prints a JSON line once it has begun:

    python -m tests.load.door_attacks --port 8080 --attack endless-headers
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from itertools import count

import anyio
from anyio.abc import SocketStream

IDLE_CONNECTIONS = 1_500
_RETRY_S = 0.05


async def endless_headers(port: int) -> None:
    """Sockets that send one header without end."""
    piece = b"x" * 65_536
    await _repeat(5, port, b"GET /health HTTP/1.1\r\nHost: s1\r\nA: ", lambda c: _flood(c, piece))


async def many_headers(port: int) -> None:
    """Sockets that send short headers without end."""
    piece = b"A: b\r\n" * 10_000
    await _repeat(5, port, b"GET /health HTTP/1.1\r\nHost: s1\r\n", lambda c: _flood(c, piece))


async def idle_connections(port: int) -> None:
    """More connections than there may be, each opened again when the server ends it."""
    await _repeat(IDLE_CONNECTIONS, port, b"", _wait)


async def pipelined_metrics(port: int) -> None:
    await _repeat(2, port, b"GET /metrics HTTP/1.1\r\nHost: s1\r\n\r\n" * 5_000, _read)


async def pipelined_schema(port: int) -> None:
    await _repeat(2, port, b"GET /schema HTTP/1.1\r\nHost: s1\r\n\r\n" * 5_000, _read)


async def slow_readers(port: int) -> None:
    """Requests for the largest public page whose replies are not read."""
    await _repeat(300, port, b"GET /schema HTTP/1.1\r\nHost: s1\r\n\r\n" * 16, _sleep)


ATTACKS: dict[str, Callable[[int], Awaitable[None]]] = {
    "endless-headers": endless_headers,
    "many-headers": many_headers,
    "idle-connections": idle_connections,
    "pipelined-metrics": pipelined_metrics,
    "pipelined-schema": pipelined_schema,
    "slow-readers": slow_readers,
}


async def _repeat(
    clients: int, port: int, opening: bytes, then: Callable[[SocketStream], Awaitable[None]]
) -> None:
    """*clients* at a time that connect, send *opening* and go on as *then*; again when they end."""

    async def client() -> None:
        while True:
            try:
                async with await anyio.connect_tcp("127.0.0.1", port) as connection:
                    await connection.send(opening)
                    await then(connection)
            except (OSError, anyio.BrokenResourceError, anyio.EndOfStream):
                pass
            await anyio.sleep(_RETRY_S)

    async with anyio.create_task_group() as tasks:
        for _ in range(clients):
            tasks.start_soon(client)
        sys.stdout.write('{"attacking": true}\n')
        sys.stdout.flush()


async def _flood(connection: SocketStream, piece: bytes) -> None:
    for _ in count():
        await connection.send(piece)


async def _read(connection: SocketStream) -> None:
    for _ in count():
        await connection.receive()


async def _wait(connection: SocketStream) -> None:
    await connection.receive()


async def _sleep(_connection: SocketStream) -> None:
    await anyio.sleep(20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.door_attacks")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--attack", choices=list(ATTACKS), required=True)
    given = parser.parse_args()
    anyio.run(ATTACKS[given.attack], given.port, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
