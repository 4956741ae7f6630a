"""Rows 56, 57 and 60 of the fault matrix: frames that are broken, out of order, or impossible
books.

Each fault proves that it fired; after each, all quotes that were handed out are right.
"""

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.identifiers import Channel, Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import ConnectionOpened, FeedCounters
from tests.contract.feed_harness import CLOCK, SYMBOLS, FeedHarness, feed_harness
from tests.contract.quote_invariants import check_alone, check_quotes
from tests.contract.raw_exchange import book_ticker_message, raw_exchange, server_frame
from tests.time_limits import TIMEOUT_S

TIMES = 3
STREAM = {Channel.BOOK_TICKER: "bookTicker", Channel.DEPTH5: "depth5@100ms"}


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    """Slow enough that the simulator keeps a record of most that it sent."""
    config = SimulatorConfig(symbols=SYMBOLS, rate=300.0)
    addresses: SimulatorAddresses = await tasks.start(Simulator(config, CLOCK).run)
    return addresses


async def through(feed: FeedHarness, do: str, on: str) -> list[Quote]:
    """The quotes before, between and after the TIMES times that *do* happens to *on*."""
    quotes = await feed.drain_until(lambda seen: len(seen) >= 3)
    for number in range(1, TIMES + 1):
        await feed.inject_fault({"on": on, "do": do})
        while await feed.fired_counts() != [1] * number:
            quotes += await feed.drain_until(lambda seen: len(seen) > 0)
        newest = {quote.instrument.symbol: quote.update_id for quote in quotes}
        quotes += await feed.drain_until(
            lambda seen, newest=newest: (
                set(SYMBOLS)  # type: ignore[misc] # a default binds early
                <= {q.instrument.symbol for q in seen if q.update_id > newest[q.instrument.symbol]}
            )
        )
    return quotes


async def until_dropped(feed: FeedHarness, dropped: dict[str, int]) -> list[Quote]:
    """The quotes until as many frames are dropped: the last may come after a newer frame."""
    wanted = sum(dropped.values())
    with anyio.fail_after(TIMEOUT_S):
        return await feed.drain_until(lambda _: sum(feed.feed.counters.dropped.values()) >= wanted)


Case = tuple[Venue, Channel, str, dict[str, int]]

REASONS = {
    "truncated": "malformed",
    "json": "malformed",
    "types": "malformed",
    "event": "malformed",
    "nan": "non_finite",
    "infinity": "non_finite",
    "huge": "oversized",
    "binary": "not_text",
    "utf8": "malformed",
    "empty": "malformed",
}
MALFORMED: list[Case] = [
    (venue, channel, kind, {reason: TIMES})
    for venue, channel in ((Venue.SPOT, Channel.BOOK_TICKER), (Venue.PERP, Channel.DEPTH5))
    for kind, reason in REASONS.items()
    if (venue, kind) != (Venue.PERP, "utf8")
]
# On futures the damaged bytes are in the name of a field that is not read: its book is valid.
MALFORMED.append((Venue.PERP, Channel.BOOK_TICKER, "utf8", {}))
IMPOSSIBLE: list[Case] = [
    (venue, channel, do, {reason: TIMES})
    for venue in Venue
    for channel in Channel
    for do, reason in (("crossed", "crossed"), ("zero", "locked_at_zero"), ("negative", "negative"))
]


def named(case: Case) -> str:
    venue, channel, do, _ = case
    return f"{venue.value} {channel.value} {do}"


async def after(
    tasks: TaskGroup, simulator: SimulatorAddresses, case: Case, do: str
) -> FeedCounters:
    """Let *do* happen to one stream of a feed, check its quotes; what it counted."""
    venue, channel, _, dropped = case

    def only(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, channels=(channel,))

    async with feed_harness(tasks, simulator, venue, plan=only) as feed:
        quotes = await through(feed, do, f"ws:{venue.value}:btcusdt@{STREAM[channel]}")
        quotes += await until_dropped(feed, dropped)
        await check_quotes(feed.control, quotes)
        status = (await feed.control.get("/sim/status")).json()
        assert status["venues"][venue.value]["connections_opened"] == 1
        return structs.replace(feed.feed.counters)


