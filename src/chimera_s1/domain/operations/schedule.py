"""When a job runs: at an interval, or at times of the day in UTC."""

import re
from typing import TypeAlias, assert_never

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
MISSED_MAX = 1_000
"""More missed times are not counted."""

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0
_EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Every(Struct, frozen=True, tag="every"):
    """*interval_ms* after the end of the run before, so that runs never overlap."""

    interval_ms: int

    def __post_init__(self) -> None:
        if self.interval_ms <= 0:
            raise InvalidValueError(f"an interval is longer than {self.interval_ms} ms")


class AtTimes(Struct, frozen=True, tag="at"):
    """At fixed times, UTC.

    Attributes:
        minutes: Since midnight, in order, without repetition.
        weekdays: Monday is 0.
    """

    minutes: tuple[int, ...]
    weekdays: tuple[int, ...] = _EVERY_DAY


Schedule: TypeAlias = Every | AtTimes


def daily(*times: str, weekdays: tuple[int, ...] = _EVERY_DAY) -> AtTimes:
    """At each of *times*, written `00:10`, UTC; on *weekdays* only, Monday is 0.

    Raises:
        InvalidValueError: A time or weekday does not exist, or there is none.
    """
    if not times or not weekdays or not {*weekdays} <= {*_EVERY_DAY}:
        raise InvalidValueError("a schedule needs a time like 00:10, and weekdays from 0 to 6")
    minutes = {_minute_of(text) for text in times}
    return AtTimes(tuple(sorted(minutes)), tuple(sorted({*weekdays})))


def next_time(schedule: Schedule, after_ms: int) -> int:
    """The first regular time later than *after_ms*, epoch ms."""
    match schedule:
        case Every(interval_ms=interval_ms):
            return after_ms + interval_ms
        case AtTimes():
            midnight_ms = after_ms - after_ms % DAY_MS
            days = (midnight_ms + number * DAY_MS for number in range(8))
            times = (
                day + minute * MINUTE_MS
                for day in days
                if _weekday(day) in schedule.weekdays
                for minute in schedule.minutes
            )
            return next(each for each in times if each > after_ms)
        case _:
            assert_never(schedule)


def longest_wait_ms(schedule: Schedule) -> int:
    """The longest time between two regular times."""
    match schedule:
        case Every(interval_ms=interval_ms):
            return interval_ms
        case AtTimes():
            times = [
                day * DAY_MS + minute * MINUTE_MS
                for day in schedule.weekdays
                for minute in schedule.minutes
            ]
            following = [*times[1:], times[0] + 7 * DAY_MS]
            return max(b - a for a, b in zip(times, following, strict=True))
        case _:
            assert_never(schedule)


def count_times(schedule: Schedule, first_ms: int, until_ms: int) -> int:
    """How many regular times lie between *first_ms*, which is one, and *until_ms*; at most
    `MISSED_MAX`.
    """
    number, time_ms = 0, first_ms
    while time_ms <= until_ms and number < MISSED_MAX:
        number, time_ms = number + 1, next_time(schedule, time_ms)
    return number


def describe_schedule(schedule: Schedule) -> str:
    """`every 30 s`, `daily at 00:10, 08:10 UTC`, `Sunday at 03:00 UTC`."""
    match schedule:
        case Every(interval_ms=interval_ms):
            return f"every {describe_duration(interval_ms)}"
        case AtTimes(minutes=minutes, weekdays=weekdays):
            days = "daily"
            if weekdays != _EVERY_DAY:
                days = ", ".join(_WEEKDAYS[each] for each in weekdays)
            times = ", ".join(f"{each // 60:02}:{each % 60:02}" for each in minutes)
            return f"{days} at {times} UTC"
        case _:
            assert_never(schedule)


def describe_duration(duration_ms: float) -> str:
    """In its largest unit that is whole: `1 h`, `90 s`, `0.5 s`."""
    for unit_ms, unit in ((HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")):
        if duration_ms >= unit_ms and duration_ms % unit_ms == 0:
            return f"{duration_ms / unit_ms:.0f} {unit}"
    return f"{duration_ms / SECOND_MS:.1f} s"


def _weekday(midnight_ms: int) -> int:
    return (midnight_ms // DAY_MS + _EPOCH_WEEKDAY) % 7


def _minute_of(text: str) -> int:
    if found := _TIME.fullmatch(text):
        return int(found[1]) * 60 + int(found[2])
    raise InvalidValueError(f"{text!r} is not a time of the day, like 00:10")
