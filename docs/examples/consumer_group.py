"""A consumer group over several symbols, with redis-py alone:

python consumer_group.py GROUP CONSUMER spot:BTCUSDT perp:ETHUSDT
"""

import asyncio
import os
import sys

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError, ResponseError

IDLE_MS = int(os.environ.get("IDLE_MS", "60000"))  # a consumer without an ack this long is dead
PAUSE_S = 0.5
states: dict[tuple[str, str], str] = {}  # (venue, symbol) -> state
shared: dict[tuple[str, str], str] = {}  # (venue, connection) -> what all its symbols have
gaps: dict[tuple[str, str, str], int] = {}  # (venue, since, cause) -> ts


def connect() -> RedisCluster:
    nodes = [each.rsplit(":", 1) for each in os.environ["S1_REDIS_ADDRESSES"].split(",")]
    return RedisCluster(
        startup_nodes=[ClusterNode(host, int(port)) for host, port in nodes],
        decode_responses=True,
        protocol=2,
        socket_timeout=5,  # longer than the BLOCK below
    )


def record_status(venue: str, fields: dict[str, str]) -> None:
    symbol, state, cause = fields["symbol"], fields["state"], fields["cause"]
    if state == "GAP":
        gaps[venue, fields["since"], cause] = int(fields["ts"])
    elif state == "RESUMED":
        gaps.pop((venue, fields["since"], cause), None)
    elif symbol == "*":
        shared[venue, cause.split(" ")[0]] = state
    else:
        states[venue, symbol] = state


def state_of(venue: str, fields: dict[str, str]) -> str:
    """GAP: nothing later than the quote was received from a lost connection of the venue."""
    if any(each == venue and int(fields["ts"]) <= ts for (each, *_), ts in gaps.items()):
        return "GAP"
    worse = [state for (each, _), state in shared.items() if each == venue and state != "LIVE"]
    return worse[0] if worse else states.get((venue, fields["symbol"]), "UNKNOWN")


def handle(venue: str, fields: dict[str, str]) -> None:
    state = state_of(venue, fields)  # trade on LIVE and QUIET only
    print(fields["symbol"], fields["bid1"], fields["ask1"], state, flush=True)


class Reader:
    """One stream. Two streams are in two slots, and one command for both is a CROSSSLOT error."""

    def __init__(self, stream: str, group: str, consumer: str) -> None:
        self.stream, self.group, self.consumer = stream, group, consumer
        self.contents: dict[str, dict[str, str]] = {}  # src -> last content

    async def run(self) -> None:
        while True:
            try:
                async with connect() as redis:
                    await self.read(redis)
            except (RedisError, OSError) as error:  # a node is down, or Redis was restarted
                print(self.stream, "cannot be read:", error, file=sys.stderr)
                await asyncio.sleep(PAUSE_S)

    async def read(self, redis: RedisCluster) -> None:
        try:
            await redis.xgroup_create(self.stream, self.group, id="$", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # it exists
                raise
        await self.take(redis, await self.read_group(redis, "0"))  # ours, from before a crash
        while True:
            await self.look_for_trimmed(redis)
            await self.claim(redis)
            await self.take(redis, await self.read_group(redis, ">"))

    async def look_for_trimmed(self, redis: RedisCluster) -> None:
        """Where the last delivered entry is gone, later ones may be gone too."""
        for each in await redis.xinfo_groups(self.stream):
            last = each["last-delivered-id"]
            if each["name"] != self.group or last == "0-0":
                continue
            if not await redis.xrange(self.stream, last, last):
                print(self.stream, "may have lost entries after", last, file=sys.stderr)

    async def read_group(self, redis: RedisCluster, after: str) -> list:
        found = await redis.xreadgroup(
            self.group, self.consumer, {self.stream: after}, count=100, block=1000
        )
        return found[0][1] if found else []

    async def claim(self, redis: RedisCluster) -> None:
        """Take over what a dead consumer has read and not acknowledged."""
        start = "0-0"
        while True:
            start, entries, *rest = await redis.xautoclaim(
                self.stream, self.group, self.consumer, IDLE_MS, start, count=100
            )
            if rest and rest[0]:
                print(self.stream, "lost, trimmed before the ack:", *rest[0], file=sys.stderr)
            await self.take(redis, entries)
            if start == "0-0":
                return

    async def take(self, redis: RedisCluster, entries: list) -> None:
        for entry_id, fields in entries:
            if fields and self.is_new_quote(fields):  # no fields: trimmed
                handle(self.stream.split(":")[2], fields)
            await redis.xack(self.stream, self.group, entry_id)

    def is_new_quote(self, fields: dict[str, str]) -> bool:
        source = fields["src"]
        if not source.startswith("binance."):  # replay.*: recorded data
            return False
        repeated = self.contents.get(source) == fields  # the same update under another id
        self.contents[source] = fields
        return not repeated


async def read_status(venue: str) -> None:
    """Every consumer needs every entry, so there is no group."""
    stream, last = f"mkt:status:{venue}", ""
    while True:
        try:
            async with connect() as redis:
                if not last:
                    history = await redis.xrevrange(stream, count=10_000)
                    last = history[0][0] if history else "0-0"
                    for _, fields in reversed(history):
                        record_status(venue, fields)
                while True:
                    for _, entries in await redis.xread({stream: last}, block=1000):
                        for entry_id, fields in entries:
                            record_status(venue, fields)
                            last = entry_id
        except (RedisError, OSError) as error:
            print(stream, "cannot be read:", error, file=sys.stderr)
            await asyncio.sleep(PAUSE_S)


async def main(group: str, consumer: str, *names: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        for venue in {name.split(":")[0] for name in names}:
            tasks.create_task(read_status(venue))
        for name in names:
            tasks.create_task(Reader(f"mkt:events:{name}", group, consumer).run())


asyncio.run(main(*sys.argv[1:]))
