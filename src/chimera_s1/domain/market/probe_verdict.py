"""What the answers to a REST probe prove about a silent stream."""

from enum import StrEnum


class ProbeVerdict(StrEnum):
    """Attributes:
    MOVED: The venue's book is newer than our last quote and differs: the stream misses updates.
    CALM: Nothing at the top of the book has changed: the market is calm.
    EMPTY: The venue has no book. Our last quote is no longer true, and no socket can help.
    GONE: The venue does not trade the instrument any more.
    UNKNOWN: Nothing is proven: no answer, an older one, or one that contradicts itself.
    """

    MOVED = "moved"
    CALM = "calm"
    EMPTY = "empty"
    GONE = "gone"
    UNKNOWN = "unknown"


PROBE_INTERVAL_MS = 30_000
PROBE_INTERVAL_MAX_MS = {
    ProbeVerdict.MOVED: 300_000,
    ProbeVerdict.CALM: 120_000,
    ProbeVerdict.EMPTY: 300_000,
    ProbeVerdict.GONE: 300_000,
    ProbeVerdict.UNKNOWN: 300_000,
}
"""A stream is probed again after 30 s; the wait doubles while the verdict stays the same."""


def next_probe_ms(verdict: ProbeVerdict, times: int) -> float:
    """The wait after the same *verdict* came *times* times in a row, at least once."""
    return float(min(PROBE_INTERVAL_MS * 2 ** min(times - 1, 10), PROBE_INTERVAL_MAX_MS[verdict]))
