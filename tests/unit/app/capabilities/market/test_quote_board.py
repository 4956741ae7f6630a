"""The quote board: newest quotes to read, and bounded subscriptions."""

from collections import Counter
from contextlib import AsyncExitStack

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.app.capabilities.market.quote_board import (
    BoardClosedError,
    PostedQuote,
    QuoteBoard,
    QuoteFilter,
    QuoteSubscription,
    Unread,
)
from chimera_s1.app.capabilities.market.stream_limit import (
    StreamLimit,
    TooManyOfActorError,
    TooManySubscribersError,
)
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from tests.fakes.manual_clock import settle
from tests.sample_quotes import TS, quote
from tests.time_limits import TIMEOUT_S

EVERYTHING = QuoteFilter()
BTC = InstrumentId(Venue.SPOT, Symbol("BTCUSDT"))
STREAMS = ("spot/BTCUSDT", "spot/ETHUSDT", "perp/BTCUSDT")
DEPTH = "binance.spot.depth5"


def bids(unread: Unread) -> list[tuple[str, float]]:
    return [(str(entry.quote.instrument), entry.quote.bid) for entry in unread.quotes]


async def test_the_last_quote_of_a_stream_stays() -> None:
    board = QuoteBoard()

    board.post([quote(bid=1.0), quote(bid=2.0)])
    board.post([quote("perp/BTCUSDT", bid=9.0)])

    newest = board.newest(BTC)
    assert newest is not None
    assert newest.bid == 2.0


async def test_an_instrument_without_a_quote_has_none() -> None:
    board = QuoteBoard()
    board.post([quote("perp/BTCUSDT"), quote("spot/ETHUSDT")])

    assert board.newest(BTC) is None


async def test_newest_over_several_sources_is_by_ts() -> None:
    board = QuoteBoard()

    board.post([quote(ts=TS + 5, bid=1.0), quote(ts=TS, bid=2.0, source=DEPTH)])

    newest = board.newest(BTC)
    assert newest is not None
    assert newest.bid == 1.0
    assert [each.source for each in board.newest_matching(EVERYTHING)] == [
        "binance.spot.bookTicker",
        DEPTH,
    ]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (EVERYTHING, ["perp/BTCUSDT", "spot/BTCUSDT", "spot/ETHUSDT"]),
        (QuoteFilter(Venue.PERP), ["perp/BTCUSDT"]),
        (
            QuoteFilter(symbols=frozenset({Symbol("BTCUSDT")})),
            ["perp/BTCUSDT", "spot/BTCUSDT"],
        ),
        (QuoteFilter(Venue.SPOT, frozenset({Symbol("ETHUSDT")})), ["spot/ETHUSDT"]),
        (QuoteFilter(Venue.PERP, frozenset({Symbol("ETHUSDT")})), []),
    ],
)
async def test_filter_selects_what_it_names(chosen: QuoteFilter, expected: list[str]) -> None:
    """Values and streams choose alike."""
    board = QuoteBoard()
    board.post([quote(name) for name in STREAMS])

    async with board.subscribe(chosen) as subscription:
        followed = subscription.pending

    assert [str(each.instrument) for each in board.newest_matching(chosen)] == expected
    assert followed == len(expected)


async def test_stream_starts_with_current_quotes_and_continues() -> None:
    board = QuoteBoard()
    board.post([quote(bid=1.0), quote("spot/ETHUSDT", bid=2.0)])

    with anyio.fail_after(TIMEOUT_S):
        async with board.subscribe(EVERYTHING) as subscription:
            first = await anext(subscription)
            board.post([quote(bid=3.0)])
            second = await anext(subscription)

    assert bids(first) == [("spot/BTCUSDT", 1.0), ("spot/ETHUSDT", 2.0)]
    assert bids(second) == [("spot/BTCUSDT", 3.0)]
    assert [entry.number for entry in (*first.quotes, *second.quotes)] == [1, 2, 3]


def test_only_the_newest_quote_of_a_stream_is_the_newest() -> None:
    """Even if it is equal to the one before."""
    board = QuoteBoard()
    first, second, other = quote(), quote(), quote("spot/ETHUSDT")
    board.post([first, second])

    assert [board.is_newest(each) for each in (first, second, other)] == [False, True, False]


@given(st.lists(st.tuples(st.sampled_from(STREAMS), st.booleans()), max_size=60))
def test_slow_reader_gets_newer_quotes_and_no_longer_queue(
    posts: list[tuple[str, bool]],
) -> None:
    """Whatever the order of posts and reads: bounded, counted, in order, and the last value is
    seen.
    """
    subscription = QuoteSubscription(EVERYTHING, ())
    seen: list[PostedQuote] = []

    async def play() -> None:
        for number, (name, read) in enumerate(posts, start=1):
            subscription.put(PostedQuote(number, quote(name, bid=float(number))))
            assert subscription.pending <= len(STREAMS)
            if read:
                seen.extend((await anext(subscription)).quotes)
        if subscription.pending:
            seen.extend((await anext(subscription)).quotes)

    anyio.run(play)

    last = {name: float(number) for number, (name, _) in enumerate(posts, start=1)}
    assert len(seen) + subscription.replaced == len(posts)
    assert [entry.number for entry in seen] == sorted({entry.number for entry in seen})
    assert {str(entry.quote.instrument): entry.quote.bid for entry in seen} == last


async def test_replaced_quotes_stay_counted_after_the_reader_left() -> None:
    board = QuoteBoard()
    async with board.subscribe(EVERYTHING):
        board.post([quote(bid=1.0), quote(bid=2.0), quote(bid=3.0)])
        assert board.replaced == 2

    assert board.replaced == 2


