"""Replay: windows follow the times in the file, so quotes do not depend on speed."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.recording import BinanceRecording
from chimera_s1.adapters.market_file import RecordedMessage
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.conflation import WindowMs, window_end

WINDOW = WindowMs(1000)


def record(ts: int, update_id: int, symbol: str = "btcusdt") -> RecordedMessage:
    name = f"{symbol}@bookTicker"
    data = b'{"u":%d,"s":"%s","b":"100.1","B":"2","a":"100.3","A":"3"}' % (
        update_id,
        symbol.upper().encode(),
    )
    message = b'{"stream":"%s","data":%s}' % (name.encode(), data)
    return RecordedMessage(ts, Venue.SPOT, name, data, message)


def replayed(records: Iterable[RecordedMessage], window: WindowMs) -> list[tuple[int, list[int]]]:
    feed = BinanceRecording(records, window)
    return [(w.end_ms, [quote.update_id for quote in w.quotes]) for w in feed.windows()]


def test_the_newest_of_each_window_is_replayed() -> None:
    """Two windows of a file give two quotes, at the ends given by the times in the file."""
    records = [record(10_100, 1), record(10_900, 2), record(11_000, 3)]

    assert replayed(records, WINDOW) == [(11_000, [2]), (12_000, [3])]


def test_with_window_zero_every_message_is_replayed() -> None:
    """Each update is a quote."""
    records = [record(10_100, 1), record(10_100, 2), record(10_101, 3)]

    assert [ids for _, ids in replayed(records, WindowMs(0))] == [[1, 2], [3]]


def test_the_source_field_marks_a_replay() -> None:
    """A consumer can tell recorded from live."""
    (window,) = BinanceRecording([record(10_100, 1)], WINDOW).windows()

    assert window.quotes[0].source == "replay.spot.bookTicker"


def test_a_message_that_is_no_book_is_counted_and_ignored() -> None:
    """Trades and mark prices in a file are not an error."""
    trade = RecordedMessage(10_100, Venue.SPOT, "btcusdt@aggTrade", b"{}", b"{}")
    feed = BinanceRecording([trade, record(10_200, 1)], WINDOW)

    assert len(list(feed.windows())) == 1
    assert feed.counters.dropped == {"not_a_book": 1}


@given(gaps=st.lists(st.integers(0, 3_000), max_size=60))
def test_each_quote_lies_in_its_window(gaps: list[int]) -> None:
    """Windows come in order and hold what the live service would have published."""
    moments = [10_000 + sum(gaps[: n + 1]) for n in range(len(gaps))]
    feed = BinanceRecording([record(ts, n + 1) for n, ts in enumerate(moments)], WINDOW)
    windows = list(feed.windows())

    assert sorted({window_end(ts, WINDOW) for ts in moments}) == [w.end_ms for w in windows]
    assert all(window_end(w.quotes[0].received_ms, WINDOW) == w.end_ms for w in windows)
