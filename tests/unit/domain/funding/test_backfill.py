"""What is stored of a backfill: two positions that only grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.backfill import (
    DAYS_MAX,
    Backfill,
    stored_backfill,
)
from chimera_s1.domain.operations.schedule import DAY_MS

AT = 1_796_000_000_000
EXACT_MAX = 2**53
"""A JSON number above it may not be exact."""


@st.composite
def backfills(draw: st.DrawFn) -> Backfill:
    days = draw(st.integers(1, DAYS_MAX))
    requested_at = draw(st.integers(1, 4_000_000_000)) * 1_000
    return Backfill(requested_at=requested_at, days=days, days_read=draw(st.integers(0, days)))


@given(backfills())
def test_a_backfill_is_the_same_after_it_was_stored(backfill: Backfill) -> None:
    assert stored_backfill(backfill.request_position, backfill.read_position) == backfill
    assert backfill.request_position < EXACT_MAX


@given(backfills(), backfills())
def test_positions_of_a_later_request_are_larger(one: Backfill, other: Backfill) -> None:
    if one.requested_at == other.requested_at:
        return
    first, second = sorted((one, other), key=lambda each: each.requested_at)
    assert first.request_position < second.read_position
    unread = stored_backfill(second.request_position, first.read_position)
    assert unread is not None
    assert unread.days_read == 0, "what another request has read does not count"


def test_before_the_first_request_there_is_none() -> None:
    assert stored_backfill(0, 0) is None


@pytest.mark.parametrize(("days", "read"), [(0, 0), (DAYS_MAX + 1, 0), (3, 4), (3, -1)])
def test_an_impossible_backfill_is_refused(days: int, read: int) -> None:
    with pytest.raises(InvalidValueError):
        Backfill(requested_at=AT, days=days, days_read=read)


def test_the_newest_days_are_read_first() -> None:
    assert Backfill(requested_at=AT, days=4, days_read=1).done_from == AT - DAY_MS
