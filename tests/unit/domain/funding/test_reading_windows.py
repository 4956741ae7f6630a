"""Windows that are read join what is proven, and leave nothing out."""

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.coverage_union import extend_span, is_progress
from chimera_s1.domain.funding.reading_windows import (
    RECENT_DAYS,
    missing_amounts,
    newest_window,
    older_windows,
    proven_window,
    slice_of_day,
)
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS

NOW = 1_772_510_400_000
TIMES = st.integers(NOW - 100 * DAY_MS, NOW)


def covered(start: int, end: int, symbol: str = "AUSDT") -> RateCoverage:
    return RateCoverage(symbol=Symbol(symbol), verified_from=start, verified_through=end)


def test_nothing_is_proven_before_the_first_read() -> None:
    assert proven_window([]) is None


def test_a_few_new_and_delisted_contracts_do_not_change_what_is_proven() -> None:
    most = [covered(1_000, 9_000, f"S{number}USDT") for number in range(5)]
    proven = proven_window([*most, covered(5_000, 9_000, "NEW"), covered(1_000, 2_000, "OLD")])
    assert proven == Window(1_000, 9_000)


@given(TIMES, TIMES, TIMES)
def test_every_window_joins_what_is_proven_when_its_turn_comes(
    one: int, other: int, oldest: int
) -> None:
    start, end = sorted((one, other))
    assume(oldest <= end < NOW)
    proven = Window(start, end)
    newest = newest_window(proven, oldest, NOW)
    assert newest == Window(end + 1, NOW)
    for each in older_windows(proven, oldest, NOW):
        assert each.end == proven.start - 1
        assert oldest <= each.start <= each.end
        proven = Window(each.start, proven.end)
    assert proven.start <= oldest or start <= oldest


@given(TIMES)
def test_at_first_the_newest_part_is_read_first(oldest: int) -> None:
    windows = list(older_windows(None, oldest, NOW))
    assert (windows[0].end, windows[-1].start) == (NOW, oldest)
    assert all(newer.start == older.end + 1 for newer, older in pairwise(windows))


@given(st.none() | st.tuples(TIMES, TIMES), TIMES, st.integers(DAY_MS, 200 * DAY_MS))
def test_missing_amounts_join_what_is_proven(
    times: tuple[int, int] | None, start: int, length_ms: int
) -> None:
    """All from *start* on is proven afterwards, except a newest part that is shorter than one read;
    what lies before *start* is of no use.
    """
    span = None if times is None else Window(*sorted(times))
    stored = None
    if span is not None:
        stored = AmountCoverage(
            account="live:1", verified_from=span.start, verified_through=span.end
        )
    for each in missing_amounts(stored, Window(start, NOW), length_ms):
        assert start <= each.start <= each.end <= NOW
        assert is_progress(span, Window(*each)) or span is None or span.end < start
        span = extend_span(span, Window(*each))
    assert span is not None
    assert span.start <= start
    assert NOW - span.end <= length_ms


def test_what_is_older_than_the_history_is_not_read_to_join() -> None:
    """A longer outage than the history: the old span is replaced."""
    assert newest_window(Window(0, 1_000), NOW - DAY_MS, NOW) == Window(NOW - DAY_MS, NOW)


def test_without_a_proof_there_is_only_older_history() -> None:
    assert newest_window(None, NOW - DAY_MS, NOW) is None
    assert newest_window(Window(NOW - DAY_MS, NOW), NOW - DAY_MS, NOW) is None


@given(st.integers(RECENT_DAYS + 7, 3_650), st.integers(0, 20), st.floats(0, 1))
def test_each_day_of_the_history_is_read_again_in_each_week(
    days: int, week: int, share: float
) -> None:
    """Of what is not older than the history at the end of the week; the rest is read more often."""
    begin = (NOW // DAY_MS // 7 + week) * 7 * DAY_MS
    moment = begin - round((RECENT_DAYS + share * (days - RECENT_DAYS - 7)) * DAY_MS)
    read = [slice_of_day(days, begin + number * DAY_MS) for number in range(7)]
    assert any(each and each.start <= moment <= each.end for each in read)


def test_a_short_history_has_no_older_part() -> None:
    assert slice_of_day(RECENT_DAYS, NOW) is None
