"""Two services on one ArangoDB and one Redis: the registry, and the feed that follows it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgspec
import pytest
from msgspec import Struct
from redis.asyncio import Redis

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.service_process import (
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import finished, simulator_process
from tests.simulator_client import SimulatorClient, simulator_client
from tests.time_limits import TIMEOUT_S

TOKEN, RECORD = make_token(
    "oper", b"o" * 32, actor="ops", scopes=[Scope.READ, Scope.JOBS_RUN], created_at=0
)
PERP_LISTING = "GET /fapi/v1/exchangeInfo"
CHANGES = "/_api/document/instrument_registry_changes"
SYMBOLS = 30
"""Quarantine is for status classes of 20 rows and more."""


class Site(Struct):
    """The services, their exchange, database and Redis; *http* asks the first service."""

    services: tuple[Service, Service]
    http: httpx2.AsyncClient
    sim: SimulatorClient
    double: ArangoDouble
    redis: Redis
    events: StreamReader

    async def event(self, kind: str, **detail: object) -> dict[str, Any]:
        """The next event of *kind* whose detail has these values."""
        while True:
            _, fields = await self.events.next()
            found = msgspec.json.decode(fields["detail_json"], type=dict[str, Any])
            if fields["kind"] == kind and detail.items() <= found.items():
                return found

    async def quote(self, symbol: str) -> None:
        """Wait for a quote of a contract that is published from now on."""
        stream = f"mkt:events:perp:{symbol}"
        newest: Any = await self.redis.xrevrange(stream, count=1)
        await StreamReader(self.redis, stream, after=newest[0][0] if newest else "0").next()

    async def sync(self) -> httpx2.Response:
        return await self.http.post("/xchg/instruments/sync?venue=perp")

    async def component(self) -> tuple[str, str]:
        """Level and sentence of `instruments`."""
        components = (await self.http.get("/health")).json()["components"]
        [found] = [(c["level"], c["detail"]) for c in components if c["name"] == "instruments"]
        return found

    async def contracts(self) -> dict[str, dict[str, Any]]:
        """All contracts by symbol."""
        reply = await self.http.get("/xchg/instruments?venue=perp&limit=1000")
        return {row["symbol"]: row for row in reply.json()["instruments"]}

    async def trading(self) -> dict[str, str]:
        """The hashes of all contracts that trade."""
        rows = await self.contracts()
        return {name: row["spec_hash"] for name, row in rows.items() if row["status"] == "TRADING"}

    @asynccontextmanager
    async def spoiled(self, variant: str) -> AsyncIterator[None]:
        """Listings of futures are wrong, whichever instance reads one."""
        await self.sim.arm(PERP_LISTING, f"listing:{variant}", times=1_000)
        yield
        assert min(await self.sim.fired()) > 0
        await self.sim.control("DELETE", "/sim/faults")


@pytest.fixture
async def site(redis_binary: Path, tmp_path: Path) -> AsyncIterator[Site]:
    write_token_file(tmp_path / "tokens.json", [RECORD])
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path / "redis", binary=redis_binary)
        )
        [address] = redis.addresses
        s10 = ("--s10", "--s10-redis", str(address))
        simulator = await stack.enter_async_context(
            simulator_process("--symbols", str(SYMBOLS), *s10)
        )
        double = stack.enter_context(arango_double(coordinators=1))
        environ = {
            **simulated(simulator.ready, "*"),
            "S1_REDIS_ADDRESSES": str(address),
            "S1_DB_ARANGO_URI": double.urls[0],
            "S1_DB_ARANGO_USER": "root",
            "S1_API_TOKENS_FILE": str(tmp_path / "tokens.json"),
        }
        one, other = [
            await stack.enter_async_context(service_process(tmp_path / name, environ))
            for name in ("one", "other")
        ]
        client = await stack.enter_async_context(redis_at(address.port))
        http = await stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=await one.url(),
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=TIMEOUT_S,
            )
        )
        sim = await stack.enter_async_context(simulator_client(simulator.ready))
        with anyio.fail_after(3 * TIMEOUT_S):
            events = StreamReader(client, "ops:events")
            yield Site((one, other), http, sim, double, client, events)


async def test_the_registry_and_the_feed_follow_the_exchange_and_believe_no_wrong_listing(
    site: Site,
) -> None:
    """In one pair of services, because starting them takes longest."""
    for _ in range(2):
        await site.event("instruments.listed_together")
    await site.quote("BTCUSDT")

    await a_listing_is_served_by_itself_and_a_delisting_leaves(site)
    await thresholds_of_a_revision_are_written(site)
    await a_wrong_listing_changes_nothing(site)
    await an_operator_accepts_what_is_held(site)
    await a_store_that_was_away_gets_the_rest(site)
    await every_change_is_one_event(site)


async def a_listing_is_served_by_itself_and_a_delisting_leaves(site: Site) -> None:
    await site.sim.list_symbol("perp", "NEWUSDT")
    await site.quote("NEWUSDT")
    listed = await site.event("instruments.listed", symbol="NEWUSDT")
    assert listed["source"].startswith("!contractInfo")

    await site.sim.change_symbol("perp", "NEWUSDT", status=None)
    removed = await site.event("feed.instruments_removed")
    assert "NEWUSDT" in str(removed)
    states = StreamReader(site.redis, "mkt:status:perp")
    while not (fields := (await states.next())[1])["cause"].startswith("delisted"):
        pass
    assert (fields["symbol"], fields["state"]) == ("NEWUSDT", "STALE")
    await site.quote("BTCUSDT")


async def thresholds_of_a_revision_are_written(site: Site) -> None:
    row = {"venue": "perp", "symbol": "BTCUSDT", "spread_bp_limit": 7.5}
    _, reply = await site.sim.control("POST", "/sim/s10", {"instruments": [row]})
    assert reply["error"] == ""

    changed = await site.event("instruments.changed", symbol="BTCUSDT", venue="perp")

    assert "7.5" in changed["difference"]
    limit = None
    while limit != 7.5:  # the other instance may have written it
        limit = (await site.contracts())["BTCUSDT"]["risk"]["spread_bp_limit"]


async def a_wrong_listing_changes_nothing(site: Site) -> None:
    """Cut off, empty, half of it, all SETTLING: rows and subscriptions stay, and it is said."""
    before = await site.trading()
    for variant, status, sentence in (
        ("truncated", 503, "exchangeInfo"),
        ("empty", 502, "no usable row"),
    ):
        async with site.spoiled(variant):
            reply = await site.sync()
            level, health = await site.component()
        assert reply.status_code == status
        assert sentence in reply.json()["detail"]
        assert level != "GREEN"
        assert sentence in health
    for variant in ("half", "settling"):
        async with site.spoiled(variant):
            [result] = (await site.sync()).json()["syncs"]
            level, health = await site.component()
            while level != "ORANGE" or "in quarantine" not in health:
                level, health = await site.component()
        assert result["held"] > SYMBOLS / 3
        held = await site.event("instruments.held")
        assert (held["venue"], held["rows"]) == ("perp", result["held"])
        assert (await site.sync()).json()["syncs"][0]["held"] == 0
        await site.event("instruments.released")

    assert await site.trading() == before
    await site.quote("BTCUSDT")
    assert not any("instruments were removed" in service.output for service in site.services)


async def an_operator_accepts_what_is_held(site: Site) -> None:
    """What is accepted leaves the feed; listed again, it returns at once."""
    environment = {"S1_URL": await site.services[0].url(), "S1_TOKEN": TOKEN}
    async with site.spoiled("half"):
        code, out, err = await finished(
            "instruments", "sync", "--venue", "perp", "--accept", environment=environment
        )
    assert (code, err) == (0, "")
    assert " 0 gone" not in out
    removed = await site.event("feed.instruments_removed")
    assert removed

    [back] = (await site.sync()).json()["syncs"]
    assert (back["held"], back["changed"] > SYMBOLS / 3) == (0, True)


async def a_store_that_was_away_gets_the_rest(site: Site) -> None:
    """Quotes go on meanwhile, and a symbol that was listed meanwhile is written afterwards."""
    fault = site.double.faults.arm("503/503", method="POST", path=CHANGES, times=None)
    await site.sim.list_symbol("perp", "LATEUSDT")
    reply = await site.sync()
    assert (reply.status_code, reply.json()["code"]) == (503, "store.unavailable")
    assert fault.fired
    await site.quote("BTCUSDT")
    assert (await site.http.get("/ready")).status_code == 200
    assert (await site.http.get("/xchg/instruments/perp/LATEUSDT")).status_code == 404

    site.double.faults.clear()
    assert (await site.sync()).status_code == 200

    await site.event("instruments.listed", symbol="LATEUSDT")
    await site.quote("LATEUSDT")


async def every_change_is_one_event(site: Site) -> None:
    """Whichever instance has synced; what is relayed twice has the same id."""
    rows = await site.contracts()
    awaited = {
        f"perp/{symbol}-{row['version']}" for symbol, row in rows.items() if row["version"] > 1
    }
    assert awaited
    events, ids = StreamReader(site.redis, "ops:events"), dict[tuple[str, str, int], str]()
    while awaited:
        _, fields = await events.next()
        if fields["kind"] in {"instruments.listed", "instruments.changed"}:
            told = msgspec.json.decode(fields["detail_json"], type=dict[str, Any])
            version = told["venue"], told["symbol"], told["version"]
            assert ids.setdefault(version, told["event_id"]) == told["event_id"]
            awaited.discard(told["event_id"])
    assert len(set(ids.values())) == len(ids)
