"""The stored history against the exchange's archive: every difference is named, and only those."""

from decimal import Decimal
from enum import Enum

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.funding.archive_check import (
    ArchiveComparison,
    ArchiveFinding,
    ArchiveMonth,
    ArchiveRow,
    FindingKind,
    StoredRate,
    compare_with_archive,
)
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

MONTH = Month(2026, 10)
SYMBOL = Symbol("BTCUSDT")


class Fate(Enum):
    EQUAL = "equal"
    RATE_DIFFERS = "rate differs"
    ONLY_STORED = "only stored"
    ONLY_ARCHIVED = "only archived"


class Settled(Struct, frozen=True):
    """A settlement as the exchange made it, and what became of it in both histories."""

    time: int
    interval_h: int
    rate: Decimal
    late_ms: int
    fate: Fate


rates = st.integers(-300_000, 300_000).map(lambda number: Decimal(number).scaleb(-8))


@st.composite
def months(draw: st.DrawFn) -> list[Settled]:
    """One month whose interval may change after each settlement."""
    settled, time, interval = [], MONTH.start, draw(st.sampled_from([1, 2, 4, 8]))
    for _ in range(draw(st.integers(1, 60))):
        late_ms, fate = draw(st.integers(0, 900)), draw(st.sampled_from(Fate))
        settled.append(Settled(time, interval, draw(rates), late_ms, fate))
        if draw(st.integers(0, 9)) == 0:
            interval = draw(st.sampled_from([1, 2, 4, 8]))
        time += interval * HOUR_MS
    return settled


def archived(settled: list[Settled]) -> ArchiveMonth:
    rows = [
        ArchiveRow(each.time + each.late_ms, each.interval_h, each.rate)
        for each in settled
        if each.fate is not Fate.ONLY_STORED
    ]
    return ArchiveMonth(SYMBOL, MONTH, tuple(rows))


def stored(settled: list[Settled]) -> list[StoredRate]:
    off = {Fate.RATE_DIFFERS: Decimal("0.00000001")}
    return [
        StoredRate(each.time, REGULAR, each.rate + off.get(each.fate, 0), each.interval_h)
        for each in settled
        if each.fate is not Fate.ONLY_ARCHIVED
    ]


def compare(
    archive: ArchiveMonth, records: list[StoredRate], since: int = MONTH.start
) -> ArchiveComparison:
    """All of the month since then is to be stored."""
    coverage = RateCoverage(symbol=SYMBOL, verified_from=since, verified_through=MONTH.end)
    return compare_with_archive(archive, records, coverage)


