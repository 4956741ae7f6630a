"""The service and the S10 stand-in as real processes: revisions live, and every kind of bad S10."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgspec
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
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

BAD_ROW = {"venue": "perp", "symbol": "BTCUSDT", "spread_bp_limit": -5}
FLAPPING = ("status:503", "drop-before", "body:html", "body:truncated")
ONLY_ANNOUNCED = "600000"
"""Far longer than a test: a revision that is applied was announced."""


class Site(Struct):
    """The stand-in's control plane, `ops:events`, and the settings of a service that uses both."""

    control: httpx2.AsyncClient
    events: StreamReader
    redis: Redis
    environ: dict[str, str]

    async def publish(self, **body: object) -> None:
        reply = (await self.control.post("/sim/s10", json=body)).raise_for_status()
        assert reply.json()["error"] == ""

    async def arm(self, do: str, **more: object) -> None:
        body = {"on": "GET /active", "do": do, **more}
        (await self.control.post("/sim/faults", json=body)).raise_for_status()

    async def fired(self) -> list[int]:
        reply = (await self.control.get("/sim/faults")).raise_for_status()
        return [fault["fired"] for fault in reply.json()["faults"]]

    async def event(self, kind: str) -> dict[str, Any]:
        """The detail of the next event of *kind*."""
        while True:
            _, fields = await self.events.next()
            if fields["kind"] == kind:
                return msgspec.json.decode(fields["detail_json"], type=dict[str, Any])

    async def quote(self, venue: str, symbol: str) -> None:
        """Wait for a quote that is published from now on."""
        stream = f"mkt:events:{venue}:{symbol}"
        newest: Any = await self.redis.xrevrange(stream, count=1)
        await StreamReader(self.redis, stream, after=newest[0][0] if newest else "0").next()

    async def health_change(self, to: str) -> str:
        """The sentence with which `s10` became *to*."""
        while True:
            detail = await self.event("health.changed")
            if (detail["component"], detail["to"]) == ("s10", to):
                return str(detail["detail"])


def row(venue: str, symbol: str) -> dict[str, object]:
    return {"venue": venue, "symbol": symbol, "spread_bp_limit": 5}


async def level_of(service: Service) -> tuple[str, str]:
    """Level and sentence of the component `s10`."""
    async with httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http:
        components = (await http.get("/health")).json()["components"]
    [found] = [(c["level"], c["detail"]) for c in components if c["name"] == "s10"]
    return found


@pytest.fixture
async def on(redis_binary: Path, tmp_path: Path) -> AsyncIterator[Site]:
    async with EmbeddedRedis(tmp_path / "redis", binary=redis_binary) as redis:
        [address] = redis.addresses
        options = ("--symbols", "BTCUSDT,ETHUSDT", "--s10", "--s10-redis", str(address))
        async with (
            simulator_process(*options) as simulator,
            redis_at(address.port) as client,
            httpx2.AsyncClient(
                base_url=simulator.ready["control_url"], timeout=TIMEOUT_S
            ) as control,
        ):
            environ = {**simulated(simulator.ready), "S1_REDIS_ADDRESSES": str(address)}
            with anyio.fail_after(2 * TIMEOUT_S):
                yield Site(control, StreamReader(client, "ops:events"), client, environ)


async def test_announced_revisions_are_applied_live_and_bad_ones_refused(
    on: Site, tmp_path: Path
) -> None:
    environ = {**on.environ, "S1_S10_POLL_MS": ONLY_ANNOUNCED}
    async with service_process(tmp_path / "s1", environ) as service:
        assert (await on.event("config.applied"))["rev"] == 1

        await on.publish(defaults={"spread_bp_limit": 3, "note": "unknown to S1"})
        applied = await on.event("config.applied")
        assert (applied["rev"], applied["previous_rev"]) == (2, 1)
        assert applied["unknown_fields"] == "defaults.note"

        await on.publish(instruments=[BAD_ROW])
        refused = await on.event("config.refused")
        assert (refused["rev"], refused["reason"], refused["rev_in_force"]) == (3, "invalid", 2)
        assert "instruments[0] perp/BTCUSDT: spread_bp_limit is -5" in refused["detail"]

        await on.publish(rev=1, instruments=[])
        refused = await on.event("config.refused")
        assert (refused["rev"], refused["reason"], refused["rev_in_force"]) == (1, "older", 2)
        level, sentence = await level_of(service)
        assert level == "ORANGE"
        assert "rev 1 is older than rev 2" in sentence

        await on.publish()
        assert (await on.event("config.applied"))["rev"] == 4


async def test_instruments_that_s10_names_are_served_from_its_next_revision_on(
    on: Site, tmp_path: Path
) -> None:
    """`S1_SYMBOLS=s10`. A revision that names none, or another quote asset, changes nothing."""
    environ = {**on.environ, "S1_SYMBOLS": "s10", "S1_S10_POLL_MS": ONLY_ANNOUNCED}
    await on.publish(instruments=[row("perp", "BTCUSDT")])
    async with service_process(tmp_path / "s1", environ):
        assert (await on.event("config.applied"))["instruments"] == 1
        await on.quote("perp", "BTCUSDT")

        for instruments in ([], [row("spot", "BTCUSDC")]):
            await on.publish(instruments=instruments)
            assert (await on.event("config.refused"))["reason"] == "invalid"
        await on.quote("perp", "BTCUSDT")

        await on.publish(instruments=[row("perp", "ETHUSDT"), row("spot", "BTCUSDT")])
        removed = await on.event("feed.instruments_removed")
        await on.quote("perp", "ETHUSDT")
        await on.quote("spot", "BTCUSDT")
        assert "BTCUSDT" in str(removed)


async def test_a_flapping_slow_or_dead_s10_leaves_the_last_snapshot_in_force(
    on: Site, tmp_path: Path
) -> None:
    environ = {**on.environ, "S1_S10_POLL_MS": "100"}
    async with service_process(tmp_path / "s1", environ) as service:
        assert (await on.event("config.applied"))["rev"] == 1
        for fault in FLAPPING:
            await on.arm(fault, times=2)
        await on.arm("delay:1500")
        assert "rev 1" in await on.health_change("ORANGE")
        await on.publish()
        assert (await on.event("config.applied"))["rev"] == 2
        assert await on.fired() == [*[2] * len(FLAPPING), 1]
        assert await service.stop() == 0

    await on.arm("drop-before", for_ms=600_000)
    async with service_process(tmp_path / "s1", environ) as service:
        await service.logged("rev 2 in force, kept from an earlier run")
        await service.readiness(200)
        while (await on.fired())[-1] < 2:  # the first one has been answered, then
            pass
        level, sentence = await level_of(service)
        assert level == "ORANGE"
        assert "rev 2" in sentence
        assert "S10 does not answer: GET http://127.0.0.1:" in sentence
