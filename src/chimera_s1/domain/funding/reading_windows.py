"""Which windows of the history are read, so that what they prove joins what is proven already.

A proven span that is not joined by a newer one is replaced by it. So a read of the newest part
begins where the proof ends, and one of older parts ends where it begins.
"""

from collections.abc import Iterable, Iterator
from statistics import median_high, median_low
from typing import NamedTuple

from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.operations.schedule import DAY_MS


class Window(NamedTuple):
    """Both times included, epoch ms."""

    start: int
    end: int


def proven_window(coverage: Iterable[RateCoverage]) -> Window | None:
    """What is proven of most contracts; None before the first read. Some are new or delisted, or
    have a row that cannot be read.
    """
    spans = tuple(coverage)
    if not spans:
        return None
    start = median_high(each.verified_from for each in spans)
    return Window(start, median_low(each.verified_through for each in spans))


def newest_windows(proven: Window | None, oldest: int, now: int) -> Iterator[Window]:
    """From the end of what is proven to *now*, a day each, the oldest first. None of them is before
    *oldest*.
    """
    start = oldest if proven is None else max(oldest, proven.end + 1)
    while start <= now:
        end = min(now, start + DAY_MS - 1)
        yield Window(start, end)
        start = end + 1


def older_windows(proven: Window | None, oldest: int, now: int) -> Iterator[Window]:
    """From what is proven back to *oldest*, a day each, the newest first."""
    end = now if proven is None else min(now, proven.start - 1)
    while end >= oldest:
        start = max(oldest, end - DAY_MS + 1)
        yield Window(start, end)
        end = start - 1


def slice_of_day(days: int, now: int) -> Window:
    """The part of the last *days* that is read again on the day of *now*: in a week all of them."""
    weekday = now // DAY_MS % 7
    newest, oldest = weekday * days // 7, (weekday + 1) * days // 7
    return Window(now - oldest * DAY_MS, now - newest * DAY_MS)
