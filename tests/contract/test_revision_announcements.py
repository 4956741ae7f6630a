"""The contract of `RevisionAnnouncements`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.revision_announcements import RedisRevisionAnnouncements
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.revision_announcements import RevisionAnnouncements
from tests.contract.redis_cluster import Addresses
from tests.fakes.configuration import MemoryRevisionAnnouncements
from tests.time_limits import TIMEOUT_S

KEY, STREAM = "cfg:active_rev", "cfg:events"


class Announced(Struct):
    """Announcements, and how a test makes them, in S10's place."""

    port: RevisionAnnouncements
    set_rev: Callable[[int], Awaitable[None]]
    add_entry: Callable[[], Awaitable[None]]


def in_memory() -> Announced:
    memory = MemoryRevisionAnnouncements(wait_s=0.05)

    async def set_rev(rev: int) -> None:
        memory.rev = rev

    async def add_entry() -> None:
        memory.add_entry()

    return Announced(memory, set_rev, add_entry)


@asynccontextmanager
async def in_redis(addresses: Addresses, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Announced]:
    async with connect_cluster(addresses) as reading, connect_cluster(addresses) as writing:

        async def set_rev(rev: int) -> None:
            await writing.execute_command("SET", KEY, rev)

        async def add_entry() -> None:
            await writing.execute_command("XADD", STREAM, "*", "rev", 13, "ts", 1)

        for key in (KEY, STREAM):
            await writing.execute_command("DEL", key)
        port = RedisRevisionAnnouncements(reading, wait_ms=100, timeout_s=timeout_s)
        yield Announced(port, set_rev, add_entry)
        for key in (KEY, STREAM):
            await writing.execute_command("DEL", key)


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def announced(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[Announced]:
    if request.param == "memory":
        yield in_memory()
        return
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with in_redis(addresses) as announced:
        yield announced


async def test_the_last_revision_is_read(announced: Announced) -> None:
    assert await announced.port.current() is None
    for rev in (12, 13):
        await announced.set_rev(rev)
        assert await announced.port.current() == rev


async def test_an_entry_ends_the_wait_once(announced: Announced) -> None:
    assert await announced.port.wait() is False
    await announced.add_entry()
    await announced.add_entry()

    assert await announced.port.wait() is True
    assert await announced.port.wait() is False


async def test_an_entry_during_the_wait_ends_it(announced: Announced) -> None:
    await announced.port.wait()

    async def add_when_waiting() -> None:
        await announced.add_entry()

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(add_when_waiting)
            while not await announced.port.wait():
                pass


async def test_entries_before_the_first_wait_do_not_count(redis_single_node: Addresses) -> None:
    async with in_redis(redis_single_node) as announced:
        await announced.add_entry()

        assert await announced.port.wait() is False


@pytest.mark.parametrize("value", ["", "abc", "-1", "1.5", "\x1b[2J"])
async def test_a_key_that_holds_no_revision_is_named(
    redis_single_node: Addresses, value: str
) -> None:
    async with connect_cluster(redis_single_node) as client:
        await client.execute_command("SET", KEY, value)

        with pytest.raises(PublisherUnavailableError, match=r"cfg:active_rev holds '.*', which is"):
            await RedisRevisionAnnouncements(client).current()
        await client.execute_command("DEL", KEY)


async def test_keys_of_another_type_raise(redis_single_node: Addresses) -> None:
    async with in_redis(redis_single_node) as announced:
        async with connect_cluster(redis_single_node) as client:
            await client.execute_command("HSET", KEY, "rev", 1)
            await client.execute_command("SET", STREAM, "1")
        with pytest.raises(PublisherUnavailableError, match="WRONGTYPE"):
            await announced.port.current()
        with pytest.raises(PublisherUnavailableError, match="WRONGTYPE"):
            await announced.port.wait()


async def found(port: RevisionAnnouncements) -> bool:
    """Whether an entry was found; the timeout is short, and a busy machine may exceed it."""
    with suppress(PublisherUnavailableError):
        return await port.wait()
    return False


async def test_waiting_goes_on_when_redis_is_back(redis_binary: Path, tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        [node] = embedded.nodes
        async with in_redis(embedded.addresses, timeout_s=0.3) as announced:
            await announced.port.wait()
            await node.stop()
            with pytest.raises(PublisherUnavailableError):
                await announced.port.wait()
            with pytest.raises(PublisherUnavailableError):
                await announced.port.current()

            await node.start()
            await wait_until_healthy(embedded.nodes, replicas=0)
            await announced.set_rev(13)
            await announced.add_entry()
            with anyio.fail_after(TIMEOUT_S):
                while not await found(announced.port):
                    pass
