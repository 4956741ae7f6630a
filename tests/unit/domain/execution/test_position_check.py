"""Positions against the ledger's fills: no false difference, no fill overlooked."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.execution.events import FillRecorded, PositionAdopted
from chimera_s1.domain.execution.known_positions import KnownPositions
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.position_check import (
    Mismatch,
    OffsetWatch,
    PositionKey,
    mismatches,
    position_difference,
    possible_offsets,
)
from chimera_s1.domain.execution.reports import FillReport, PositionReport, ReportSource
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue

BTC = Symbol("BTCUSDT")
KEY = PositionKey(BTC, "BOTH")
NOW_MS = 1_796_000_000_000


def fill(trade: int, qty: int, *, at_ms: int = NOW_MS, side: str = "") -> FillReport:
    return FillReport(
        venue=Venue.PERP,
        symbol=BTC,
        trade_id=str(trade),
        order_id="1",
        client_id="web_1",
        side="BUY" if qty > 0 else "SELL",
        qty=Decimal(abs(qty)),
        price=Decimal(60_000),
        at_ms=at_ms,
        source=ReportSource.STREAM,
        position_side=side,
    )


def position(qty: int, *, side: str = "BOTH") -> PositionReport:
    return PositionReport(
        symbol=BTC,
        position_side=side,
        qty=Decimal(qty),
        entry_price=Decimal(60_000),
        at_ms=NOW_MS,
    )


def recorded(report: FillReport) -> FillRecorded:
    return FillRecorded(client_id="", entry_id="", fill=report)


def adopted(qty: int, known: int) -> PositionAdopted:
    return PositionAdopted(
        symbol=BTC,
        position_side="BOTH",
        qty=Decimal(qty),
        known_qty=Decimal(known),
        at_ms=NOW_MS,
    )


def one_mismatch(known: KnownPositions, found: int) -> Mismatch:
    (mismatch,) = mismatches(known.positions, [position(found)])
    return mismatch


def test_a_position_is_what_was_adopted_and_every_fill_since() -> None:
    known = KnownPositions()
    known.apply(adopted(5, known=0))
    known.apply(recorded(fill(1, 2)))
    known.apply(recorded(fill(2, -3)))
    assert not mismatches(known.positions, [position(4)])
    assert known.last_fill_ms == {InstrumentId(Venue.PERP, BTC): NOW_MS}


def test_a_fill_recorded_while_a_position_is_adopted_still_counts() -> None:
    known = KnownPositions()
    known.apply(recorded(fill(1, 2)))
    known.apply(adopted(5, known=0))  # compared before the fill was recorded
    assert known.positions[KEY].qty == 7


def test_a_closed_position_that_the_exchange_no_longer_lists_is_a_mismatch() -> None:
    known = KnownPositions()
    known.apply(adopted(5, known=0))
    (mismatch,) = mismatches(known.positions, [])
    assert mismatch.known.qty == 5
    assert mismatch.found == 0
    assert (
        "BTCUSDT is 0; the known fills give 5"
        in position_difference(mismatch, mismatch.unexplained).text
    )


def test_both_sides_of_a_hedged_account_are_compared() -> None:
    known = KnownPositions()
    known.apply(recorded(fill(1, 2, side="LONG")))
    known.apply(recorded(fill(2, -3, side="SHORT")))
    assert not mismatches(known.positions, [position(2, side="LONG"), position(-3, side="SHORT")])


@given(
    st.lists(st.integers(-3, 3).filter(bool), max_size=8),
    st.integers(0, 8),
    st.integers(0, 8),
)
def test_a_read_that_lacks_the_newest_fills_is_no_difference(
    quantities: list[int], seen: int, old: int
) -> None:
    """The first *old* fills are older than the query lag, so every read includes them."""
    old = min(old, seen, len(quantities))
    known = KnownPositions()
    fills = [
        fill(n, qty, at_ms=NOW_MS - QUERY_LAG_MS if n < old else NOW_MS + n)
        for n, qty in enumerate(quantities)
    ]
    for report in fills:
        known.apply(recorded(report))
    found = sum(quantities[:seen])
    for mismatch in mismatches(known.positions, [position(found)]):
        assert 0 in possible_offsets(mismatch, known.positions[KEY].qty, fills, NOW_MS)


@given(st.lists(st.sampled_from([2, 4, -2]), max_size=6), st.sampled_from([1, -1]))
def test_an_unseen_fill_is_a_difference(quantities: list[int], unseen: int) -> None:
    """An odd quantity is no sum of even ones."""
    known = KnownPositions()
    fills = [*(fill(n, qty) for n, qty in enumerate(quantities)), fill(99, 2)]
    for report in fills[:-1]:
        known.apply(recorded(report))
    mismatch = one_mismatch(known, sum(quantities) + unseen)
    known.apply(recorded(fill(99, 2)))  # after the read
    assert 0 not in possible_offsets(mismatch, known.positions[KEY].qty, fills, NOW_MS)


def test_an_old_fill_cannot_be_missing_from_a_read() -> None:
    known = KnownPositions()
    old = fill(1, 2, at_ms=NOW_MS - QUERY_LAG_MS)
    known.apply(recorded(old))
    assert possible_offsets(one_mismatch(known, 0), Decimal(2), [old], NOW_MS) == {-2}


def test_an_offset_counts_once_every_look_of_the_query_lag_has_allowed_it() -> None:
    watch = OffsetWatch()
    assert watch.settled(KEY, frozenset({Decimal(0), Decimal(2)}), 0) is None
    assert watch.settled(KEY, frozenset({Decimal(2), Decimal(3)}), 1_000) is None
    assert watch.settled(KEY, frozenset({Decimal(2)}), QUERY_LAG_MS - 1) is None
    assert watch.settled(KEY, frozenset({Decimal(1), Decimal(2)}), QUERY_LAG_MS) == 2


def test_an_offset_that_changes_starts_again() -> None:
    watch = OffsetWatch()
    assert watch.settled(KEY, frozenset({Decimal(2)}), 0) is None
    assert watch.settled(KEY, frozenset({Decimal(1)}), QUERY_LAG_MS) is None
    watch.keep([])
    assert watch.settled(KEY, frozenset({Decimal(1)}), 2 * QUERY_LAG_MS) is None
