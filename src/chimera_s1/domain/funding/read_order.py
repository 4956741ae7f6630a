"""In which order a long window is read, so that an interrupted read keeps its progress."""

from collections.abc import Iterator, Mapping
from statistics import median_low
from typing import Final

from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

PART_MS: Final = 72 * HOUR_MS


def read_order(
    start: int, end: int, coverage: Mapping[Symbol, RateCoverage], part_ms: int = PART_MS
) -> Iterator[Window]:
    """The parts of a window, the first one first.

    One proven span a contract is stored, and an earlier one counts only if it joins it. So what
    follows the start of the stored spans is read forwards, and what lies before it backwards, part
    by part: an interrupted read loses the proof of one page, or of one part.
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
