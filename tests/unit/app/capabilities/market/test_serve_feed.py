"""Serving a feed: from the listing of the venue to its subscriptions."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import wait_all_tasks_blocked as settle

from chimera_s1.app.capabilities.market.serve_feed import ServeFeed
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.health import FeedReport
from chimera_s1.domain.market.instrument_selection import (
    SINGLE_SHARD,
    ContractKind,
    Listing,
    Shard,
    parse_symbol_filter,
    shard_of,
)
from chimera_s1.domain.operations.backoff import Backoff
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock
from tests.fakes.market_feed import ScriptedMarketFeed

BTC = InstrumentId.parse("spot/BTCUSDT")
ETH = InstrumentId.parse("spot/ETHUSDT")
PERP = InstrumentId.parse("perp/BTCUSDT")
LISTED = [Listing(each, "USDT", trading=True) for each in (BTC, ETH, PERP)]
BACKOFF = Backoff(base_ms=100, max_wait_ms=250, jitter_ms=10)


class CountingExchange(MemoryExchangeInformation):
    """Counts the requests for its listings."""

    asked = 0

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        self.asked += 1
        return await super().listings(venue)


class Bench:
    """A feed of spot, what the venue lists, and the service between them."""

    def __init__(
        self,
        symbols: str = "BTCUSDT",
        shard: Shard = SINGLE_SHARD,
        venue: Venue = Venue.SPOT,
        listed: Sequence[Listing] = LISTED,
    ) -> None:
        self.clock = ManualClock()
        self.feed = ScriptedMarketFeed(venue)
        self.exchange = CountingExchange(self.clock, listed)
        self.unknown_contracts: list[tuple[str, str]] = []
        self.selected: list[InstrumentId] = []
        self.serving = ServeFeed(
            self.feed,
            self.exchange,
            choice=parse_symbol_filter(symbols, Venue),
            shard=shard,
            clock=self.clock,
            backoff=BACKOFF,
            draw=lambda: 0.5,
            report_unknown_contract=lambda *reported: self.unknown_contracts.append(reported),
            on_selected=self.selected.extend,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.serving.run)
                await settle()
                yield
                tasks.cancel_scope.cancel()


async def test_selected_instruments_are_subscribed() -> None:
    bench = Bench("BTCUSDT,ETHUSDT")
    async with bench.running():
        await bench.feed.subscribed.wait()

        assert bench.serving.venue is Venue.SPOT
        assert bench.feed.instruments == (BTC, ETH)
        assert bench.selected == [BTC, ETH]
        assert bench.serving.report() == FeedReport(2, (), 1, 1, fatal=False)


@pytest.mark.parametrize(
    "failure", [ExchangeUnavailableError("no route"), ExchangeRefusedError("go away")]
)
async def test_listing_is_retried_until_the_venue_answers(failure: ChimeraError) -> None:
    """The listing is requested again with growing waits up to the longest."""
    bench = Bench()
    bench.exchange.error = failure
    async with bench.running():
        for asked, wait_ms in enumerate((105, 205, 255, 255), start=1):
            assert bench.serving.report().instruments is None
            await bench.clock.advance(wait_ms - 1)
            assert bench.feed.instruments is None
            assert bench.exchange.asked == asked
            await bench.clock.advance(1)

        bench.exchange.error = None
        await bench.clock.advance(255)
        await bench.feed.subscribed.wait()

        assert bench.feed.instruments == (BTC,)


async def test_an_unknown_name_is_reported_and_the_rest_runs() -> None:
    bench = Bench("NOSUCHUSDT,BTCUSDT,ALSONOTUSDT")
    async with bench.running():
        await bench.feed.subscribed.wait()

        assert bench.feed.instruments == (BTC,)
        report = bench.serving.report()
        assert report.unlisted == ("spot/ALSONOTUSDT", "spot/NOSUCHUSDT")
        assert report.instruments == 1


async def test_an_unknown_contract_type_is_reported_once() -> None:
    """With the first instrument of that type; `*` serves the others."""
    listed = [
        Listing(PERP, "USDT", trading=True, contract_type="P", contract=ContractKind.PERPETUAL),
        *(
            Listing(InstrumentId.parse(name), "USDT", trading=True, contract_type="WEEKLY")
            for name in ("perp/BUSDT", "perp/AUSDT")
        ),
    ]
    bench = Bench("*", venue=Venue.PERP, listed=listed)
    async with bench.running():
        await bench.feed.subscribed.wait()

        assert bench.feed.instruments == (PERP,)
        assert bench.unknown_contracts == [("WEEKLY", "perp/AUSDT")]


class EndingFeed(ScriptedMarketFeed):
    """A feed whose `run` returns on request; at once if there is nothing to subscribe."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self.end = anyio.Event()

    async def run(self, instruments: Sequence[InstrumentId]) -> None:
        self.instruments = tuple(instruments)
        if instruments:
            await self.end.wait()


def with_ending_feed(symbols: str, shard: Shard = SINGLE_SHARD) -> tuple[Bench, EndingFeed]:
    bench = Bench(symbols, shard)
    feed = EndingFeed(Venue.SPOT)
    bench.serving = ServeFeed(
        feed,
        bench.exchange,
        choice=parse_symbol_filter(symbols, Venue),
        shard=shard,
        clock=bench.clock,
        backoff=BACKOFF,
        draw=lambda: 0.5,
        report_unknown_contract=lambda *_: None,
        on_selected=bench.selected.extend,
    )
    return bench, feed


async def test_shard_without_instruments_keeps_running() -> None:
    """Nothing to do is not an end: a worker that returns would take the process down."""
    other = 1 - shard_of(BTC.symbol, 2)
    bench, feed = with_ending_feed("BTCUSDT", Shard(other, 2))
    ended = anyio.Event()

    async def run() -> None:
        await bench.serving.run()
        ended.set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await settle()
            for _ in range(3):
                await bench.clock.advance(BACKOFF.max_wait_ms)

            assert feed.instruments == ()
            assert not ended.is_set()
            tasks.cancel_scope.cancel()


async def test_a_feed_that_ends_ends_the_worker() -> None:
    """A dead feed ends its worker, so that the supervisor sees it."""
    bench, feed = with_ending_feed("BTCUSDT")
    feed.end.set()

    with anyio.fail_after(5):
        await bench.serving.run()

    assert feed.instruments == (BTC,)
