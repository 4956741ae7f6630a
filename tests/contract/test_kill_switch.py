"""The contract of `KillSwitch`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.kill_switch import RedisKillSwitch
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.kill_switch import KillSwitch
from tests.contract.redis_cluster import Addresses
from tests.fakes.kill_switch import MemoryKillSwitch
from tests.time_limits import TIMEOUT_S

KEY = "kill_switch"


class Switch(Struct):
    """A kill switch, and how a test sets it."""

    port: KillSwitch
    set_value: Callable[[str], Awaitable[None]]
    switch_off: Callable[[], Awaitable[None]] | None = None
    switch_on: Callable[[], Awaitable[None]] | None = None


def memory_switch() -> Switch:
    switch = MemoryKillSwitch()

    async def set_value(value: str) -> None:
        switch.on = value == "on"

    async def switch_off() -> None:
        switch.on = None

    async def switch_on() -> None:
        switch.on = False

    return Switch(switch, set_value, switch_off, switch_on)


@asynccontextmanager
async def redis_switch(addresses: Addresses) -> AsyncIterator[Switch]:
    async with connect_cluster(addresses) as reading, connect_cluster(addresses) as writing:

        async def set_value(value: str | bytes) -> None:
            await writing.execute_command("SET", KEY, value)

        await writing.execute_command("DEL", KEY)
        yield Switch(RedisKillSwitch(reading), set_value)
        await writing.execute_command("DEL", KEY)


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def switch(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[Switch]:
    if request.param == "memory":
        yield memory_switch()
        return
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with redis_switch(addresses) as switch:
        yield switch


@pytest.fixture(params=["memory", "redis"])
async def breakable(
    request: pytest.FixtureRequest, redis_binary: Path, tmp_path: Path
) -> AsyncIterator[Switch]:
    if request.param == "memory":
        yield memory_switch()
        return
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        addresses, nodes = embedded.addresses, embedded.nodes
        async with connect_cluster(addresses) as reading, connect_cluster(addresses) as writing:

            async def set_value(value: str) -> None:
                await writing.execute_command("SET", KEY, value)

            async def switch_on() -> None:
                await nodes[0].start()
                await wait_until_healthy(nodes, replicas=0)

            yield Switch(RedisKillSwitch(reading), set_value, nodes[0].stop, switch_on)


async def test_a_missing_kill_switch_key_reads_as_off(switch: Switch) -> None:
    assert await switch.port.read() is False


async def test_the_value_last_set_is_read(switch: Switch) -> None:
    read: list[bool] = []
    for value in ("on", "off", "on", "on"):
        await switch.set_value(value)
        read.append(await switch.port.read())

    assert read == [True, False, True, True]


async def test_reading_resumes_when_an_unavailable_store_is_back(breakable: Switch) -> None:
    assert breakable.switch_off is not None
    assert breakable.switch_on is not None
    await breakable.port.read()

    await breakable.switch_off()
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.read()

    await breakable.switch_on()
    assert await breakable.port.read() is False


@pytest.mark.parametrize(
    ("value", "on"),
    [
        ("", False),
        ("off", False),
        (" OFF\n", False),
        ("0", False),
        ("False", False),
        ("no", False),
        ("on", True),
        ("1", True),
        ("true", True),
        ("stop everything", True),
        ("offf", True),
        (b"\xff\xfe", True),
    ],
)
async def test_only_known_off_values_read_as_off(
    redis_single_node: Addresses, value: str | bytes, *, on: bool
) -> None:
    async with connect_cluster(redis_single_node) as client:
        await client.execute_command("SET", KEY, value)

        assert await RedisKillSwitch(client).read() is on
        await client.execute_command("DEL", KEY)


@pytest.mark.parametrize("command", [("HSET", KEY, "on", "1"), ("RPUSH", KEY, "on")])
async def test_a_key_of_another_type_reads_as_on(
    redis_single_node: Addresses, command: tuple[str, ...]
) -> None:
    """Somebody has set it, and the value of before would let money move."""
    async with connect_cluster(redis_single_node) as client:
        await client.execute_command("DEL", KEY)
        await client.execute_command(*command)

        assert await RedisKillSwitch(client).read() is True
        await client.execute_command("DEL", KEY)


async def test_reading_from_a_hanging_store_times_out(redis_single_node: Addresses) -> None:
    """CLIENT PAUSE delays every command; the final PING waits for its end."""
    async with (
        connect_cluster(redis_single_node) as reading,
        connect_cluster(redis_single_node) as pausing,
    ):
        switch = RedisKillSwitch(reading, timeout_s=0.2)
        await switch.read()
        await pausing.execute_command("CLIENT PAUSE", 1_000, "ALL", target_nodes="random")

        with (
            anyio.fail_after(TIMEOUT_S),
            pytest.raises(PublisherUnavailableError, match="timed out"),
        ):
            await switch.read()
        await pausing.execute_command("PING", target_nodes="random")
