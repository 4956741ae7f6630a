"""Frames: the newest bytes of each stream, parsed and checked when the window closes."""

import pytest

from chimera_s1.adapters.binance.streams import book_frames
from chimera_s1.adapters.binance.streams.book_frames import (
    EVENT_AGE_MAX_MS,
    BookFrames,
    BookStream,
    drain_quotes,
)
from chimera_s1.domain.identifiers import Channel, InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import EVERY_UPDATE, WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.update_id_tracker import RESTART_AFTER_MS
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.ports.market_feed import FeedCounters

PERP = InstrumentId(Venue.PERP, Symbol("BTCUSDT"))
SECOND = WindowMs(1_000)
NOW_MS = 1_772_514_460_900


def frame(  # noqa: PLR0917 (what a frame can say)
    update_id: int,
    bid: str = "100.1",
    ask: str = "100.3",
    event_ms: int = NOW_MS,
    symbol: str = "BTCUSDT",
    st: int = 1,
) -> bytes:
    return (
        b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":%d,"E":%d,"T":1,"s":"%s",'
        b'"b":"%s","B":"2","a":"%s","A":"3","st":%d}}'
        % (update_id, event_ms, symbol.encode(), bid.encode(), ask.encode(), st)
    )


class Table:
    """One stream on one connection, drained as a feed would."""

    def __init__(self, *, every_update: bool = False, connections: int = 1) -> None:
        self.counters = FeedCounters()
        self.every_update = every_update
        stream = BookStream(PERP, Channel.BOOK_TICKER)
        self.connections = [
            BookFrames([stream], self.counters, window=EVERY_UPDATE if every_update else SECOND)
            for _ in range(connections)
        ]

    def put(self, payload: bytes, received_ms: int = NOW_MS, connection: int = 0) -> bool:
        return self.connections[connection].put(payload, received_ms)

    def drain(self, offset_ms: float | None = 0.0, bound_ms: float = 0.0) -> list[Quote]:
        return drain_quotes(
            self.connections,
            self.counters,
            None if offset_ms is None else ClockOffset(offset_ms, bound_ms),
            every_update=self.every_update,
        )


def test_only_the_newest_frame_of_a_window_is_read() -> None:
    """Three frames in a window are one quote, the last; two are counted as conflated."""
    table = Table()
    for update_id in (1, 2, 3):
        table.put(frame(update_id))

    assert [quote.update_id for quote in table.drain()] == [3]
    assert (table.counters.messages, table.counters.conflated, table.counters.drained) == (3, 2, 1)
    assert table.drain() == []


def test_an_overwritten_frame_is_never_parsed() -> None:
    """A damaged frame that is overwritten is not even looked at."""
    table = Table()
    table.put(frame(1).replace(b'"b":', b'"b"'))
    table.put(frame(2))

    assert [quote.update_id for quote in table.drain()] == [2]
    assert table.counters.dropped == {}


def test_with_window_zero_every_update_is_read_in_order() -> None:
    """Nothing is conflated while there is room."""
    table = Table(every_update=True)
    for update_id in (1, 2, 3):
        table.put(frame(update_id))

    assert [quote.update_id for quote in table.drain()] == [1, 2, 3]
    assert table.counters.conflated == 0


def test_with_window_zero_a_full_buffer_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound, updates conflate, and it is counted."""
    monkeypatch.setattr(book_frames, "EVERY_UPDATE_MAX", 2)
    table = Table(every_update=True)
    for update_id in (1, 2, 3, 4, 5):
        table.put(frame(update_id))

    assert [quote.update_id for quote in table.drain()] == [1, 2, 5]
    assert table.counters.conflated == 2


def test_the_numbers_and_times_of_a_quote() -> None:
    """Prices are the frame's; the time is the event time by the local clock."""
    table = Table()
    table.put(frame(7, event_ms=NOW_MS - 140), NOW_MS)
    (quote,) = table.drain(offset_ms=-100.0)

    source = "binance.perp.bookTicker"
    assert quote == Quote(PERP, NOW_MS - 40, 100.1, 2.0, 100.3, 3.0, source, 7, NOW_MS, lag_ms=40)


