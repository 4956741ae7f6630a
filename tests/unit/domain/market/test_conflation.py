"""Conflation windows have no gaps or overlaps and align to the wall second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.market.conflation import (
    WINDOW_MS_MAX,
    WINDOW_MS_MIN,
    WindowMs,
    parse_window,
    window_end,
)
from tests.unit.domain.strategies import epoch_ms

widths = st.integers(WINDOW_MS_MIN, WINDOW_MS_MAX).map(parse_window)


@given(epoch_ms, widths)
def test_window_ends_after_its_moment_and_within_its_width(moment: int, window: WindowMs) -> None:
    assert moment < window_end(moment, window) <= moment + window


@given(epoch_ms, widths)
def test_windows_neither_overlap_nor_leave_gaps(moment: int, window: WindowMs) -> None:
    """Every moment of a window has the same end, and the end itself is in the next window."""
    end = window_end(moment, window)

    assert {window_end(m, window) for m in range(moment, end)} == {end}
    assert window_end(end, window) > end


@given(epoch_ms, widths)
def test_no_window_spans_two_wall_seconds(moment: int, window: WindowMs) -> None:
    last_moment = window_end(moment, window) - 1

    assert last_moment // 1000 == moment // 1000


@given(epoch_ms)
def test_the_widest_window_is_the_wall_second(moment: int) -> None:
    assert window_end(moment, parse_window(1000)) == (moment // 1000 + 1) * 1000


@given(epoch_ms)
def test_window_zero_ends_one_millisecond_later(moment: int) -> None:
    assert window_end(moment, parse_window(0)) == moment + 1


@pytest.mark.parametrize(
    ("moment", "end"), [(0, 300), (299, 300), (300, 600), (899, 900), (900, 1000), (1000, 1300)]
)
def test_a_width_that_does_not_divide_the_second_ends_with_a_short_window(
    moment: int, end: int
) -> None:
    assert window_end(moment, parse_window(300)) == end


@pytest.mark.parametrize("value", [0, WINDOW_MS_MIN, WINDOW_MS_MAX])
def test_range_limits_are_valid_widths(value: int) -> None:
    assert parse_window(value) == value


@pytest.mark.parametrize("value", [-1, 1, WINDOW_MS_MIN - 1, WINDOW_MS_MAX + 1])
def test_invalid_width_is_refused(value: int) -> None:
    with pytest.raises(InvalidValueError, match="50 to 1000"):
        parse_window(value)
