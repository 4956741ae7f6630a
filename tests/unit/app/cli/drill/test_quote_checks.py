"""Missing windows and wrong numbers are found, without false alarms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.app.cli.drill.quote_checks import (
    ObservedQuote,
    lateness_ms,
    missing_windows,
    mistimed_quotes,
    most_missing,
    quote_errors,
)
from chimera_s1.domain.identifiers import InstrumentId

BOOKS = frozenset({(99.0, 101.0, 2.0), (100.0, 102.0, 1.0)})
START = 1_700_000_000_000


def quote(ts: int, bid: float = 99.0, ask: float = 101.0, qty: float = 2.0) -> ObservedQuote:
    """A correct quote, whose window ends 100 ms after its ts."""
    mid, spread_bps = (bid + ask) / 2, (ask - bid) / ((bid + ask) / 2) * 1e4
    return ObservedQuote(ts + 100, ts + 110, ts, bid, ask, mid, spread_bps, qty, qty * mid)


@given(st.lists(st.integers(100, 899), min_size=10, max_size=10), st.sets(st.integers(1, 8)))
def test_exactly_the_windows_without_a_quote_are_missing(
    offsets: list[int], gone: set[int]
) -> None:
    """Wherever in its window each quote lies; near an edge it may belong to either."""
    quotes = [
        quote(START + number * 1_000 + offset)
        for number, offset in enumerate(offsets)
        if number not in gone
    ]

    assert missing_windows(quotes, START, START + 9_000) == len(gone)


def test_a_quote_of_a_window_closed_late_fills_that_window() -> None:
    quotes = [quote(START + at) for at in (500, 1_500, 3_020, 3_900)]

    assert missing_windows(quotes, START - 1, START + 4_000) == 0


def test_the_instrument_that_misses_most_counts() -> None:
    whole, half = InstrumentId.parse("spot/BTCUSDT"), InstrumentId.parse("perp/BTCUSDT")
    quotes = {
        whole: [quote(START + number * 1_000 + 500) for number in range(10)],
        half: [quote(START + number * 1_000 + 500) for number in range(0, 10, 2)],
    }

    assert most_missing(quotes, [whole], START, START + 10_000) == 0
    assert most_missing(quotes, [whole, half], START, START + 10_000) == 5
    assert most_missing({}, [whole], START, START + 10_000) == 9
    assert most_missing(quotes, [], START, START + 10_000) == 0


def test_correct_quotes_have_no_errors() -> None:
    quotes = [quote(START), quote(START, 100.0, 102.0, 1.0), quote(START + 1_000)]

    assert quote_errors(quotes, BOOKS) == ()
    assert mistimed_quotes(quotes, age_max_ms=1_000) == 0


@pytest.mark.parametrize(
    ("second", "text"),
    [
        (quote(START + 1, 99.0, 101.0, 3.0), "no such book was sent: 99.0 101.0 3.0"),
        (quote(START + 1, 101.0, 99.0, 2.0), "no such book was sent"),
        (replace(quote(START + 1), mid=100.1), "do not follow from the book"),
        (replace(quote(START + 1), spread_bps=1.0), "do not follow from the book"),
        (replace(quote(START + 1), top1_usdt=1.0), "do not follow from the book"),
        (quote(START), "published twice"),
    ],
)
def test_each_error_is_described(second: ObservedQuote, text: str) -> None:
    (found,) = quote_errors([quote(START), second], BOOKS)

    assert text in found


@pytest.mark.parametrize(
    "second",
    [
        replace(quote(START + 1), at_ms=START + 5_000),
        replace(quote(START + 1), at_ms=START - 300),
        quote(START - 20),
    ],
    ids=["too old", "from the future", "goes back"],
)
def test_a_wrong_ts_is_counted(second: ObservedQuote) -> None:
    assert mistimed_quotes([quote(START), second], age_max_ms=1_000) == 1


def test_lateness_is_the_99th_percentile_from_the_windows_end() -> None:
    quotes = [replace(quote(START + 900), read_ms=START + 1_000 + late) for late in range(101)]

    assert lateness_ms(quotes) == 99
    assert lateness_ms([]) is None
