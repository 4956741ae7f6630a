"""Estimates of a real service: from the simulator's mark prices to Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct
from redis.asyncio import Redis

from tests.contract.service_process import (
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import simulator_process
from tests.simulator_client import simulator_client
from tests.time_limits import TIMEOUT_S

DATED = "BTCUSDT_991231"
FIELDS = ["ts", "symbol", "rate_est", "funding_time", "rate_type", "event_id"]
HOUR_MS = 3_600_000


class Site(Struct):
    """A service of BTCUSDT and of a dated contract; the exchange lists ETHUSDT, too, and sends mark
    prices of a contract that is in no listing.
    """

    http: httpx2.AsyncClient
    redis: Redis

    async def estimate(self, symbol: str) -> dict[str, str]:
        """The first estimate; realised rates are on the stream, too."""
        reader = StreamReader(self.redis, f"mkt:events:funding:{symbol}")
        while True:
            _, fields = await reader.next()
            if "rate_real" not in fields:
                return fields

    async def estimated(self) -> set[str]:
        """The symbols of all estimates that were written."""
        symbols = set()
        async for stream in self.redis.scan_iter("mkt:events:funding:*"):
            entries: Any = await self.redis.xrange(stream)
            symbols |= {fields["symbol"] for _, fields in entries if "rate_real" not in fields}
        return symbols

    async def passed_over(self) -> dict[str, float]:
        """Rows of the mark price stream that were not published, by reason."""
        page = (await self.http.get("/metrics")).text.splitlines()
        lines = [line for line in page if line.startswith("s1_funding_rows_passed_over_total{")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in lines}

    async def component(self) -> dict[str, Any]:
        components = (await self.http.get("/health")).json()["components"]
        [found] = [each for each in components if each["name"] == "funding.estimates"]
        return dict(found)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        simulator = await enter(simulator_process("--symbols", "BTCUSDT,ETHUSDT", "--rate", "20"))
        sim = await enter(simulator_client(simulator.ready))
        listing = {"venue": "perp", "symbol": DATED, "contract_type": "CURRENT_QUARTER"}
        await sim.control("POST", "/sim/listings", {**listing, "delivery_ms": 4_102_358_400_000})
        environ = simulated(simulator.ready, f"perp/BTCUSDT,perp/{DATED}")
        service = await enter(service_process(tmp_path, {**environ, "S1_VENUES": "perp"}))
        http = await enter(
            httpx2.AsyncClient(base_url=await service.url(), trust_env=False, timeout=TIMEOUT_S)
        )
        redis = await enter(redis_at(await service.redis_port()))
        yield Site(http, redis)


async def test_estimates_of_what_is_served_reach_their_streams(site: Site) -> None:
    """A dated contract is quoted and has no funding; unserved and unlisted ones are counted."""
    fields = await site.estimate("BTCUSDT")
    await StreamReader(site.redis, f"mkt:events:perp:{DATED}").next()
    estimated, passed_over = await site.estimated(), await site.passed_over()
    component = await site.component()

    assert list(fields) == FIELDS
    assert (fields["symbol"], fields["rate_type"]) == ("BTCUSDT", "Regular")
    assert abs(float(fields["rate_est"])) < 1
    ts, funding_time = int(fields["ts"]), int(fields["funding_time"])
    assert funding_time % HOUR_MS == 0
    assert ts < funding_time <= ts + 8 * HOUR_MS
    assert fields["event_id"] == f"BTCUSDT-{funding_time}-est-{ts}"
    assert estimated == {"BTCUSDT"}
    assert all(passed_over[reason] > 0 for reason in ("unserved", "unknown", "without_funding"))
    assert passed_over["unreadable"] == 0
    assert component["level"] == "GREEN"
    assert "not in the registry" in component["detail"]
