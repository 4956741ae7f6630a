"""The contract of `PublisherLease`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.publisher_lease import RedisPublisherLease
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.publisher_lease import LeaseHolder, PublisherLease
from tests.contract.redis_cluster import Addresses
from tests.fakes.manual_clock import ManualClock
from tests.fakes.publisher_lease import STANDBY_MS, MemoryPublisherLease

MINUTE_MS = 60_000


class Harness(Struct):
    """A lease, how a test ends it, and how it lets a standby fall silent."""

    lease: PublisherLease
    expire: Callable[[], Awaitable[None]]
    silence_standby: Callable[[], Awaitable[None]]


@asynccontextmanager
async def memory_lease() -> AsyncIterator[Harness]:
    clock = ManualClock()

    async def expire() -> None:
        await clock.advance(MINUTE_MS)

    async def silence_standby() -> None:
        await clock.advance(STANDBY_MS)

    yield Harness(MemoryPublisherLease(clock), expire, silence_standby)


@asynccontextmanager
async def redis_lease(addresses: Addresses) -> AsyncIterator[Harness]:
    async with connect_cluster(addresses) as client, connect_cluster(addresses) as operator:
        lease = RedisPublisherLease(client, f"live:spot:{uuid4()}")

        async def expire() -> None:
            key = f"s1:lease:publisher:{lease.name}"
            assert await operator.execute_command("PEXPIRE", key, -1) == 1

        async def silence_standby() -> None:
            key = f"s1:lease:publisher:{lease.name}"
            assert await operator.execute_command("HSET", key, "standby_until", 1) == 0

        yield Harness(lease, expire, silence_standby)


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def harness(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[Harness]:
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    made = memory_lease() if request.param == "memory" else redis_lease(addresses)
    async with made as harness:
        yield harness


async def test_one_of_many_concurrent_callers_gets_the_lease(harness: Harness) -> None:
    """The others are told its owner."""
    seen: dict[str, LeaseHolder] = {}

    async def acquire(owner: str) -> None:
        seen[owner] = await harness.lease.acquire(owner, MINUTE_MS)

    async with anyio.create_task_group() as callers:
        for number in range(20):
            callers.start_soon(acquire, f"s1-{number}")

    owners = {each.owner for each in seen.values()}
    assert len(owners) == 1
    assert seen[owners.pop()].remaining_ms == MINUTE_MS
    assert all(0 < each.remaining_ms <= MINUTE_MS for each in seen.values())


async def test_a_holder_renews_its_lease(harness: Harness) -> None:
    await harness.lease.acquire("a", 1_000)

    assert await harness.lease.acquire("a", MINUTE_MS) == LeaseHolder("a", MINUTE_MS)

    other = await harness.lease.acquire("b", MINUTE_MS)
    assert other.owner == "a"
    assert other.remaining_ms > 1_000


async def test_a_holder_learns_of_the_standby_that_asked_last(harness: Harness) -> None:
    """One that stops asking is forgotten."""
    assert not (await harness.lease.acquire("a", MINUTE_MS)).standby
    for standby in ("b", "c"):
        await harness.lease.acquire(standby, MINUTE_MS)
        assert (await harness.lease.acquire("a", MINUTE_MS)).standby == standby

    await harness.silence_standby()

    assert not (await harness.lease.acquire("a", MINUTE_MS)).standby


async def test_a_standby_that_took_over_is_no_standby(harness: Harness) -> None:
    await harness.lease.acquire("a", MINUTE_MS)
    await harness.lease.acquire("b", MINUTE_MS)
    await harness.lease.release("a")

    assert not (await harness.lease.acquire("b", MINUTE_MS)).standby


async def test_an_expired_lease_is_free(harness: Harness) -> None:
    """The earlier holder is told the new one."""
    await harness.lease.acquire("a", MINUTE_MS)
    await harness.expire()

    assert (await harness.lease.acquire("b", MINUTE_MS)).owner == "b"
    assert (await harness.lease.acquire("a", MINUTE_MS)).owner == "b"


async def test_a_released_lease_is_free(harness: Harness) -> None:
    """Releasing the lease of another owner changes nothing."""
    await harness.lease.acquire("a", MINUTE_MS)

    await harness.lease.release("b")
    assert (await harness.lease.acquire("b", MINUTE_MS)).owner == "a"
    await harness.lease.release("a")

    assert (await harness.lease.acquire("b", MINUTE_MS)).owner == "b"


async def test_an_unavailable_store_is_reported(redis_binary: Path, tmp_path: Path) -> None:
    """By acquire and by release, in memory as over Redis."""
    memory = MemoryPublisherLease(ManualClock())
    memory.unavailable = True
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as redis,
        connect_cluster(redis.addresses) as client,
    ):
        await redis.nodes[0].stop()
        for lease in (memory, RedisPublisherLease(client, "live:spot", timeout_s=0.2)):
            with pytest.raises(PublisherUnavailableError):
                await lease.acquire("a", MINUTE_MS)
            with pytest.raises(PublisherUnavailableError):
                await lease.release("a")


async def test_a_key_of_another_type_is_reported_in_the_servers_words(
    redis_single_node: Addresses,
) -> None:
    async with connect_cluster(redis_single_node) as client:
        lease = RedisPublisherLease(client, str(uuid4()))
        await client.execute_command("LPUSH", f"s1:lease:publisher:{lease.name}", "x")

        with pytest.raises(PublisherUnavailableError, match="WRONGTYPE"):
            await lease.acquire("a", MINUTE_MS)
