"""Compares the stored funding history of a contract with the exchange's public monthly archive.

The archive is a second witness: it is made apart from `GET /fapi/v1/fundingRate`, and it has the
interval of each settlement, so that a settlement that both lack shows as too long a pause.

Assumptions, where the exchange says nothing: `calc_time` may be some ms away from the funding time;
Special settlements may or may not be in the archive; where the interval changes, a row may have
that before or after the change.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeAlias

from msgspec import Struct

from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.funding.settlement import REGULAR
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.operations.schedule import HOUR_MS

TIME_TOLERANCE_MS: Final = 60_000
"""Between `calc_time` and funding time of one settlement; the shortest interval is 1 h."""


class ArchiveRow(Struct, frozen=True, gc=False):
    """Attributes:
    calc_time: Epoch ms.
    """

    calc_time: int
    interval_h: int
    rate: Decimal


class ArchiveMonth(Struct, frozen=True):
    """One file of the archive; *rows* ascend by time.

    Attributes:
        has_checksum: It was compared with the checksum file beside it.
    """

    symbol: Symbol
    month: Month
    rows: tuple[ArchiveRow, ...]
    has_checksum: bool = True


class StoredRate(Struct, frozen=True, gc=False):
    """What the check needs of a funding record."""

    funding_time: int
    rate_type: str
    rate: Decimal
    interval_h: int | None


class FindingKind(StrEnum):
    RATE_DIFFERS = "rate_differs"
    INTERVAL_DIFFERS = "interval_differs"
    NOT_STORED = "not_stored"
    NOT_IN_ARCHIVE = "not_in_archive"
    IN_NEITHER = "in_neither"


class ArchiveFinding(Struct, frozen=True):
    """One difference.

    Attributes:
        time: Of the settlement; of one that neither has, the settlement before it. Epoch ms.
        stored, archived: The values, as text; empty where there is none.
    """

    kind: FindingKind
    time: int
    rate_type: str = ""
    stored: str = ""
    archived: str = ""


class ArchiveComparison(Struct, frozen=True, kw_only=True):
    """Attributes:
    equal: Settlements with the same rate and interval in both.
    not_covered: Settlements of the archive that are not stored, outside what the store is to have;
        not a difference.
    special_only_stored: Records of other types than Regular that the archive does not have; not a
        difference.
    has_checksum: As that of `ArchiveMonth`.
    """

    symbol: Symbol
    month: Month
    equal: int = 0
    not_covered: int = 0
    special_only_stored: int = 0
    findings: tuple[ArchiveFinding, ...] = ()
    has_checksum: bool = True


_Pairs: TypeAlias = dict[int, int]
"""Index of an archive row -> index of the stored record of the same settlement."""


def compare_with_archive(
    archive: ArchiveMonth, stored: Sequence[StoredRate], coverage: RateCoverage
) -> ArchiveComparison:
    """Args:
    stored: Ascending by time; the records of the month, and those around its ends within
        `TIME_TOLERANCE_MS`.
    coverage: What the store is to have; other settlements are not missed.
    """
    rows = archive.rows
    pairs = _pair(rows, stored)
    unpaired = _unpaired(archive.month, stored, pairs)
    only_archived = [row for at, row in enumerate(rows) if at not in pairs]
    missing = [row for row in only_archived if _is_covered(row, coverage)]
    differing = list(_differing(rows, stored, pairs))
    findings = [
        *differing,
        *map(_not_stored, missing),
        *(_not_in_archive(each) for each in unpaired if each.rate_type == REGULAR),
        *_in_neither(_regular(rows, stored, pairs), unpaired),
    ]
    return ArchiveComparison(
        symbol=archive.symbol,
        month=archive.month,
        equal=len(pairs) - len(differing),
        not_covered=len(only_archived) - len(missing),
        special_only_stored=sum(each.rate_type != REGULAR for each in unpaired),
        findings=tuple(sorted(findings, key=lambda finding: finding.time)),
        has_checksum=archive.has_checksum,
    )


def _pair(rows: Sequence[ArchiveRow], stored: Sequence[StoredRate]) -> _Pairs:
    """Those with equal rates first: one time may have a Regular and a Special settlement."""
    times = [each.funding_time for each in stored]
    pairs: _Pairs = {}
    taken: set[int] = set()
    for equal_rates in (True, False):
        for at, row in enumerate(rows):
            if at in pairs:
                continue
            near = [
                other
                for other in _near(row.calc_time, times)
                if other not in taken and (stored[other].rate == row.rate or not equal_rates)
            ]
            if near:
                pairs[at] = min(near, key=lambda other: _distance(row, stored[other]))
                taken.add(pairs[at])
    return pairs


def _near(time: int, times: Sequence[int]) -> Iterator[int]:
    at = bisect_left(times, time - TIME_TOLERANCE_MS)
    while at < len(times) and times[at] <= time + TIME_TOLERANCE_MS:
        yield at
        at += 1


def _distance(row: ArchiveRow, stored: StoredRate) -> tuple[bool, int]:
    return stored.rate_type != REGULAR, abs(stored.funding_time - row.calc_time)


def _is_covered(row: ArchiveRow, coverage: RateCoverage) -> bool:
    return coverage.verified_from <= row.calc_time <= coverage.verified_through


def _unpaired(month: Month, stored: Sequence[StoredRate], pairs: _Pairs) -> list[StoredRate]:
    taken = set(pairs.values())
    return [
        each
        for at, each in enumerate(stored)
        if at not in taken and month.start <= each.funding_time <= month.end
    ]


def _differing(
    rows: Sequence[ArchiveRow], stored: Sequence[StoredRate], pairs: _Pairs
) -> Iterator[ArchiveFinding]:
    """At most one for each pair: its rate, else its interval."""
    for at, other in sorted(pairs.items()):
        row, record = rows[at], stored[other]
        if record.rate != row.rate:
            kind = FindingKind.RATE_DIFFERS
            texts = exact_text(record.rate), exact_text(row.rate)
        elif _interval_differs(rows, at, record):
            kind = FindingKind.INTERVAL_DIFFERS
            texts = f"{record.interval_h} h", f"{row.interval_h} h"
        else:
            continue
        yield ArchiveFinding(kind, record.funding_time, record.rate_type, *texts)


def _interval_differs(rows: Sequence[ArchiveRow], at: int, record: StoredRate) -> bool:
    """At a change, the settlements may be any time up to the longer interval apart.

    Of the first row it is not known whether the interval has changed.
    """
    if record.interval_h is None or record.rate_type != REGULAR or at == 0:
        return False
    before, after = rows[at - 1].interval_h, rows[at].interval_h
    if before == after:
        return record.interval_h != after
    return record.interval_h > max(before, after)


def _not_stored(row: ArchiveRow) -> ArchiveFinding:
    return ArchiveFinding(FindingKind.NOT_STORED, row.calc_time, archived=exact_text(row.rate))


def _not_in_archive(record: StoredRate) -> ArchiveFinding:
    return ArchiveFinding(
        FindingKind.NOT_IN_ARCHIVE,
        record.funding_time,
        record.rate_type,
        stored=exact_text(record.rate),
    )


def _regular(
    rows: Sequence[ArchiveRow], stored: Sequence[StoredRate], pairs: _Pairs
) -> list[ArchiveRow]:
    """*rows* without those of Special settlements, which have no interval."""
    return [
        row
        for at, row in enumerate(rows)
        if at not in pairs or stored[pairs[at]].rate_type == REGULAR
    ]


def _in_neither(
    rows: Sequence[ArchiveRow], unpaired: Sequence[StoredRate]
) -> Iterator[ArchiveFinding]:
    """Pauses between two settlements that are longer than the interval before and after them."""
    settled = sorted(
        [
            *((row.calc_time, row.interval_h) for row in rows),
            *(
                (each.funding_time, each.interval_h or 0)
                for each in unpaired
                if each.rate_type == REGULAR
            ),
        ]
    )
    for (time, interval), (next_time, next_interval) in pairwise(settled):
        expected = max(interval, next_interval)
        pause = next_time - time
        if expected and pause > expected * HOUR_MS + 2 * TIME_TOLERANCE_MS:
            yield ArchiveFinding(
                FindingKind.IN_NEITHER, time, archived=f"{_hours(pause)} h, interval {expected} h"
            )


def _hours(pause: int) -> str:
    return f"{pause / HOUR_MS:.4g}"
