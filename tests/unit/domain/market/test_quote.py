"""Quote arithmetic and book defects."""

from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.quote import BookDefect, Quote, book_defect
from tests.unit.domain.strategies import any_float

HUGE = 1.7e308


def quote(bid: float, bid_qty: float, ask: float, ask_qty: float) -> Quote:
    return Quote(
        instrument=InstrumentId(Venue.SPOT, Symbol("BTCUSDT")),
        ts=1_772_514_460_893,
        bid=bid,
        bid_qty=bid_qty,
        ask=ask,
        ask_qty=ask_qty,
        source="binance.spot.bookTicker",
        update_id=1,
        received_ms=1_772_514_460_895,
    )


def test_formulas_match_a_hand_computed_book() -> None:
    book = quote(bid=99.0, bid_qty=3.0, ask=101.0, ask_qty=2.0)

    assert (book.mid, book.spread_bps, book.top1_qty, book.top1_usdt) == (100.0, 200.0, 2.0, 200.0)


@given(any_float, any_float, any_float, any_float)
def test_book_is_valid_iff_both_sides_exist_and_do_not_cross(
    bid: float, bid_qty: float, ask: float, ask_qty: float
) -> None:
    """Every combination of four floats is either a quote that is right or has one named defect."""
    numbers = (bid, ask, bid_qty, ask_qty)
    match book_defect(bid, bid_qty, ask, ask_qty):
        case None:
            book = quote(bid, bid_qty, ask, ask_qty)
            derived = (book.mid, book.spread_bps, book.top1_qty, book.top1_usdt)
            assert all(map(isfinite, (*numbers, *derived)))
            assert min(numbers) > 0
            assert bid <= book.mid <= ask
            assert book.spread_bps >= 0
            assert book.top1_usdt == min(bid_qty, ask_qty) * ((bid + ask) / 2)
        case BookDefect.NON_FINITE:
            assert not isfinite((bid + ask) * (bid_qty + ask_qty))
        case BookDefect.NEGATIVE:
            assert min(numbers) < 0
        case BookDefect.LOCKED_AT_ZERO:
            assert bid == ask == 0
        case BookDefect.EMPTY:
            assert min(numbers) == 0
        case BookDefect.CROSSED:
            assert bid > ask > 0


@given(*(4 * [st.floats(min_value=1e-9, max_value=1e12)]))
def test_a_book_of_market_size_is_refused_only_for_being_crossed(
    one: float, bid_qty: float, other: float, ask_qty: float
) -> None:
    low, high = sorted((one, other))

    assert book_defect(low, bid_qty, high, ask_qty) is None
    assert book_defect(high, bid_qty, low, ask_qty) is (BookDefect.CROSSED if high > low else None)


@pytest.mark.parametrize(
    ("book", "defect"),
    [
        ((100.0, 1.0, 100.0, 1.0), None),
        ((101.0, 1.0, 100.0, 1.0), BookDefect.CROSSED),
        ((0.0, 0.0, 0.0, 0.0), BookDefect.LOCKED_AT_ZERO),
        ((0.0, 1.0, 0.0, 1.0), BookDefect.LOCKED_AT_ZERO),
        ((0.0, 0.0, 100.0, 1.0), BookDefect.EMPTY),
        ((100.0, 1.0, 0.0, 0.0), BookDefect.EMPTY),
        ((100.0, 0.0, 101.0, 1.0), BookDefect.EMPTY),
        ((100.0, 1.0, 101.0, 0.0), BookDefect.EMPTY),
        ((-1.0, 1.0, 100.0, 1.0), BookDefect.NEGATIVE),
        ((100.0, -1.0, 101.0, 1.0), BookDefect.NEGATIVE),
        ((100.0, 1.0, 101.0, -1.0), BookDefect.NEGATIVE),
        ((nan, 1.0, 100.0, 1.0), BookDefect.NON_FINITE),
        ((100.0, nan, 101.0, 1.0), BookDefect.NON_FINITE),
        ((100.0, 1.0, inf, 1.0), BookDefect.NON_FINITE),
        ((100.0, 1.0, 101.0, inf), BookDefect.NON_FINITE),
        ((-inf, 1.0, 100.0, 1.0), BookDefect.NON_FINITE),
        # Finite parts whose mid, or whose value in USDT, is not.
        ((HUGE, 1.0, HUGE, 1.0), BookDefect.NON_FINITE),
        ((1e200, 1e200, 1e200, 1e200), BookDefect.NON_FINITE),
    ],
)
def test_each_defect_is_reported(
    book: tuple[float, float, float, float], defect: BookDefect | None
) -> None:
    assert book_defect(*book) is defect
