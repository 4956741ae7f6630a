"""Holes are named where the spacing shows them, and what is not published yet is none."""

from decimal import Decimal

from chimera_s1.domain.funding.compare_history import DerivedFacts, new_record
from chimera_s1.domain.funding.coverage import FundingGap, GapKind, RateCoverage
from chimera_s1.domain.funding.gaps import GapSearch, typical_through
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, Settlement, SettlementKey
from chimera_s1.domain.funding.settlement_times import OFF_GRID_MS, ContractFacts
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

DAY = 1_795_996_800_000 // (24 * HOUR_MS) * 24 * HOUR_MS
A, B, C = Symbol("AUSDT"), Symbol("BUSDT"), Symbol("CUSDT")
ON_8 = ContractFacts(interval_h=8)


def hour(number: float) -> int:
    return DAY + round(number * HOUR_MS)


def settled(*hours: float) -> list[FundingRecord]:
    rows = (
        Settlement(SettlementKey(hour(each) + 7, A, REGULAR), Decimal(1), None) for each in hours
    )
    return [new_record(row, DerivedFacts(), 1) for row in rows]


def covered(start: float, end: float, symbol: Symbol = A) -> RateCoverage:
    return RateCoverage(symbol=symbol, verified_from=hour(start), verified_through=hour(end))


def found(
    records: list[FundingRecord],
    *coverage: RateCoverage,
    now: float,
    facts: ContractFacts = ON_8,
) -> list[tuple[GapKind, float, float]]:
    """From the start of the day on, in its hours."""
    search = GapSearch(
        start=DAY,
        exchange_ms=hour(now),
        coverage={span.symbol: span for span in coverage},
        contracts={A: facts},
    )
    search.take(records)
    gaps = [gap for gap in search.conclude() if gap.symbol == A]
    return [(gap.kind, (gap.start - DAY) / HOUR_MS, (gap.end - DAY) / HOUR_MS) for gap in gaps]


NOT_PUBLISHED, NOT_VERIFIED = GapKind.NOT_PUBLISHED, GapKind.NOT_VERIFIED


def test_a_hole_between_equal_spacings_is_named_as_one_gap() -> None:
    records = settled(0, 1, 2, 5, 6, 7)

    gaps = found(records, covered(0, 7.5), now=7.7, facts=ContractFacts(interval_h=1))

    assert gaps == [(NOT_PUBLISHED, 3, 4)]


def test_a_change_of_the_interval_is_no_hole() -> None:
    records = settled(0, 1, 2, 4, 8, 12, 20, 28, 36, 37, 38, 39)

    assert not found(records, covered(0, 39.5), now=39.7, facts=ContractFacts(interval_h=1))


def test_no_spacing_is_longer_than_8_hours() -> None:
    """Also the first and the newest, whose one side is not known; the certain hours are named."""
    assert found(settled(0, 16, 24), covered(0, 25), now=25.2) == [(NOT_PUBLISHED, 8, 8)]
    assert found(settled(0, 8, 32), covered(0, 33), now=33.2) == [(NOT_PUBLISHED, 16, 24)]


def test_a_hole_that_was_not_read_is_not_verified() -> None:
    records = settled(0, 8, 24, 32, 40)

    assert found(records, covered(20, 41), now=41.2) == [(NOT_VERIFIED, 0, 20 - 1 / HOUR_MS)]


def test_before_the_listing_and_after_the_delisting_nothing_is_missing() -> None:
    records = settled(16, 24, 32)
    listed = ContractFacts(interval_h=8, expects_from=hour(10), expects_until=hour(33))

    assert not found(records, covered(0, 60, B), covered(10, 60), now=60.2, facts=listed)


def test_a_history_that_was_read_and_begins_late_lacks_its_first_settlements() -> None:
    """An outage of the exchange may show as an empty history."""
    records = settled(40, 48, 56)
    listed_before = ContractFacts(interval_h=8, expects_from=hour(-500))
    listed_then = ContractFacts(interval_h=8, expects_from=hour(33))

    assert found(records, covered(0, 57), now=57.2, facts=listed_before) == [(NOT_PUBLISHED, 8, 32)]
    assert not found(records, covered(0, 57), now=57.2, facts=listed_then)


def test_before_what_was_read_no_first_settlement_is_called_unpublished() -> None:
    listed = ContractFacts(interval_h=8, expects_from=hour(-500))

    gaps = found(settled(40, 48, 56), covered(20, 57), now=57.2, facts=listed)

    assert gaps == [(NOT_VERIFIED, 0, 20 - 1 / HOUR_MS), (NOT_PUBLISHED, 24, 32)]


