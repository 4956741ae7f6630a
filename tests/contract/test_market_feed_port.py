"""What every `MarketFeed` does: Binance's against the simulator, and the one that plays a script.

What only sockets can do (coming back, renewal, faulty frames) is tested where they are.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.simulator.config import SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote, book_defect
from chimera_s1.domain.ports.market_feed import MarketFeed
from tests.contract.feed_harness import CLOCK, SYMBOLS, feed_harness
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.time_limits import TIMEOUT_S

WINDOWS = [WindowMs(0), WindowMs(100)]
INSTRUMENTS = [InstrumentId(Venue.PERP, Symbol(name)) for name in SYMBOLS]


@asynccontextmanager
async def scripted(tasks: TaskGroup, window: WindowMs) -> AsyncIterator[MarketFeed]:
    """Each instrument has an update every ms."""
    feed = ScriptedMarketFeed(Venue.PERP, every_update=window == 0)

    async def trade() -> None:
        await feed.subscribed.wait()
        for number in count(1):
            for instrument in feed.instruments or ():
                source, now_ms = "binance.perp.bookTicker", CLOCK.now_ms()
                feed.receive(
                    Quote(instrument, now_ms, 100.0, 1.0, 100.5, 2.0, source, number, now_ms)
                )
            await CLOCK.sleep_ms(1)

    tasks.start_soon(trade)
    tasks.start_soon(feed.run, INSTRUMENTS)
    yield feed


@asynccontextmanager
async def binance(tasks: TaskGroup, window: WindowMs) -> AsyncIterator[MarketFeed]:
    config = SimulatorConfig(symbols=SYMBOLS, rate=3_000.0)
    addresses = await tasks.start(Simulator(config, CLOCK).run)

    def windowed(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, window=window)

    async with feed_harness(tasks, addresses, plan=windowed) as rigged:
        yield rigged.feed


@pytest.fixture(params=WINDOWS, ids=["every update", "window"])
def window(request: pytest.FixtureRequest) -> WindowMs:
    width: WindowMs = request.param
    return width


@pytest.fixture(params=[scripted, binance])
async def feed(request: pytest.FixtureRequest, window: WindowMs) -> AsyncIterator[MarketFeed]:
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            async with request.param(tasks, window) as made:
                yield made
            tasks.cancel_scope.cancel()


async def drained(feed: MarketFeed, window: WindowMs, *, turns: int = 5) -> list[list[Quote]]:
    """The results of *turns* drains that were not empty."""
    found: list[list[Quote]] = []
    while len(found) < turns:
        if window == 0:
            await feed.wait_for_update()
        else:
            await CLOCK.sleep_ms(window)
        quotes = feed.drain()
        if quotes:
            found.append(quotes)
    return found


def streams_of(quotes: Sequence[Quote]) -> list[tuple[InstrumentId, str]]:
    return [(quote.instrument, quote.source) for quote in quotes]


async def test_quotes_are_valid_and_in_order(feed: MarketFeed, window: WindowMs) -> None:
    """Of each subscribed instrument, with growing ids within a stream."""
    quotes = [quote for turn in await drained(feed, window, turns=10) for quote in turn]

    assert {quote.instrument for quote in quotes} == set(INSTRUMENTS)
    assert feed.venue is Venue.PERP
    for instrument in INSTRUMENTS:
        ids = [quote.update_id for quote in quotes if quote.instrument == instrument]
        assert sorted(set(ids)) == ids
    assert all(book_defect(q.bid, q.bid_qty, q.ask, q.ask_qty) is None for q in quotes)
    assert all(quote.received_ms <= CLOCK.now_ms() for quote in quotes)


async def test_a_drain_returns_each_quote_once(feed: MarketFeed, window: WindowMs) -> None:
    """A second drain at the same moment is empty."""
    await drained(feed, window, turns=1)

    assert feed.drain() == []


async def test_with_a_window_a_stream_gives_its_newest_quote_only(
    feed: MarketFeed, window: WindowMs
) -> None:
    """At most one for each stream and drain; replaced ones are counted."""
    turns = await drained(feed, window)
    counters = structs.replace(feed.counters)

    if window:
        assert all(len(set(streams_of(turn))) == len(turn) for turn in turns)
        assert counters.conflated > 0
    else:
        assert counters.conflated == 0


async def test_every_message_is_drained_conflated_dropped_or_pending(
    feed: MarketFeed, window: WindowMs
) -> None:
    """The counters account for every message."""
    turns = await drained(feed, window)
    counters = feed.counters

    assert counters.drained == sum(map(len, turns))
    accounted = counters.drained + counters.conflated + sum(counters.dropped.values())
    assert accounted <= counters.messages
    feed.drain(unfinished=True)
    accounted = counters.drained + counters.conflated + sum(counters.dropped.values())
    assert accounted == counters.messages


async def test_a_feed_reports_its_connections(feed: MarketFeed, window: WindowMs) -> None:
    """They deliver once quotes arrive."""
    await drained(feed, window)
    report = feed.report()

    assert report.instruments == len(INSTRUMENTS)
    assert (report.unlisted, report.fatal) == ((), False)
    assert (report.connections, report.delivering) == (1, 1)


async def test_a_selection_can_change(feed: MarketFeed, window: WindowMs) -> None:
    """What is not selected any more is neither drained nor counted as refused."""
    await drained(feed, window)
    feed.select(INSTRUMENTS[:1])
    removed = [quote for turn in await drained(feed, window) for quote in turn]
    feed.select(INSTRUMENTS)
    seen: set[InstrumentId] = set()
    while seen != set(INSTRUMENTS):
        seen |= {
            quote.instrument for turn in await drained(feed, window, turns=1) for quote in turn
        }

    assert {quote.instrument for quote in removed} == set(INSTRUMENTS[:1])
    assert feed.counters.refused == {}
    assert feed.report().instruments == len(INSTRUMENTS)
