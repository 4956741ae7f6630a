"""The catalog follows the registry, and the venue itself where there is no registry."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from msgspec import structs

from chimera_s1.app.capabilities.instruments.follow_registry import (
    LISTING_INTERVAL_MS,
    POLL_INTERVAL_MS,
    RELOAD_INTERVAL_MS,
    FollowRegistry,
)
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.listing_read import ListingRead
from chimera_s1.domain.instruments.sync_plan import plan_sync
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.listing_news import ListingNotice
from tests.fakes.instrument_registry import FakeInstrumentRegistry
from tests.fakes.instrument_source import MemoryInstrumentSource
from tests.fakes.manual_clock import ManualClock, settle
from tests.sample_instruments import BTC_PERP, BTC_SPOT, perp_spec
from tests.virtual_time import LoopClock, on_virtual_time

RETRY_MS = 500


class Rig:
    def __init__(self, venues: Sequence[Venue] = tuple(Venue), *, retry_ms: int = RETRY_MS) -> None:
        self.venues = venues
        self.retry_ms = retry_ms
        self.registry = FakeInstrumentRegistry()
        self.source = MemoryInstrumentSource([BTC_PERP, BTC_SPOT])
        self.catalog = InstrumentCatalog()
        self.clock = ManualClock()
        self.changes = ChangeSignal()
        self.follow = self.follower(self.clock)

    def follower(self, clock: Clock) -> FollowRegistry:
        return FollowRegistry(
            self.registry,
            self.source,
            self.catalog,
            venues=self.venues,
            clock=clock,
            changes=self.changes,
            retries=Backoff(base_ms=self.retry_ms, max_wait_ms=self.retry_ms, jitter_ms=0),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.follow.run)
            await settle()
            yield
            tasks.cancel_scope.cancel()

    async def until(self, *symbols: str, venue: Venue = Venue.PERP) -> None:
        """Until the catalog has them: without a store they come from a thread."""
        while self.symbols(venue) != [*symbols]:
            await self.catalog.wait_changed(self.catalog.version)
        await settle()

    async def write(self, *symbols: str, status: str = "TRADING") -> None:
        """Another instance syncs."""
        specs = tuple(perp_spec(symbol, status) for symbol in symbols)
        plan = plan_sync(
            await self.registry.rows(), ListingRead(Venue.PERP, specs), now=1, accept=True
        )
        await self.registry.apply(plan.changes)

    def symbols(self, venue: Venue = Venue.PERP) -> list[str] | None:
        listings = self.catalog.listings(venue)
        return None if listings is None else [row.instrument.symbol for row in listings]


async def test_an_instance_learns_what_another_has_synced() -> None:
    rig = Rig()
    await rig.write("AUSDT")
    async with rig.running():
        assert rig.symbols() == ["AUSDT"]
        version = rig.catalog.version
        await rig.write("AUSDT", "BUSDT")
        assert rig.symbols() == ["AUSDT"]

        await rig.clock.advance(POLL_INTERVAL_MS)

        assert rig.symbols() == ["AUSDT", "BUSDT"]
        assert rig.catalog.version > version


async def test_its_own_changes_are_seen_at_once() -> None:
    rig = Rig()
    async with rig.running():
        assert rig.symbols() is None  # nothing is known before the first sync
        await rig.write("AUSDT")

        rig.changes.notify()
        await settle()

        assert rig.symbols() == ["AUSDT"]


async def test_a_change_whose_row_is_not_written_yet_is_seen_once_it_is() -> None:
    """In ArangoDB the log is ahead of the rows while another instance writes."""
    rig = Rig()
    await rig.write("AUSDT")
    async with rig.running():
        rig.registry.rows_behind = await rig.registry.rows()
        await rig.registry.last_position()
        await rig.write("AUSDT", "BUSDT")
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert len(await rig.registry.changes()) == 2  # the log is ahead
        assert rig.symbols() == ["AUSDT"]
        rig.registry.rows_behind = None

        await rig.clock.advance(POLL_INTERVAL_MS)

        assert rig.symbols() == ["AUSDT", "BUSDT"]


async def test_a_change_whose_rows_cannot_be_read_is_not_missed() -> None:
    rig = Rig()
    await rig.write("AUSDT")
    async with rig.running():
        await rig.write("AUSDT", "BUSDT")
        rig.registry.rows_unavailable = 1
        await rig.clock.advance(POLL_INTERVAL_MS)
        await rig.until("BTCUSDT", venue=Venue.SPOT)  # it has read the listing and waits again
        assert (rig.registry.rows_unavailable, rig.symbols()) == (0, ["AUSDT"])

        await rig.clock.advance(RETRY_MS)

        assert rig.symbols() == ["AUSDT", "BUSDT"]


async def test_an_instrument_that_stops_trading_stays_and_one_that_is_gone_is_no_listing() -> None:
    rig = Rig()
    await rig.write("AUSDT", "BUSDT")
    async with rig.running():
        await rig.write("AUSDT", status="SETTLING")
        await rig.clock.advance(POLL_INTERVAL_MS)

        assert rig.symbols() == ["AUSDT"]
        assert [row.content.listed for row in rig.catalog.rows()] == [True, False]


async def test_without_a_store_the_venues_own_listing_is_used() -> None:
    """Market data goes on; once the store answers, its rows hold."""
    rig = Rig()
    rig.registry.unavailable = "connection refused"
    async with rig.running():
        await rig.until("BTCUSDT")
        await rig.until("BTCUSDT", venue=Venue.SPOT)
        assert rig.follow.store_problem == "connection refused"
        reads = rig.source.reads
        await rig.clock.advance(RETRY_MS * 3)
        assert rig.source.reads == reads  # a listing that is known is not read again and again

        rig.registry.unavailable = ""
        await rig.write("AUSDT")
        await rig.clock.advance(RETRY_MS)

        assert (rig.symbols(), rig.follow.store_problem) == (["AUSDT"], "")


async def test_a_store_that_fails_later_keeps_what_is_known() -> None:
    rig = Rig()
    await rig.write("AUSDT")
    async with rig.running():
        rig.registry.unavailable = "connection refused"
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert rig.follow.store_problem  # the fault fired

        assert rig.symbols() == ["AUSDT"]


async def test_new_listings_are_followed_while_the_store_is_away() -> None:
    """At intervals, and at once after a notice; the registry has them after the next sync."""
    rig = Rig([Venue.PERP], retry_ms=300_000)
    await rig.write("AUSDT")
    rig.source.specs = [perp_spec("AUSDT"), perp_spec("BUSDT")]
    async with rig.running():
        rig.registry.unavailable = "connection refused"
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert (rig.source.reads, rig.symbols()) == (0, ["AUSDT"])

        await rig.clock.advance(LISTING_INTERVAL_MS)
        await rig.until("AUSDT", "BUSDT")

        rig.source.specs.append(perp_spec("CUSDT"))
        rig.follow.on_notice(ListingNotice(perp_spec("CUSDT").instrument, "TRADING"))
        await rig.until("AUSDT", "BUSDT", "CUSDT")

        rig.registry.unavailable = ""
        await rig.clock.advance(rig.retry_ms)
        assert (rig.symbols(), rig.follow.store_problem) == (["AUSDT", "BUSDT", "CUSDT"], "")


async def test_quarantine_holds_without_a_store_too() -> None:
    rig = Rig([Venue.PERP], retry_ms=300_000)
    names = [f"S{number:02}USDT" for number in range(40)]
    await rig.write(*names)
    rig.source.specs = [perp_spec(name) for name in [*names[:20], "NEWUSDT"]]
    async with rig.running():
        rig.registry.unavailable = "connection refused"
        await rig.clock.advance(POLL_INTERVAL_MS + LISTING_INTERVAL_MS)

        await rig.until(*sorted([*names, "NEWUSDT"]))


async def test_with_neither_store_nor_venue_the_reason_is_known() -> None:
    rig = Rig()
    rig.registry.unavailable = "connection refused"
    rig.source.error = ExchangeUnavailableError("GET /fapi/v1/exchangeInfo: 503")
    async with rig.running():
        assert rig.symbols() is None
        assert rig.catalog.problem(Venue.PERP) == "GET /fapi/v1/exchangeInfo: 503"

        rig.source.error = None
        await rig.clock.advance(RETRY_MS)

        await rig.until("BTCUSDT")


async def test_readers_wake_only_for_what_they_can_read() -> None:
    """A change of `checked_at` is none."""
    rig = Rig()
    await rig.write("AUSDT")
    async with rig.running():
        version = rig.catalog.version
        rows = [structs.replace(row, checked_at=9) for row in await rig.registry.rows()]

        rig.catalog.put(Venue.PERP, rows)

        assert rig.catalog.version == version


async def test_rows_that_another_instance_holds_are_known_here_until_they_are_released() -> None:
    rig = Rig()
    held = HeldRows(
        since=1,
        digest="x",
        status_class="trading",
        reason="3 of 3 rows would vanish",
        instruments=tuple(perp_spec(f"S{number}USDT").instrument for number in range(3)),
    )
    async with rig.running():
        assert rig.follow.held == {Venue.SPOT: 0, Venue.PERP: 0}
        await rig.registry.hold(Venue.PERP, [held])
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert rig.follow.held == {Venue.SPOT: 0, Venue.PERP: 3}

        await rig.registry.hold(Venue.PERP, [])
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert rig.follow.held == {Venue.SPOT: 0, Venue.PERP: 0}


@on_virtual_time
async def test_when_a_listing_was_read_by_another_instance_is_known_here_in_time() -> None:
    """An unchanged listing moves `checked_at` only, which is no change to follow."""
    rig, clock = Rig(), LoopClock()
    rig.follow = rig.follower(clock)
    await rig.write("AUSDT")
    [row] = await rig.registry.rows()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.follow.run)
        await clock.sleep_ms(1)
        await rig.registry.mark_checked([row.instrument], row.checked_at + 7)
        await clock.sleep_ms(RELOAD_INTERVAL_MS + POLL_INTERVAL_MS)
        tasks.cancel_scope.cancel()

        found = rig.catalog.find(row.instrument)
        assert found is not None
        assert found.checked_at == row.checked_at + 7