def test_what_is_not_published_yet_is_no_gap_and_what_is_overdue_is_one() -> None:
    records, through = settled(0, 8), 16 - OFF_GRID_MS / HOUR_MS

    def gaps(now: float) -> list[tuple[GapKind, float, float]]:
        others = (covered(0, now - 0.25, each) for each in (B, C))
        return found(records, covered(0, through), *others, now=now)

    assert not gaps(17.9)
    assert gaps(18.5) == [(NOT_PUBLISHED, 16, 16)]


def test_what_was_not_read_in_time_is_not_verified() -> None:
    records = settled(0, 8)

    assert not found(records, covered(0, 9), now=16.9)
    after = 9 + 1 / HOUR_MS
    assert found(records, covered(0, 9), now=18) == [(NOT_VERIFIED, after, 17)]


def test_what_was_read_and_stored_but_not_verified_is_a_gap() -> None:
    """A row that does not say its contract leaves its page unproven for all."""
    records, after = settled(0, 8, 16, 24), 9 + 1 / HOUR_MS

    assert not found(settled(0, 8, 16), covered(0, 9), now=16.9)
    assert found(records, covered(0, 9), now=24.5) == [(NOT_VERIFIED, after, 23.5)]
    assert found(records, covered(0, 16 - 1 / HOUR_MS), now=31) == [(NOT_VERIFIED, 16, 30)]
    assert not found(records, covered(0, 24 - 1 / HOUR_MS), now=31)
    hourly, on_1 = settled(*range(7)), ContractFacts(interval_h=1)
    assert [kind for kind, *_ in found(hourly, covered(0, 2.5), now=7.5, facts=on_1)] == [
        NOT_VERIFIED
    ]


def test_a_verified_part_without_records_hides_nothing() -> None:
    """Neither what follows it, nor that what precedes it was not read."""
    assert found([], covered(20, 23.9), now=40) == [
        (NOT_VERIFIED, 0, 20 - 1 / HOUR_MS),
        (NOT_VERIFIED, 23.9 + 1 / HOUR_MS, 39),
    ]


def test_where_nothing_was_read_for_hours_a_delisted_contract_is_not_verified_to_its_end() -> None:
    delisted = ContractFacts(interval_h=8, expects_until=hour(18))
    stale = [covered(0, 12, each) for each in (B, C)]

    gaps = found(settled(0, 8), covered(0, 17), *stale, now=30, facts=delisted)

    assert gaps == [(NOT_VERIFIED, 17 + 1 / HOUR_MS, 29)]
    assert not found(settled(0, 8, 16), covered(0, 19), *stale, now=30, facts=delisted)


def test_a_contract_whose_settlement_is_awaited_is_read_as_all_others() -> None:
    awaits = covered(0, 16 - OFF_GRID_MS / HOUR_MS)

    def gaps(now: float) -> list[tuple[GapKind, float, float]]:
        others = (covered(0, 18, each) for each in (B, C))
        return found(settled(0, 8), awaits, *others, now=now)

    assert not gaps(17.9)
    assert [(kind, end) for kind, _, end in gaps(30)] == [(NOT_VERIFIED, 29), (NOT_PUBLISHED, 16)]


def test_a_contract_behind_all_others_is_not_verified() -> None:
    others = (covered(0, 7.8, each) for each in (B, C))

    gaps = found(settled(0), covered(0, 3), *others, now=8)

    assert gaps == [(NOT_VERIFIED, 3 + 1 / HOUR_MS, 7)]


def test_a_contract_that_was_never_read_is_not_verified_from_its_listing_on() -> None:
    listed = ContractFacts(interval_h=8, expects_from=hour(5))

    assert found([], now=20, facts=listed) == [(NOT_VERIFIED, 5, 19)]
    assert not found([], now=5.5, facts=listed)


def test_a_contract_that_was_delisted_before_it_was_read_is_not_verified() -> None:
    delisted = ContractFacts(interval_h=8, expects_until=hour(5))

    assert found([], covered(0, 20, B), now=20, facts=delisted) == [(NOT_VERIFIED, 0, 19)]


def test_one_contract_can_be_searched_and_gaps_come_by_contract_and_time() -> None:
    search = GapSearch(
        start=DAY,
        exchange_ms=hour(20),
        coverage={},
        contracts={A: ON_8, B: ON_8},
        symbol=B,
    )

    expected = FundingGap(symbol=B, kind=NOT_VERIFIED, start=DAY, end=hour(19))
    assert search.conclude() == (expected,)


def test_the_read_of_one_contract_is_not_typical() -> None:
    spans = {each: covered(0, 5, each) for each in (B, C)}

    assert typical_through({**spans, A: covered(0, 9)}) == hour(5)
    assert typical_through({}) is None
