"""Two services with one share of the instruments, as real processes: who publishes, and when not.

Every update is published (window 0), so that one that is missing or repeated shows.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct
from redis.asyncio import Redis

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from tests.contract.service_process import (
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import ChimeraProcess, simulator_process

STREAM = "mkt:events:spot:BTCUSDT"
UPDATES = 10


class Pair(Struct):
    """The services, their simulator, and a client of their Redis."""

    one: Service
    other: Service
    simulator: ChimeraProcess
    redis: Redis

    async def updates_after(self, last_id: str, count: int = UPDATES) -> str:
        """Wait for *count* entries after *last_id*; the id of the last one."""
        reader = StreamReader(self.redis, STREAM, after=last_id)
        for _ in range(count):
            last_id, _ = await reader.next()
        return last_id

    async def published(self) -> list[int]:
        """The update ids on the stream, oldest first."""
        entries: Any = await self.redis.xrange(STREAM)
        return [int(entry_id.partition("-")[2]) for entry_id, _ in entries]

    async def sent(self) -> list[int]:
        """The update ids that the simulator has sent last, oldest first."""
        async with httpx2.AsyncClient(base_url=self.simulator.ready["control_url"]) as control:
            reply = (await control.get("/sim/quotes/spot/BTCUSDT")).raise_for_status().json()
        return [frame["data"]["u"] for frame in reply["frames"]]


@pytest.fixture
async def pair(redis_binary: Path, tmp_path: Path) -> AsyncIterator[Pair]:
    """The first one publishes, the second one stands by, and both receive."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            simulator_process("--symbols", "BTCUSDT", "--rate", "20")
        )
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path / "redis", binary=redis_binary)
        )
        environ = {
            **simulated(simulator.ready, "spot/BTCUSDT"),
            "S1_VENUES": "spot",
            "S1_CONFLATION_MS": "0",
            "S1_REDIS_ADDRESSES": str(redis.addresses[0]),
        }
        one = await stack.enter_async_context(service_process(tmp_path / "one", environ))
        await one.logged("publishing; lease simulator:spot:")
        other = await stack.enter_async_context(service_process(tmp_path / "other", environ))
        await other.logged("standby: ")
        for service in (one, other):
            await service.readiness(200)
        client = await stack.enter_async_context(redis_at(redis.addresses[0].port))
        yield Pair(one, other, simulator, client)


async def publisher_component(service: Service) -> dict[str, Any]:
    async with httpx2.AsyncClient(base_url=await service.url()) as http:
        components = (await http.get("/health")).json()["components"]
    found: dict[str, Any] = next(each for each in components if each["name"] == "publisher")
    return found


async def test_a_standby_takes_over_from_a_paused_and_from_a_stopped_publisher(pair: Pair) -> None:
    """SIGSTOP: its lease ends, the standby publishes also what came meanwhile; awake again, the
    first one writes nothing and stands by. SIGTERM: the other one publishes at once. Every update
    between the first and the last is on the stream once.
    """
    first = await pair.updates_after("0")
    assert (await publisher_component(pair.one))["detail"].startswith("publishes; lease simulator")
    standby = await publisher_component(pair.other)
    assert standby["level"] == "GREEN"
    assert standby["detail"].startswith("standby: ")

    os.kill(pair.one.process.pid, signal.SIGSTOP)
    await pair.other.logged("publishing in place of ")
    second = await pair.updates_after(first, 3 * UPDATES)
    os.kill(pair.one.process.pid, signal.SIGCONT)
    await pair.one.logged("publishing has stopped")
    third = await pair.updates_after(second)
    assert (await publisher_component(pair.one))["detail"].startswith("standby: ")

    assert await pair.other.stop() == 0
    await pair.one.logged("publishing in place of ")
    await pair.updates_after(third)
    sent = await pair.sent()
    published = await pair.published()

    assert published == sorted(set(published))
    seen = [update for update in sent if published[0] <= update <= published[-1]]
    assert len(seen) > UPDATES
    assert set(seen) <= set(published)