def kinds(comparison: ArchiveComparison) -> list[tuple[int, FindingKind]]:
    return [(finding.time // HOUR_MS, finding.kind) for finding in comparison.findings]


def regular(time: int, rate: str = "0.0001", interval_h: int | None = 8) -> StoredRate:
    return StoredRate(time, REGULAR, Decimal(rate), interval_h)


def eight_hourly(count: int, *, without: set[int] = frozenset()) -> list[StoredRate]:  # type: ignore[assignment]
    return [regular(MONTH.start + at * 8 * HOUR_MS) for at in range(count) if at not in without]


def rows_of(records: list[StoredRate]) -> ArchiveMonth:
    rows = (ArchiveRow(each.funding_time, each.interval_h or 8, each.rate) for each in records)
    return ArchiveMonth(SYMBOL, MONTH, tuple(rows))


@given(months())
def test_each_difference_is_named_and_nothing_else(settled: list[Settled]) -> None:
    found = compare(archived(settled), stored(settled))

    named = {
        Fate.RATE_DIFFERS: FindingKind.RATE_DIFFERS,
        Fate.ONLY_STORED: FindingKind.NOT_IN_ARCHIVE,
        Fate.ONLY_ARCHIVED: FindingKind.NOT_STORED,
    }
    assert kinds(found) == [
        (each.time // HOUR_MS, named[each.fate]) for each in settled if each.fate in named
    ]
    assert found.equal == sum(each.fate is Fate.EQUAL for each in settled)


@given(st.integers(3, 93), st.data())
def test_a_settlement_that_both_lack_shows_as_a_pause(count: int, data: st.DataObject) -> None:
    """The first and the last of a history cannot be known to be missing."""
    missing = data.draw(st.sets(st.integers(1, count - 2), min_size=1, max_size=5))
    records = eight_hourly(count, without=missing)

    found = compare(rows_of(records), records)

    before = [at for at in range(count - 1) if at not in missing and at + 1 in missing]
    assert [(finding.kind, finding.time) for finding in found.findings] == [
        (FindingKind.IN_NEITHER, MONTH.start + at * 8 * HOUR_MS) for at in before
    ]


def test_a_pause_of_one_witness_is_filled_by_the_other() -> None:
    records = eight_hourly(6, without={2})
    archive = rows_of(eight_hourly(6, without={3}))

    assert kinds(compare(archive, records)) == [
        ((MONTH.start + 16 * HOUR_MS) // HOUR_MS, FindingKind.NOT_STORED),
        ((MONTH.start + 24 * HOUR_MS) // HOUR_MS, FindingKind.NOT_IN_ARCHIVE),
    ]


def test_a_special_settlement_at_the_same_time_is_no_difference() -> None:
    records = eight_hourly(3)
    special = StoredRate(records[1].funding_time, SPECIAL, Decimal("-0.002"), None)
    both = [records[0], records[1], special, records[2]]

    found = compare(rows_of(records), both)

    assert (found.equal, found.special_only_stored, found.findings) == (3, 1, ())


def test_a_special_settlement_that_the_archive_has_is_compared() -> None:
    records = eight_hourly(3)
    special = StoredRate(records[1].funding_time, SPECIAL, Decimal("-0.002"), None)
    archive = rows_of([records[0], special, records[1], records[2]])

    equal = compare(archive, [records[0], records[1], special, records[2]])
    without = compare(archive, records)

    assert (equal.equal, equal.special_only_stored, equal.findings) == (4, 0, ())
    assert [finding.kind for finding in without.findings] == [FindingKind.NOT_STORED]
    assert without.findings[0].archived == "-0.002"


def test_another_interval_is_named_except_where_it_changes() -> None:
    records = eight_hourly(4)
    changed = [*records[:3], replace(records[3], interval_h=4)]
    too_long = [*records[:3], replace(records[3], interval_h=12)]

    assert compare(rows_of(changed), records).findings == ()
    assert [each.kind for each in compare(rows_of(changed), too_long).findings] == [
        FindingKind.INTERVAL_DIFFERS
    ]
    assert compare(rows_of(records), changed).findings == (
        ArchiveFinding(
            FindingKind.INTERVAL_DIFFERS, records[3].funding_time, REGULAR, "4 h", "8 h"
        ),
    )


def test_an_unknown_interval_is_no_difference() -> None:
    records = [replace(each, interval_h=None) for each in eight_hourly(3)]

    assert compare(rows_of(records), records).findings == ()


def test_what_lies_before_the_kept_history_is_not_missed() -> None:
    records = eight_hourly(6)

    found = compare(rows_of(records), records[3:], records[3].funding_time)

    assert (found.equal, found.not_covered, found.findings) == (3, 3, ())


def test_neighbours_of_the_month_are_not_missed() -> None:
    """The records around its ends are there only because times may be some ms off."""
    first, last = regular(MONTH.start - 3), regular(MONTH.end + 3)
    archive = ArchiveMonth(SYMBOL, MONTH, (ArchiveRow(MONTH.start, 8, first.rate),))

    assert compare(archive, [first, last]).findings == ()


def test_months_follow_one_another() -> None:
    assert str(Month(2026, 12).next()) == "2027-01"
    assert Month(2027, 1).previous() == Month.parse("2026-12")
    assert Month(2026, 12).end + 1 == Month(2027, 1).start == 1_798_761_600_000
