"""A market as large as Binance's, and wrong listings of it: what the registry would write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.adapters.binance.account_key import AccountKey
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.instruments.source import BinanceInstrumentSource
from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from chimera_s1.adapters.simulator.rest.listing_faults import MANGLED_EVERY
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.instruments.enumerations import UnknownValue
from chimera_s1.domain.instruments.instrument import RegistryRow
from chimera_s1.domain.instruments.listing_read import ListingExtras
from chimera_s1.domain.instruments.sync_plan import SyncPlan, plan_sync
from tests.contract.feed_harness import simulator_endpoints
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()
PATHS = {Venue.SPOT: "GET /api/v3/exchangeInfo", Venue.PERP: "GET /fapi/v1/exchangeInfo"}


class Exchange(Struct):
    """The simulated exchange, read by our source; *reported* are the rows that it named."""

    source: BinanceInstrumentSource
    control: httpx2.AsyncClient
    reported: list[UnusableRow]

    async def spoil(self, venue: Venue, variant: str) -> None:
        """The next listing of *venue* is wrong."""
        fault = {"on": PATHS[venue], "do": f"listing:{variant}", "times": 1}
        (await self.control.post("/sim/faults", json=fault)).raise_for_status()

    async def sync(self, venue: Venue, rows: tuple[RegistryRow, ...]) -> SyncPlan:
        return plan_sync(rows, await self.source.listing(venue), now=CLOCK.now_ms())


async def demo_key() -> AccountKey:
    credentials = Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret))
    return AccountKey(Signer(credentials, CLOCK.now_ms), "sim:1")


@asynccontextmanager
async def large_exchange(tasks: TaskGroup) -> AsyncIterator[Exchange]:
    config = SimulatorConfig(whole_market=True, rate=0.001)
    addresses = await tasks.start(Simulator(config, CLOCK).run)
    reported: list[UnusableRow] = []
    async with (
        httpx2.AsyncClient(base_url=addresses.control_url, timeout=TIMEOUT_S) as control,
        BinanceInstrumentSource(
            simulator_endpoints(addresses),
            weight_budgets(CLOCK),
            demo_key,
            RowReader(reported.append),
        ) as source,
    ):
        yield Exchange(source, control, reported)


async def test_a_whole_market_is_read_and_its_wrong_listings_are_not_believed() -> None:
    """In one simulator, because starting it takes longest."""
    with anyio.fail_after(2 * TIMEOUT_S):
        async with anyio.create_task_group() as tasks, large_exchange(tasks) as exchange:
            perps = await first_sync(exchange, Venue.PERP)
            await first_sync(exchange, Venue.SPOT)
            await wrong_listings(exchange, Venue.PERP, perps)
            tasks.cancel_scope.cancel()


async def first_sync(exchange: Exchange, venue: Venue) -> tuple[RegistryRow, ...]:
    """Every row is decoded; a second read changes nothing."""
    source = exchange.source
    extras = ListingExtras(
        leverage_brackets=await source.leverage_brackets(),
        funding_intervals=await source.funding_intervals(),
        delisting_dates=await source.delisting_dates(),
    )
    read = await source.listing(venue)
    plan = plan_sync((), read, now=1, extras=extras)
    rows = tuple(change.row for change in plan.changes)
    by_symbol = {row.instrument.symbol: row.content for row in rows}

    assert not read.unusable
    assert len(rows) == len(read.specs) >= {Venue.SPOT: 2_900, Venue.PERP: 900}[venue]
    assert UnknownValue("filter", "MAX_ORDER_VALUE") in dict(plan.unknown)
    assert UnknownValue("status", "AUCTION") in dict(plan.unknown)
    if venue is Venue.PERP:
        assert Symbol("币安人生USDT") in by_symbol
        brackets = by_symbol[Symbol("BTCUSDT")].leverage_brackets
        assert brackets is not None
        assert brackets.account == "sim:1"
        assert by_symbol[Symbol("BTCUSDT")].funding_interval_h == 8
        assert {"EQUITY", "COMMODITY"} <= (await source.trading_sessions()).keys()
    again = plan_sync(rows, await source.listing(venue), now=2, extras=extras)
    assert not again.changes
    assert len(again.checked) == len(rows)
    return rows


async def wrong_listings(exchange: Exchange, venue: Venue, rows: tuple[RegistryRow, ...]) -> None:
    """Truncated, empty, halved, all settling, every fifth row mangled, and huge."""
    await exchange.spoil(venue, "truncated")
    with pytest.raises(ExchangeUnavailableError, match="unexpected reply body"):
        await exchange.sync(venue, rows)

    await exchange.spoil(venue, "empty")
    assert (await exchange.sync(venue, rows)).refused

    for variant in ("half", "settling"):
        await exchange.spoil(venue, variant)
        plan = await exchange.sync(venue, rows)
        held = [rows.status_class for rows in plan.quarantine.newly_held]
        assert "trading" in held
        trading = {row.instrument for row in rows if row.content.spec.status == "TRADING"}
        assert not trading & {change.row.instrument for change in plan.changes}

    await exchange.spoil(venue, "mangled")
    before = len(exchange.reported)
    plan = await exchange.sync(venue, rows)
    named = exchange.reported[before:]
    spoiled = len(rows) // MANGLED_EVERY
    assert not plan.changes
    assert len(plan.checked) == len(rows) - spoiled
    assert len(named) == len({(row.name, row.reason) for row in named}) > spoiled // 2

    await exchange.spoil(venue, "huge")
    plan = await exchange.sync(venue, rows)
    assert not plan.changes
    assert len(plan.checked) == len(rows)
