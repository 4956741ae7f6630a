"""Serving a feed: from listings and choice to subscriptions, while both change."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from chimera_s1.app.capabilities.market.serve_feed import ServeFeed
from chimera_s1.app.capabilities.operations.hold_symbols import HoldSymbols
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
from chimera_s1.domain.market.selection_change import (
    DESELECTED,
    NOT_CHOSEN,
    NOT_TRADING,
    UNLISTED,
    KeptInstrument,
)
from chimera_s1.domain.operations.health import Level
from tests.fakes.instrument_reader import MemoryInstrumentReader, MemorySymbolChoice
from tests.fakes.manual_clock import settle
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.time_limits import TIMEOUT_S

BTC = InstrumentId.parse("spot/BTCUSDT")
ETH = InstrumentId.parse("spot/ETHUSDT")
SOL = InstrumentId.parse("spot/SOLUSDT")
PERP = InstrumentId.parse("perp/BTCUSDT")


def listed(*instruments: InstrumentId, trading: bool = True) -> list[Listing]:
    return [Listing(each, "USDT", trading=trading) for each in instruments]


class Follower:
    """Implements `SelectionFollower`: records what it is told."""

    def __init__(self) -> None:
        self.added: list[InstrumentId] = []
        self.removed: list[tuple[InstrumentId, str]] = []

    def add(self, instruments: Sequence[InstrumentId]) -> None:
        self.added.extend(instruments)

    def remove(self, venue: Venue, removed: Sequence[tuple[InstrumentId, str]]) -> None:
        assert all(instrument.venue is venue for instrument, _ in removed)
        self.removed.extend(removed)


class Bench:
    """A feed of spot, what the venue lists, what is chosen, and the service between them."""

    def __init__(
        self,
        symbols: str = "BTCUSDT",
        listings: Sequence[Listing] = (),
        *,
        shard: Shard = SINGLE_SHARD,
        feed: ScriptedMarketFeed | None = None,
    ) -> None:
        self.feed = feed or ScriptedMarketFeed(Venue.SPOT)
        self.instruments = MemoryInstrumentReader(*listings)
        self.choice = MemorySymbolChoice(parse_symbol_filter(symbols, Venue))
        self.follower = Follower()
        self.held = HoldSymbols()
        self.kept: list[KeptInstrument] = []
        self.unknown_contracts: list[tuple[str, str]] = []
        self.serving = ServeFeed(
            self.feed,
            self.instruments,
            self.choice,
            held=self.held,
            shard=shard,
            follower=self.follower,
            report_unknown_contract=lambda *reported: self.unknown_contracts.append(reported),
            report_kept=self.kept.append,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.serving.run)
                await settle()
                yield
                tasks.cancel_scope.cancel()

    def served(self) -> Sequence[InstrumentId] | None:
        return self.feed.instruments

    async def list(self, *listings: Listing) -> None:
        self.instruments.put(*listings)
        await settle()

    async def choose(self, symbols: str) -> None:
        self.choice.put(parse_symbol_filter(symbols, Venue))
        await settle()


async def test_selected_instruments_are_subscribed() -> None:
    bench = Bench("BTCUSDT,ETHUSDT", listed(BTC, ETH, SOL, PERP))
    async with bench.running():
        assert bench.serving.venue is Venue.SPOT
        assert bench.served() == (BTC, ETH)
        assert bench.follower.added == [BTC, ETH]
        assert bench.serving.report() == FeedReport(2, (), 1, 1, fatal=False)


async def test_a_feed_without_a_choice_of_symbols_is_red() -> None:
    """S10 has never answered: what it serves is nothing, or what a capability holds."""
    bench = Bench("BTCUSDT", listed(BTC))
    bench.choice.is_known = False
    async with bench.running():
        assert bench.serving.report().level is Level.RED
        bench.choice.is_known = True
        assert bench.serving.report().level is Level.GREEN


async def test_nothing_is_subscribed_before_the_listing_is_known() -> None:
    """And health says why it is not."""
    bench = Bench()
    bench.instruments.fail("no route")
    async with bench.running():
        report = bench.serving.report()
        assert (bench.served(), report.level) == (None, Level.RED)
        assert "no route" in report.sentence

        await bench.list(*listed(BTC))
        assert bench.served() == (BTC,)


async def test_a_listing_is_subscribed_and_a_delisting_unsubscribed() -> None:
    """With `*`, whatever the venue lists; each follower learns it with the cause."""
    bench = Bench("*", listed(BTC, ETH))
    async with bench.running():
        await bench.list(*listed(BTC, SOL), *listed(ETH, trading=False))
        assert bench.served() == (BTC, SOL)
        assert bench.follower.added == [BTC, ETH, SOL]
        assert bench.follower.removed == [(ETH, NOT_TRADING)]

        await bench.list(*listed(BTC))
        assert bench.served() == (BTC,)
        assert bench.follower.removed[1:] == [(SOL, UNLISTED)]


async def test_a_named_symbol_is_served_whenever_it_is_listed() -> None:
    """It is listed later, vanishes, and comes back; meanwhile health names it."""
    bench = Bench("BTCUSDT,SOLUSDT", listed(BTC))
    async with bench.running():
        assert bench.serving.report().unlisted == ("spot/SOLUSDT",)
        await bench.list(*listed(BTC, SOL))
        assert bench.serving.report().unlisted == ()
        await bench.list(*listed(SOL))
        assert bench.serving.report().unlisted == ("spot/BTCUSDT",)
        await bench.list(*listed(BTC, SOL))

        assert bench.served() == (BTC, SOL)
        assert bench.follower.added == [BTC, SOL, BTC]
        assert bench.follower.removed == [(BTC, UNLISTED)]


async def test_a_named_symbol_that_is_halted_is_served_on() -> None:
    bench = Bench("BTCUSDT", listed(BTC))
    async with bench.running():
        await bench.list(*listed(BTC, trading=False))

        assert bench.served() == (BTC,)
        assert bench.follower.removed == []


async def test_a_new_choice_is_followed() -> None:
    bench = Bench("BTCUSDT,ETHUSDT", listed(BTC, ETH, SOL))
    async with bench.running():
        await bench.choose("ETHUSDT,SOLUSDT")

        assert bench.served() == (ETH, SOL)
        assert bench.follower.removed == [(BTC, DESELECTED)]


async def test_a_held_instrument_stays_when_it_is_removed_until_it_is_released() -> None:
    """Removed by the choice, then by the listing; health and an event say that it is kept."""
    bench = Bench("BTCUSDT,ETHUSDT", listed(BTC, ETH))
    async with bench.running():
        bench.held.hold(BTC, "execution")
        await bench.choose("ETHUSDT")
        assert bench.served() == (BTC, ETH)
        assert bench.kept == [KeptInstrument(BTC, "execution", DESELECTED)]
        report = bench.serving.report()
        assert "kept although not chosen: spot/BTCUSDT (execution)" in report.sentence
        assert report.level is Level.GREEN

        await bench.list(*listed(ETH))
        assert bench.served() == (BTC, ETH)
        assert bench.follower.removed == []
        assert len(bench.kept) == 1

        bench.held.release(BTC, "execution")
        await settle()
        assert bench.served() == (ETH,)
        assert bench.follower.removed == [(BTC, UNLISTED)]
        assert "kept" not in bench.serving.report().sentence


async def test_a_held_instrument_is_served_although_it_is_not_chosen() -> None:
    """After a restart with an open position; another venue's is not this feed's."""
    bench = Bench("ETHUSDT", listed(BTC, ETH))
    bench.held.hold(BTC, "execution")
    bench.held.hold(SOL, "execution")  # not listed: it cannot be subscribed
    bench.held.hold(PERP, "execution")
    async with bench.running():
        assert bench.served() == (BTC, ETH)
        assert bench.kept == [KeptInstrument(BTC, "execution", NOT_CHOSEN)]

        await bench.choose("BTCUSDT,ETHUSDT")
        assert bench.serving.report().kept == ()


async def test_a_listing_that_is_empty_removes_nothing() -> None:
    """It is a defect of the listing: no venue stops trading everything at once."""
    bench = Bench("*", listed(BTC, ETH))
    async with bench.running():
        await bench.list()
        assert bench.served() == (BTC, ETH)
        await bench.list(*listed(ETH))

        assert bench.served() == (ETH,)


async def test_a_listing_that_cannot_be_read_changes_nothing_but_health() -> None:
    bench = Bench("*", listed(BTC))
    async with bench.running():
        bench.instruments.fail("503 from the venue")
        await settle()
        report = bench.serving.report()

        assert bench.served() == (BTC,)
        assert (report.level, report.instruments) == (Level.YELLOW, 1)
        assert "listings and delistings are not followed: 503 from the venue" in report.sentence


async def test_an_unknown_contract_type_is_reported_once() -> None:
    """With the first instrument of that type; `*` serves the others."""
    usual = Listing(PERP, "USDT", trading=True, contract_type="P", contract=ContractKind.PERPETUAL)
    odd = [
        Listing(InstrumentId.parse(name), "USDT", trading=True, contract_type="WEEKLY")
        for name in ("perp/BUSDT", "perp/AUSDT")
    ]
    bench = Bench("*", [usual, *odd], feed=ScriptedMarketFeed(Venue.PERP))
    async with bench.running():
        await bench.list(*odd, usual)

        assert bench.served() == (PERP,)
        assert bench.unknown_contracts == [("WEEKLY", "perp/AUSDT")]


async def test_a_shard_without_instruments_keeps_running() -> None:
    """Nothing to do is not an end: it serves what comes later."""
    other = 1 - shard_of(BTC.symbol, 2)
    assert shard_of(ETH.symbol, 2) == other, "choose another symbol"
    bench = Bench("*", listed(BTC), shard=Shard(other, 2))
    async with bench.running():
        assert bench.served() == ()
        await bench.list(*listed(BTC, ETH))

        assert bench.served() == (ETH,)


class EndingFeed(ScriptedMarketFeed):
    async def run(self, instruments: Sequence[InstrumentId]) -> None:
        self.instruments = tuple(instruments)


async def test_a_feed_that_ends_ends_the_worker() -> None:
    """A dead feed ends its worker, so that the supervisor sees it."""
    bench = Bench("BTCUSDT", listed(BTC), feed=EndingFeed(Venue.SPOT))

    with anyio.fail_after(TIMEOUT_S):
        await bench.serving.run()

    assert bench.served() == (BTC,)
