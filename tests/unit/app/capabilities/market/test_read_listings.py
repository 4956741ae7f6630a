"""Reading the listings: at intervals, soon after a notice, and again after an error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import wait_all_tasks_blocked as settle

from chimera_s1.app.capabilities.market.read_listings import (
    CATCH_UP_MS,
    CATCH_UPS,
    INTERVAL_MS,
    NOTICE_DEBOUNCE_MS,
    ReadListings,
)
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.listing_news import ListingNotice
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock

BTC, ETH = (Listing(InstrumentId.parse(f"perp/{n}USDT"), "USDT", trading=True) for n in ("A", "B"))
NOTICE = ListingNotice(ETH.instrument, "TRADING")
BACKOFF = Backoff(base_ms=100, max_wait_ms=250, jitter_ms=0)


class CountingExchange(MemoryExchangeInformation):
    """Counts the requests for its listings."""

    asked = 0

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        self.asked += 1
        return await super().listings(venue)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.exchange = CountingExchange(self.clock, [BTC])
        self.reader = ReadListings(self.exchange, self.clock, BACKOFF, lambda: 0.0)

    async def notice(self, notice: ListingNotice = NOTICE, times: int = 1) -> None:
        """Receive *notice*, and wait for what it causes."""
        for _ in range(times):
            self.reader.on_notice(notice)
        await settle()
        await self.clock.advance(NOTICE_DEBOUNCE_MS)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.reader.follow, Venue.PERP)
                await settle()
                yield
                tasks.cancel_scope.cancel()


async def test_a_listing_is_read_at_its_interval() -> None:
    """A reading without a difference is no change."""
    bench = Bench()
    assert bench.reader.listings(Venue.PERP) is None
    async with bench.running():
        assert (bench.reader.listings(Venue.PERP), bench.reader.version) == ((BTC,), 1)
        await bench.clock.advance(INTERVAL_MS + NOTICE_DEBOUNCE_MS)
        assert (bench.exchange.asked, bench.reader.version) == (2, 1)
        bench.exchange.set_listings([BTC, ETH])
        await bench.clock.advance(INTERVAL_MS + NOTICE_DEBOUNCE_MS)

        assert bench.reader.listings(Venue.PERP) == (BTC, ETH)
        assert bench.reader.version == 2


async def test_a_notice_is_followed_at_once_and_the_listing_may_be_late() -> None:
    """Many notices are one reading; then it is read again a few times."""
    bench = Bench()
    async with bench.running():
        await bench.notice(times=5)
        assert bench.exchange.asked == 2
        bench.exchange.set_listings([BTC, ETH])
        await bench.clock.advance(CATCH_UP_MS + NOTICE_DEBOUNCE_MS)
        assert bench.reader.listings(Venue.PERP) == (BTC, ETH)
        await bench.clock.advance(INTERVAL_MS / 2)

        assert bench.exchange.asked == 2 + CATCH_UPS


async def test_a_notice_of_another_venue_reads_nothing() -> None:
    bench = Bench()
    async with bench.running():
        await bench.notice(ListingNotice(InstrumentId.parse("spot/AUSDT"), "TRADING"))

        assert bench.exchange.asked == 1


@pytest.mark.parametrize(
    "failure", [ExchangeUnavailableError("no route"), ExchangeRefusedError("go away")]
)
async def test_a_listing_is_read_again_until_the_venue_answers(failure: ChimeraError) -> None:
    """With growing waits; what was known holds, and the problem is said."""
    bench = Bench()
    async with bench.running():
        bench.exchange.error = failure
        await bench.notice()
        asked = [bench.exchange.asked]
        for wait_ms in (100, 200, 250):
            await bench.clock.advance(wait_ms + NOTICE_DEBOUNCE_MS)
            asked.append(bench.exchange.asked)
        assert asked == [2, 3, 4, 5]
        assert bench.reader.problem(Venue.PERP) == str(failure)
        assert bench.reader.listings(Venue.PERP) == (BTC,)

        bench.exchange.error = None
        version = bench.reader.version
        await bench.clock.advance(250 + NOTICE_DEBOUNCE_MS)
        assert bench.reader.problem(Venue.PERP) == ""
        assert bench.reader.version == version + 1


async def test_an_empty_listing_is_not_taken() -> None:
    bench = Bench()
    async with bench.running():
        bench.exchange.set_listings([])
        await bench.notice()

        assert bench.reader.listings(Venue.PERP) == (BTC,)
        assert bench.reader.problem(Venue.PERP) == "the venue's listing is empty"