async def test_cancelled_read_loses_no_quote() -> None:
    """A keep-alive interrupts the wait; what arrives afterwards is still handed out."""
    board = QuoteBoard()

    with anyio.fail_after(TIMEOUT_S):
        async with board.subscribe(EVERYTHING) as subscription:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(subscription)
            board.post([quote()])
            batch = await anext(subscription)

    assert scope.cancelled_caught
    assert len(batch.quotes) == 1


async def test_a_change_of_status_wakes_the_readers_of_the_instrument() -> None:
    """Once however often it changes before it is read; readers of other instruments sleep on."""
    board = QuoteBoard()
    eth = InstrumentId(Venue.SPOT, Symbol("ETHUSDT"))

    with anyio.fail_after(TIMEOUT_S):
        async with (
            board.subscribe(EVERYTHING) as reader,
            board.subscribe(QuoteFilter(symbols=frozenset({eth.symbol}))) as other,
        ):
            for _ in range(2):
                board.post_changed(BTC)
            assert await anext(reader) == Unread((), (BTC,))
            board.post([quote("spot/ETHUSDT")])
            board.post_changed(eth)
            unread = await anext(other)

    assert (bids(unread), unread.changed) == ([("spot/ETHUSDT", 67403.8)], (eth,))


async def test_one_stream_too_many_is_refused_until_another_ends() -> None:
    board = QuoteBoard(StreamLimit(total=1, reserved=0))

    async with board.subscribe(EVERYTHING):
        assert board.subscribers == 1
        with pytest.raises(TooManySubscribersError, match="1 quote streams are open"):
            async with board.subscribe(EVERYTHING):
                pass

    async with board.subscribe(EVERYTHING):
        assert board.subscribers == 1
    assert board.subscribers == 0


async def test_actors_that_hold_all_they_can_leave_streams_for_others() -> None:
    """Four greedy actors reach the limits; fifteen others still open one each."""
    board = QuoteBoard()
    refused: Counter[str] = Counter()

    async with AsyncExitStack() as stack:

        async def open_as(actor: str) -> None:
            try:
                await stack.enter_async_context(board.subscribe(EVERYTHING, actor))
            except (TooManyOfActorError, TooManySubscribersError) as error:
                refused[error.code] += 1

        for number in range(4):
            for _ in range(20):
                await open_as(f"greedy-{number}")
        assert board.subscribers == 3 * 16 + 2
        assert refused == {"quotes.too_many_of_actor": 12, "quotes.too_many_subscribers": 18}
        for number in range(14):
            await open_as(f"modest-{number}")
        assert board.subscribers == 64
        await open_as("late")

    assert refused["quotes.too_many_subscribers"] == 19
    assert board.subscribers == 0


async def test_a_refusal_names_the_limits() -> None:
    board = QuoteBoard(StreamLimit(total=3, per_actor=2, reserved=1, reserved_each=1))

    async with board.subscribe(EVERYTHING, "a"), board.subscribe(EVERYTHING, "a"):
        with pytest.raises(TooManyOfActorError, match="one actor may have 2; close one"):
            await board.subscribe(EVERYTHING, "a").__aenter__()
        async with board.subscribe(EVERYTHING, "b"):
            with pytest.raises(TooManySubscribersError, match="of 3, 1 of which are kept"):
                await board.subscribe(EVERYTHING, "b").__aenter__()


async def test_closing_ends_streams_and_refuses_new_ones() -> None:
    board = QuoteBoard()
    read: list[int] = []

    async def follow(subscription: QuoteSubscription) -> None:
        read.extend([len(unread.quotes) async for unread in subscription])

    with anyio.fail_after(TIMEOUT_S):
        async with board.subscribe(EVERYTHING) as subscription, anyio.create_task_group() as tasks:
            tasks.start_soon(follow, subscription)
            await settle()
            board.post([quote()])
            await settle()
            board.close()

    assert read == [1]
    assert board.newest(BTC) is not None
    with pytest.raises(BoardClosedError):
        async with board.subscribe(EVERYTHING):
            pass


async def test_a_withdrawn_instrument_has_no_quote_until_it_delivers_again() -> None:
    """Of any source, alone or in a list; the reason can be read meanwhile."""
    board = QuoteBoard()
    board.post([quote(), quote(source=DEPTH), quote("spot/ETHUSDT")])
    board.withdraw([BTC], "the venue does not list it any more")

    assert board.newest(BTC) is None
    assert board.why_withdrawn(BTC) == "the venue does not list it any more"
    assert [str(each.instrument) for each in board.newest_matching(EVERYTHING)] == ["spot/ETHUSDT"]
    board.post([quote("spot/ETHUSDT")])
    assert board.why_withdrawn(BTC) is not None
    board.post([quote()])
    assert board.newest(BTC) is not None
    assert board.why_withdrawn(BTC) is None


async def test_the_newest_quote_is_found_after_another_instrument_took_a_place() -> None:
    board = QuoteBoard()
    board.post([quote(), quote("spot/ETHUSDT")])
    assert board.newest(BTC) is not None
    board.withdraw([BTC], "the venue does not list it any more")
    board.post([quote("perp/BTCUSDT", bid=9.0)])

    newest = board.newest(InstrumentId(Venue.PERP, Symbol("BTCUSDT")))
    assert board.newest(BTC) is None
    assert newest is not None
    assert newest.bid == 9.0
