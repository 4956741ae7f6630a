"""Intervals, and times of the day in UTC."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.schedule import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    MISSED_MAX,
    AtTimes,
    Every,
    count_times,
    daily,
    describe_schedule,
    longest_wait_ms,
    next_time,
)

THURSDAY_MS = 1_769_040_000_000  # 22 January 2026, 00:00 UTC
SUNDAY = 6

schedules = st.one_of(
    st.builds(Every, st.integers(1_000, DAY_MS)),
    st.builds(
        AtTimes,
        st.sets(st.integers(0, 1_439), min_size=1).map(lambda each: tuple(sorted(each))),
        st.sets(st.integers(0, 6), min_size=1).map(lambda each: tuple(sorted(each))),
    ),
)
moments = st.integers(0, 4_000_000_000_000)


@given(schedules, moments)
def test_the_next_time_is_later_and_not_later_than_the_longest_wait(
    schedule: Every | AtTimes, now_ms: int
) -> None:
    following = next_time(schedule, now_ms)

    assert now_ms < following <= now_ms + longest_wait_ms(schedule)


@given(schedules, moments)
def test_no_time_lies_between_one_and_the_next(schedule: Every | AtTimes, now_ms: int) -> None:
    first = next_time(schedule, now_ms)
    second = next_time(schedule, first)

    assert count_times(schedule, first, second - 1) == 1
    assert count_times(schedule, first, second) == 2


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (THURSDAY_MS, THURSDAY_MS + 10 * MINUTE_MS),
        (THURSDAY_MS + 10 * MINUTE_MS - 1, THURSDAY_MS + 10 * MINUTE_MS),
        (THURSDAY_MS + 10 * MINUTE_MS, THURSDAY_MS + 8 * HOUR_MS),
        (THURSDAY_MS + 23 * HOUR_MS, THURSDAY_MS + DAY_MS + 10 * MINUTE_MS),
    ],
)
def test_times_of_the_day_are_utc(after: int, expected: int) -> None:
    assert next_time(daily("08:00", "00:10"), after) == expected


def test_weekdays() -> None:
    weekly = daily("03:00", weekdays=(SUNDAY,))

    assert next_time(weekly, THURSDAY_MS) == THURSDAY_MS + 3 * DAY_MS + 3 * HOUR_MS
    assert longest_wait_ms(weekly) == 7 * DAY_MS


@pytest.mark.parametrize("text", ["24:00", "8:00", "08:60", "", "08:00:00", "\u0966\u096e:00"])
def test_what_is_no_time_of_the_day_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="is not a time of the day, like 00:10"):
        daily(text)


def test_a_schedule_without_times_days_or_wait_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        daily()
    with pytest.raises(InvalidValueError):
        daily("00:10", weekdays=(7,))
    with pytest.raises(InvalidValueError, match="longer than 0 ms"):
        Every(0)


def test_the_count_of_missed_times_is_bounded() -> None:
    assert count_times(Every(1_000), 0, 365 * DAY_MS) == MISSED_MAX


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Every(30_000), "every 30 s"),
        (Every(90_000), "every 90 s"),
        (Every(HOUR_MS), "every 1 h"),
        (Every(1_500), "every 1.5 s"),
        (daily("08:10", "00:10"), "daily at 00:10, 08:10 UTC"),
        (daily("03:00", weekdays=(SUNDAY,)), "Sunday at 03:00 UTC"),
    ],
)
def test_a_schedule_is_described(schedule: Every | AtTimes, text: str) -> None:
    assert describe_schedule(schedule) == text
