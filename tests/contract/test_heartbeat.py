"""The contract of `Heartbeat`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
from msgspec import Struct, structs

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.heartbeat import EXPIRES_MS, RedisHeartbeat
from chimera_s1.adapters.redis.keys import HEARTBEAT_INDEX
from chimera_s1.domain.ports.heartbeat import Heartbeat, HeartbeatRecord
from tests.contract.redis_cluster import Addresses
from tests.fakes.heartbeat import MemoryHeartbeat

RECORD = HeartbeatRecord(
    instance="host-7",
    ts=1_772_514_460_893,
    started_at=1_772_514_460_000,
    version="1",
    environment="simulator",
    venues="spot,perp",
    shard="0/1",
)


class Shown(Struct):
    """A heartbeat, and what it shows of an instance."""

    port: Heartbeat
    read: Callable[[str], Awaitable[HeartbeatRecord | None]]


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def heartbeat(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[Shown]:
    if request.param == "memory":
        memory = MemoryHeartbeat()

        async def look_up(instance: str) -> HeartbeatRecord | None:
            return memory.shown.get(instance)

        yield Shown(memory, look_up)
        return
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with connect_cluster(addresses) as client:

        async def read(instance: str) -> HeartbeatRecord | None:
            text = await client.execute_command("GET", f"s1:heartbeat:{instance}")
            return text and msgspec.json.decode(text, type=HeartbeatRecord)

        yield Shown(RedisHeartbeat(client), read)


async def test_the_last_beat_of_each_instance_is_shown(heartbeat: Shown) -> None:
    other = structs.replace(RECORD, instance="host-8", shard="1/2")
    later = structs.replace(RECORD, ts=RECORD.ts + 2_000)
    for record in (RECORD, other, later):
        await heartbeat.port.beat(record)

    assert await heartbeat.read("host-7") == later
    assert await heartbeat.read("host-8") == other


async def test_an_ended_heartbeat_is_gone_and_may_end_again(heartbeat: Shown) -> None:
    await heartbeat.port.beat(RECORD)
    for _ in range(2):
        await heartbeat.port.end(RECORD.instance)

        assert await heartbeat.read(RECORD.instance) is None


async def test_instances_of_an_environment_are_counted(heartbeat: Shown) -> None:
    """Whatever they serve; those that ended no more."""
    before = await heartbeat.port.count_others("counted", "none")
    for instance, environment in (("one", "counted"), ("two", "counted"), ("three", "other")):
        record = structs.replace(RECORD, instance=instance, environment=environment)
        await heartbeat.port.beat(record)
    assert await heartbeat.port.count_others("counted", "none") - before == 2
    assert await heartbeat.port.count_others("counted", "two") - before == 1

    await heartbeat.port.end("one")
    assert await heartbeat.port.count_others("counted", "none") - before == 1
    for instance in ("two", "three"):
        await heartbeat.port.end(instance)


async def test_a_beat_that_cannot_be_read_counts(redis_single_node: Addresses) -> None:
    """As one of a later version: too small a share is safe, too large a one is not."""
    async with connect_cluster(redis_single_node) as client:
        heartbeat, far_ahead = RedisHeartbeat(client), 2 * RECORD.ts
        await client.execute_command("ZADD", HEARTBEAT_INDEX, far_ahead, '{"v":2}')
        counted = await heartbeat.count_others("no such environment", "none")
        await heartbeat.end('{"v":2}')
        left = await heartbeat.count_others("no such environment", "none")

    assert (counted, left) == (1, 0)


async def test_an_instance_that_was_killed_is_not_counted(redis_single_node: Addresses) -> None:
    """Its last beat is too old, by the clock of Redis."""
    async with connect_cluster(redis_single_node) as client:
        await client.execute_command("ZADD", HEARTBEAT_INDEX, 1, "killed host-9")

        assert await RedisHeartbeat(client).count_others("killed", "none") == 0


async def test_a_beat_expires(redis_single_node: Addresses) -> None:
    """A process that was killed cannot end its heartbeat; Redis does."""
    async with connect_cluster(redis_single_node) as client:
        await RedisHeartbeat(client).beat(RECORD)
        left_ms = await client.execute_command("PTTL", "s1:heartbeat:host-7")

    assert 0 < left_ms <= EXPIRES_MS
