"""Which windows of the history are read, and in which order.

One proven span of a contract is stored, and a newer one that does not join it replaces it. So the
newest part is read from where the proof ends, and older parts from where it begins, backwards.
"""

from collections.abc import Iterable, Iterator, Mapping
from statistics import median_high, median_low
from typing import Final

from chimera_s1.domain.funding.coverage import AmountCoverage, RateCoverage
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS

RECENT_DAYS: Final = 8
"""Read again every 8 hours: an outage of a week leaves nothing for a backfill."""

AMOUNT_DAYS: Final = 6
"""Of requested amounts at once: as many as one request of income shows, whose weight is high."""

PART_DAYS: Final = 3
"""Of older history at once: after an interruption, at most one such part is read again."""

PART_MS: Final = PART_DAYS * DAY_MS


def proven_window(coverage: Iterable[RateCoverage]) -> Window | None:
    """What is proven of most contracts; None before the first read. Some are new or delisted, or
    have a row that cannot be read.
    """
    spans = tuple(coverage)
    if not spans:
        return None
    start = median_high(each.verified_from for each in spans)
    return Window(start, median_low(each.verified_through for each in spans))


def newest_window(proven: Window | None, oldest: int, now: int) -> Window | None:
    """From the end of what is proven to *now*, but not before *oldest*."""
    if proven is None or proven.end >= now:
        return None
    return Window(max(oldest, proven.end + 1), now)


def older_windows(proven: Window | None, oldest: int, now: int) -> Iterator[Window]:
    """From the start of what is proven back to *oldest*, in parts."""
    end = now if proven is None else min(now, proven.start - 1)
    while end >= oldest:
        start = max(oldest, end - PART_MS + 1)
        yield Window(start, end)
        end = start - 1


def missing_amounts(
    proven: AmountCoverage | None, whole: Window, length_ms: int
) -> Iterator[Window]:
    """What is not proven of *whole*, in parts of at most *length_ms*, which join what is proven.
    What has followed it for less than that is left to the jobs that read the newest part.
    """
    if proven is not None and whole.start <= proven.verified_through:
        if whole.end - proven.verified_through > length_ms:
            yield Window(proven.verified_through + 1, whole.end)
        end = min(whole.end, proven.verified_from - 1)
    else:
        end = whole.end
    while end >= whole.start:
        start = max(whole.start, end - length_ms + 1)
        yield Window(start, end)
        end = start - 1


def slice_of_day(days: int, now: int) -> Window | None:
    """The part of the last *days* that is read again on the day of *now*: in a week all of them,
    the last `RECENT_DAYS` apart, which are read more often. None if there are no others.
    """
    older, weekday = max(0, days - RECENT_DAYS), now // DAY_MS % 7
    newest = RECENT_DAYS + weekday * older // 7
    oldest = RECENT_DAYS + (weekday + 1) * older // 7
    return Window(now - oldest * DAY_MS, now - newest * DAY_MS) if oldest > newest else None


def read_order(
    start: int, end: int, coverage: Mapping[Symbol, RateCoverage], part_ms: int = PART_MS
) -> Iterator[Window]:
    """The parts of one long read, the first one first: what follows the start of what is proven,
    forwards, then what lies before it, backwards. An interrupted read loses the proof of one page,
    or of one part.
    """
    if end - start < part_ms:
        yield Window(start, end)
        return
    if not coverage:
        joint = max(start, end - part_ms + 1)
    else:
        joint = median_low([span.verified_from for span in coverage.values()])
        through = median_low([span.verified_through for span in coverage.values()])
        if not start < joint <= end + 1 or through < joint:
            joint = start
    if joint <= end:
        yield Window(joint, end)
    while start < joint:
        part = Window(max(start, joint - part_ms), joint - 1)
        yield part
        joint = part.start