@pytest.mark.parametrize("case", MALFORMED, ids=named)
async def test_row_56_malformed_frames_are_dropped_and_counted_by_reason(
    tasks: TaskGroup, simulator: SimulatorAddresses, case: Case
) -> None:
    """No exception leaves the callback (it would end the socket); the connection stays."""
    _, _, kind, dropped = case
    counters = await after(tasks, simulator, case, f"malformed:{kind}")

    assert dropped == counters.dropped
    assert counters.reconnects == 0


@pytest.mark.parametrize(
    ("do", "dropped"),
    [
        ("gap", {}),
        ("duplicate", {"stale_update_id": TIMES}),
        ("reorder", {"stale_update_id": TIMES}),
    ],
)
@pytest.mark.parametrize("venue", Venue)
async def test_row_57_gaps_duplicates_and_disorder_publish_nothing_old(
    tasks: TaskGroup,
    simulator: SimulatorAddresses,
    venue: Venue,
    do: str,
    dropped: dict[str, int],
) -> None:
    """Every frame is a whole top of book, so a gap needs no new snapshot: the next one is right.
    What is not newer than what was read is dropped.
    """
    async with feed_harness(tasks, simulator, venue) as feed:
        quotes = await through(feed, do, f"ws:{venue.value}:btcusdt@bookTicker")
        quotes += await until_dropped(feed, dropped)
        await check_quotes(feed.control, quotes)

    assert dropped == feed.feed.counters.dropped
    assert feed.feed.counters.reconnects == 0


@pytest.mark.parametrize("case", IMPOSSIBLE, ids=named)
async def test_row_60_impossible_books_are_not_published(
    tasks: TaskGroup, simulator: SimulatorAddresses, case: Case
) -> None:
    """Each is counted under its own reason, and the next valid book is published."""
    _, _, do, dropped = case
    counters = await after(tasks, simulator, case, do)

    assert dropped == counters.dropped
    assert counters.reconnects == 0


def depth(update_id: int, bids: bytes, asks: bytes) -> bytes:
    return b'{"stream":"btcusdt@depth5@100ms","data":{"lastUpdateId":%d,"bids":%b,"asks":%b}}' % (
        update_id,
        bids,
        asks,
    )


SOUND = b'[["100.1","2"]]', b'[["100.3","3"]]'


@pytest.mark.parametrize(
    ("channel", "broken", "reason"),
    [
        (Channel.BOOK_TICKER, book_ticker_message(2, bid="0.00000000"), "empty"),
        (Channel.BOOK_TICKER, book_ticker_message(2, ask="0"), "empty"),
        (Channel.BOOK_TICKER, book_ticker_message(2, bid="-0.0", ask="0"), "locked_at_zero"),
        (Channel.BOOK_TICKER, book_ticker_message(2, bid="1e308", ask="1.7e308"), "non_finite"),
        (Channel.DEPTH5, depth(2, b"[]", SOUND[1]), "empty"),
        (Channel.DEPTH5, depth(2, SOUND[0], b"[]"), "empty"),
        (Channel.DEPTH5, depth(2, b"[]", b"[]"), "locked_at_zero"),
        (Channel.DEPTH5, depth(2, b'[["100.1"]]', SOUND[1]), "malformed"),
    ],
)
async def test_row_60_books_without_a_side_are_not_published(
    tasks: TaskGroup, channel: Channel, broken: bytes, reason: str
) -> None:
    """An empty side is not a price of zero."""
    sound = (
        book_ticker_message
        if channel is Channel.BOOK_TICKER
        else lambda number: depth(number, *SOUND)
    )
    script = [server_frame(sound(1)) + server_frame(broken) + server_frame(sound(3))]

    def only(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, channels=(channel,))

    async with (
        raw_exchange(script) as exchange,
        feed_harness(tasks, exchange.addresses, Venue.SPOT, symbols=["BTCUSDT"], plan=only) as feed,
    ):
        await feed.next_event(ConnectionOpened)
        quotes = await feed.drain_until(lambda seen: bool(seen) and seen[-1].update_id == 3)

    check_alone(quotes)
    assert [quote.update_id for quote in quotes] == [1, 3]
    assert feed.feed.counters.dropped == {reason: 1}
