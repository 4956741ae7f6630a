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
from tests.time_limits import TIMEOUT_S

STREAM = "mkt:events:spot:BTCUSDT"
FUNDING_STREAM = "mkt:events:funding:BTCUSDT"
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

    async def estimate_after(self, ts: int) -> None:
        """Wait for a funding estimate of after *ts*, by the exchange's clock. It changes once a
        minute, and a take-over writes it at once.
        """
        reader = StreamReader(self.redis, FUNDING_STREAM)
        while "-est-" not in (fields := (await reader.next())[1])["event_id"] or (
            int(fields["ts"]) <= ts
        ):
            pass

    async def last_estimate(self) -> int:
        """Its `ts`; 0 without one."""
        return max([int(event_id.rpartition("-")[2]) for event_id in await self.estimates()] or [0])

    async def estimates(self) -> list[str]:
        """The `event_id` of each on the stream; there are realised rates, too."""
        entries: Any = await self.redis.xrange(FUNDING_STREAM)
        ids = [fields["event_id"] for _, fields in entries]
        return [each for each in ids if "-est-" in each]

    async def published(self) -> list[int]:
        """The update ids on the stream, oldest first."""
        entries: Any = await self.redis.xrange(STREAM)
        return [int(entry_id.partition("-")[2]) for entry_id, _ in entries]

    async def sent(self) -> list[int]:
        """The update ids that the simulator has sent last, oldest first."""
        async with httpx2.AsyncClient(
            base_url=self.simulator.ready["control_url"], timeout=TIMEOUT_S
        ) as control:
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
            **simulated(simulator.ready, "BTCUSDT"),
            "S1_CONFLATION_MS": "0",
            "S1_REDIS_ADDRESSES": str(redis.addresses[0]),
        }
        one = await stack.enter_async_context(service_process(tmp_path / "one", environ))
        await one.logged("publishing; lease simulator:")
        other = await stack.enter_async_context(service_process(tmp_path / "other", environ))
        await other.logged("standby: ")
        for service in (one, other):
            await service.readiness(200)
        client = await stack.enter_async_context(redis_at(redis.addresses[0].port))
        yield Pair(one, other, simulator, client)


async def component(service: Service, name: str = "publisher") -> dict[str, Any]:
    async with httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http:
        components = (await http.get("/health")).json()["components"]
    found: dict[str, Any] = next(each for each in components if each["name"] == name)
    return found


async def test_a_standby_takes_over_from_a_paused_and_from_a_stopped_publisher(pair: Pair) -> None:
    """SIGSTOP: its lease ends, the standby publishes also what came meanwhile; awake again, the
    first one writes nothing and stands by. SIGTERM: the other one publishes at once. Every update
    between the first and the last is on the stream once. The publisher writes estimates, too.
    """
    first = await pair.updates_after("0")
    assert (await component(pair.one))["detail"].startswith("publishes; lease simulator")
    standby = await component(pair.other)
    assert standby["level"] == "GREEN"
    assert standby["detail"].startswith("standby: ")
    assert "standby: " in (await component(pair.other, "funding.estimates"))["detail"]
    assert "standby: " not in (await component(pair.one, "funding.estimates"))["detail"]

    os.kill(pair.one.process.pid, signal.SIGSTOP)
    estimated = await pair.last_estimate()
    await pair.other.logged("publishing in place of ")
    second = await pair.updates_after(first, 3 * UPDATES)
    await pair.estimate_after(estimated)
    os.kill(pair.one.process.pid, signal.SIGCONT)
    await pair.one.logged("publishing has stopped")
    third = await pair.updates_after(second)
    assert (await component(pair.one))["detail"].startswith("standby: ")

    estimated = await pair.last_estimate()
    assert await pair.other.stop() == 0
    await pair.one.logged("publishing in place of ")
    await pair.updates_after(third)
    await pair.estimate_after(estimated)
    sent = await pair.sent()
    published, estimates = await pair.published(), await pair.estimates()

    assert published == sorted(set(published))
    assert len(estimates) - len({*estimates}) <= 2, "a take-over may repeat one"
    seen = [update for update in sent if published[0] <= update <= published[-1]]
    assert len(seen) > UPDATES
    assert set(seen) <= set(published)
