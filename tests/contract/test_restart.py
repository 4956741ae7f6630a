"""A stop, a start and a death of the service leave their traces in Redis."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from tests.contract.service_process import (
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import simulator_process

CAUSE = "no instance of the service published"


class Traces:
    """What a consumer of the shared Redis sees of the service."""

    def __init__(self, redis: Redis) -> None:
        self.redis: Any = redis  # its stubs know bytes only
        self._status = StreamReader(redis, "mkt:status:spot")
        self._operations = StreamReader(redis, "ops:events")

    async def next_marker(self) -> tuple[str, int]:
        """The next GAP or RESUMED of a downtime: its state and `since`."""
        while True:
            _, fields = await self._status.next()
            if fields["cause"] == CAUSE:
                assert fields["symbol"] == "*"
                return fields["state"], int(fields["since"])

    async def next_event(self, kind: str) -> dict[str, Any]:
        while True:
            _, fields = await self._operations.next()
            if fields["kind"] == kind:
                detail: dict[str, Any] = msgspec.json.decode(fields["detail_json"])
                return detail

    async def heartbeats(self) -> list[str]:
        """Without their index."""
        names: list[str] = await self.redis.keys("s1:heartbeat:*")
        return sorted({*names} - {"s1:heartbeat:instances"})

    async def last_entry_ms(self) -> int:
        """The time in the newest entry id of the venue."""
        names = await self.redis.keys("mkt:events:spot:*")
        newest = [(await self.redis.xrevrange(name, count=1))[0][0] for name in names]
        return max(int(entry_id.partition("-")[0]) for entry_id in newest)


@pytest.fixture
async def environ(redis_binary: Path, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Settings for a simulator and a Redis that outlive the service."""
    async with (
        EmbeddedRedis(tmp_path / "redis", binary=redis_binary) as redis,
        simulator_process("--symbols", "BTCUSDT,ETHUSDT", "--rate", "50") as simulator,
    ):
        (address,) = redis.addresses
        yield {
            **simulated(simulator.ready),
            "S1_REDIS_ADDRESSES": str(address),
            "S1_CONFLATION_MS": "50",
        }


async def test_a_stop_a_start_and_a_death_are_visible_to_consumers(
    environ: dict[str, str], tmp_path: Path
) -> None:
    port = int(environ["S1_REDIS_ADDRESSES"].rpartition(":")[2])
    async with redis_at(port) as redis:
        traces = Traces(redis)

        async with service_process(tmp_path / "one", environ) as one:
            started = await traces.next_event("service.started")
            await one.readiness(200)
            assert await traces.heartbeats() == [f"s1:heartbeat:{started['instance']}"]
            assert await one.stop() == 0
        stopped = await traces.next_event("service.stopped")
        assert (stopped["instance"], stopped["reason"]) == (started["instance"], "requested")
        assert await traces.heartbeats() == []
        last_ms = await traces.last_entry_ms()
        assert await traces.next_marker() == ("GAP", last_ms)

        async with service_process(tmp_path / "two", environ) as two:
            killed = await traces.next_event("service.started")
            assert await traces.next_marker() == ("GAP", last_ms)
            assert await traces.next_marker() == ("RESUMED", last_ms)
            await two.readiness(200)
            two.process.kill()
            await two.process.wait()
        assert await traces.heartbeats() == [f"s1:heartbeat:{killed['instance']}"]
        assert await redis.pttl(f"s1:heartbeat:{killed['instance']}") > 0
        last_ms = await traces.last_entry_ms()

        async with service_process(tmp_path / "three", environ):
            assert await traces.next_marker() == ("GAP", last_ms)
            assert await traces.next_marker() == ("RESUMED", last_ms)