@pytest.mark.parametrize("lag_ms", [0, 1, 7_000, 3_600_000])
def test_a_late_quote_is_published_with_its_event_time(lag_ms: int) -> None:
    """However late the venue is, the quote is right, and its `ts` says when it was."""
    table = Table()
    table.put(frame(1, event_ms=NOW_MS - lag_ms))
    (quote,) = table.drain()

    assert (quote.ts, quote.lag_ms) == (NOW_MS - lag_ms, lag_ms)
    assert table.counters.dropped == {}


@pytest.mark.parametrize(
    ("ahead_ms", "bound_ms", "counted"),
    [(1, 0, 0), (100, 0, 0), (101, 0, 1), (101, 1, 0), (999, 900, 0), (60_000, 900, 1)],
)
def test_an_event_time_in_the_future_gives_way_to_the_receive_time(
    ahead_ms: int, bound_ms: int, counted: int
) -> None:
    """The offset is wrong then, not the quote: it is published; counted, if its error bound does
    not explain it.
    """
    table = Table()
    table.put(frame(1, event_ms=NOW_MS + ahead_ms))
    (quote,) = table.drain(bound_ms=bound_ms)

    assert (quote.ts, quote.lag_ms) == (NOW_MS, -ahead_ms)
    assert table.counters.dropped == {}
    assert table.counters.future_event_times == counted


def test_before_the_offset_is_known_a_quote_has_its_receive_time() -> None:
    table = Table()
    table.put(frame(1, event_ms=NOW_MS - 700))
    (quote,) = table.drain(offset_ms=None)

    assert (quote.ts, quote.lag_ms) == (NOW_MS, None)
    assert table.counters.mistimed == 0


@pytest.mark.parametrize(
    "payload",
    [
        frame(1, event_ms=0),
        frame(1, event_ms=NOW_MS - EVENT_AGE_MAX_MS - 251),
        frame(1).replace(b'"E":%d,' % NOW_MS, b""),
    ],
)
def test_a_frame_without_event_time_has_its_receive_time_and_no_lag(payload: bytes) -> None:
    table = Table()
    table.put(payload)
    (quote,) = table.drain(offset_ms=-250.0)

    assert (quote.ts, quote.lag_ms) == (NOW_MS, None)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (frame(1, bid="100.4"), "crossed"),
        (frame(1, bid="0", ask="0"), "locked_at_zero"),
        (frame(1, bid="0"), "empty"),
        (frame(1, bid="-1"), "negative"),
        (frame(1, bid="NaN"), "non_finite"),
        (frame(1, ask="Infinity"), "non_finite"),
        (frame(1, symbol="ETHUSDT"), "wrong_symbol"),
        (frame(1, st=2), "coin_m"),
        (frame(1)[:-3], "malformed"),
        (frame(1).replace(b'"u":1', b'"u":"x"'), "malformed"),
        (frame(1, event_ms=10**400), "malformed"),
        (frame(2**63), "malformed"),
        (frame(1)[:-1] + b',"x":"' + b"x" * 70_000 + b'"}', "oversized"),
    ],
)
def test_an_invalid_frame_is_dropped_and_counted(payload: bytes, reason: str) -> None:
    """Each kind of invalid frame is counted under its own reason and never becomes a quote."""
    table = Table()
    table.put(payload)

    assert table.drain() == []
    assert {reason: 1} == table.counters.dropped


@pytest.mark.parametrize("every_update", [True, False])
def test_an_oversized_frame_is_not_kept(*, every_update: bool) -> None:
    """Memory is bounded by the number of streams times the longest book message."""
    table = Table(every_update=every_update)
    table.put(frame(1))
    table.put(frame(2)[:-1] + b" " * 5_000_000 + b"}")

    assert [payload for _, payload, _ in table.connections[0].take(NOW_MS + 1)] == [frame(1)]
    assert table.counters.dropped == {"oversized": 1}


@pytest.mark.parametrize(
    ("off_ms", "mistimed"), [(-6_000, 1), (-1_001, 1), (-1_000, 0), (100, 0), (101, 1)]
)
def test_an_event_time_that_does_not_fit_its_receipt_is_counted(off_ms: int, mistimed: int) -> None:
    """The offset may be wrong."""
    table = Table()
    table.put(frame(1, event_ms=NOW_MS + off_ms))
    table.drain()

    assert table.counters.mistimed == mistimed


