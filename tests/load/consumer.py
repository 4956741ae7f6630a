"""A consumer of market events: one group per stream, blocking reads, acknowledgements.

    python -m tests.load.consumer --redis 127.0.0.1:7001 --group s2 --symbols 20 --kind steady

`steady` reads at once, `slow` pauses after each read, `dying` reads entries and exits without
acknowledging them. Prints a JSON line per second with the ages of the entries read.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import anyio
import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from chimera_s1.adapters.redis.addresses import RedisAddress, parse_addresses
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from tests.load.book_frames import symbol_name

READ_COUNT = 100
BLOCK_MS = 1_000
SLOW_COUNT, SLOW_PAUSE_S = 10, 2.0
PERIOD_S = 1.0
KINDS = ("steady", "slow", "dying")

_clock = SystemClock()


class Ages(Struct, frozen=True):
    """A line of output; ages are ms from an entry's `ts` to its receipt here."""

    at_ms: int
    ages_ms: list[int]


def stream_of(number: int, venue: Venue) -> str:
    return quote_stream(InstrumentId(venue, parse_symbol(symbol_name(number))))


class Consumer:
    """Readers of one process, one connection per stream."""

    def __init__(self, group: str, kind: str) -> None:
        self._group = group
        self._kind = kind
        self._ages_ms: list[int] = []

    async def run(self, streams: dict[str, RedisAddress]) -> None:
        async with anyio.create_task_group() as tasks:
            for stream, address in streams.items():
                tasks.start_soon(self._read, stream, address)
            while True:
                await anyio.sleep(PERIOD_S)
                ages, self._ages_ms = self._ages_ms, []
                sys.stdout.write(msgspec.json.encode(Ages(_clock.now_ms(), ages)).decode() + "\n")
                sys.stdout.flush()
                if self._kind == "dying" and ages:
                    os._exit(1)

    async def _read(self, stream: str, address: RedisAddress) -> None:
        count = READ_COUNT if self._kind == "steady" else SLOW_COUNT
        async with Redis(
            host=address.host, port=address.port, protocol=2, decode_responses=True
        ) as client:
            await client.xgroup_create(stream, self._group, "$", mkstream=True)
            while True:
                # A list of one stream, or nothing: [[stream, [(id, fields), ...]]].
                replies: Any = await client.xreadgroup(
                    self._group, "one", {stream: ">"}, count=count, block=BLOCK_MS
                )
                for _, entries in replies or []:
                    await self._take(client, stream, entries)

    async def _take(
        self, client: Redis, stream: str, entries: list[tuple[str, dict[str, str]]]
    ) -> None:
        now_ms = _clock.now_ms()
        self._ages_ms += [now_ms - int(fields["ts"]) for _, fields in entries]
        if self._kind == "dying":
            await anyio.sleep_forever()
        await client.xack(stream, self._group, *(entry_id for entry_id, _ in entries))
        if self._kind == "slow":
            await anyio.sleep(SLOW_PAUSE_S)


async def consume(given: argparse.Namespace) -> None:
    addresses = parse_addresses(given.redis)
    streams: dict[str, RedisAddress] = {}
    async with connect_cluster(addresses) as client:
        for number in range(given.symbols):
            stream = stream_of(number, Venue(given.venue))
            node = client.get_node_from_key(stream)
            assert node is not None, "a cluster with all slots serves every stream"
            streams[stream] = RedisAddress(str(node.host), int(node.port))
    await Consumer(given.group, given.kind).run(streams)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A consumer of market events.")
    parser.add_argument("--redis", required=True, help="host:port,host:port")
    parser.add_argument("--group", required=True)
    parser.add_argument("--symbols", type=int, required=True)
    parser.add_argument("--venue", choices=["spot", "perp"], default="perp")
    parser.add_argument("--kind", choices=KINDS, default="steady")
    anyio.run(consume, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