def test_an_invalid_frame_does_not_advance_the_update_id() -> None:
    """The update id of a dropped frame is not remembered: the next valid one is published."""
    table = Table()
    table.put(frame(9, bid="100.4"))
    table.drain()
    table.put(frame(8))

    assert [quote.update_id for quote in table.drain()] == [8]


def test_an_update_that_is_not_newer_is_dropped() -> None:
    """Duplicates and old updates after a reconnect are not published again."""
    table = Table()
    for update_id in (5, 5, 4):
        table.put(frame(update_id))
        table.drain()

    assert table.counters.dropped == {"stale_update_id": 2}


def test_persistently_lower_update_ids_restart_the_order() -> None:
    """A venue that restarts its count is accepted after a while, not ignored for ever."""
    table = Table()
    table.put(frame(1_000), NOW_MS)
    table.drain()
    table.put(frame(1), NOW_MS)
    table.drain()
    table.put(frame(2), NOW_MS + RESTART_AFTER_MS)

    assert [quote.update_id for quote in table.drain()] == [2]


@pytest.mark.parametrize("newer_first", [True, False])
def test_while_connections_overlap_the_newest_update_wins(*, newer_first: bool) -> None:
    """Two sockets with the same stream give one quote per window: the newest of both."""
    table = Table(connections=2)
    table.put(frame(11 if newer_first else 10), connection=0)
    table.put(frame(10 if newer_first else 11), connection=1)

    assert [quote.update_id for quote in table.drain()] == [11]


@pytest.mark.parametrize("payload", [b"", b'{"result":null,"id":1}', b'{"stream":"x@y","data":{}}'])
def test_a_message_of_another_stream_is_left_to_the_caller(payload: bytes) -> None:
    """Control messages and streams that were not subscribed are not data messages."""
    table = Table()

    assert not table.put(payload)
    assert table.counters.messages == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_last_message_ms_is_that_of_the_newest_frame(order: tuple[int, int]) -> None:
    """Whichever of its streams that was: a connection taken for silent is dialled again."""
    names = ("BTCUSDT", "ETHUSDT")
    streams = [
        BookStream(InstrumentId(Venue.PERP, Symbol(name)), Channel.BOOK_TICKER) for name in names
    ]
    table = BookFrames(streams, FeedCounters(), window=SECOND)
    for age_ms, at in zip((5, 0), order, strict=True):
        payload = frame(1, symbol=names[at]).replace(b"btcusdt", names[at].lower().encode())
        assert table.put(payload, NOW_MS - age_ms)
    table.take(NOW_MS + 1)

    assert table.last_message_ms == NOW_MS


@pytest.mark.parametrize("window", [EVERY_UPDATE, SECOND])
def test_frames_of_a_removed_stream_are_dropped_and_counted(window: WindowMs) -> None:
    """Those that wait, and those that come until the venue has unsubscribed it: they are neither
    unread messages nor a defect.
    """
    counters = FeedCounters()
    btc, eth = (
        BookStream(InstrumentId(Venue.PERP, Symbol(name)), Channel.BOOK_TICKER)
        for name in ("BTCUSDT", "ETHUSDT")
    )
    eth_frame = frame(7, symbol="ETHUSDT").replace(b"btcusdt", b"ethusdt")
    table = BookFrames([btc], counters, window=window)
    table.put(frame(1), NOW_MS)
    table.change([eth], [btc])

    assert table.put(frame(2), NOW_MS + 1)
    assert table.put(eth_frame, NOW_MS + 2)
    assert table.last_message_ms == NOW_MS + 2
    quotes = drain_quotes([table], counters, None, every_update=window == 0)
    assert [quote.update_id for quote in quotes] == [7]
    assert counters.dropped == {"unsubscribed": 2}
    assert counters.messages == counters.drained + counters.conflated + 2


def test_a_stream_that_comes_back_is_read_again() -> None:
    """As a new one: its update ids begin anywhere."""
    table = Table()
    table.put(frame(100))
    table.drain()
    before = BookStream(PERP, Channel.BOOK_TICKER)
    table.connections[0].change([], [before])
    table.put(frame(101))
    table.connections[0].change([BookStream(PERP, Channel.BOOK_TICKER)], [])
    table.put(frame(5))

    assert [quote.update_id for quote in table.drain()] == [5]
