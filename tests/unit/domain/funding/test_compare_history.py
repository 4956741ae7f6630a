"""A stored settlement is completed or disputed, never overwritten."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from chimera_s1.domain.funding.compare_history import (
    DerivedFacts,
    HistoryComparison,
    UnfinishedHours,
    new_record,
)
from chimera_s1.domain.funding.history_pages import HistoryBatch
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL, Settlement, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

T = 1_796_000_400_000
"""A full hour."""

END = T + HOUR_MS
A = Symbol("AUSDT")
ROW = Settlement(SettlementKey(T, A, REGULAR), Decimal("0.0001"), Decimal(7))
STORED = new_record(ROW, DerivedFacts(interval_h=8, rate_est=Decimal("0.00012")), now_ms=1)


def compare(
    rows: Sequence[Settlement],
    stored: Sequence[FundingRecord],
    *,
    derived: DerivedFacts = DerivedFacts(),  # noqa: B008 (frozen)
    unproven: frozenset[Symbol] | None = frozenset(),
) -> tuple[list[FundingRecord], list[FundingDispute], list[FundingRecord]]:
    """New versions and records, disputes, and what has gone."""
    batch = HistoryBatch(T - HOUR_MS, END, END, tuple(rows), unproven)
    comparison = HistoryComparison(
        batch,
        UnfinishedHours(batch.start),
        derived=lambda _: derived,
        final_until=END,
        now_ms=2,
    )
    versions, contradicted = comparison.take(stored)
    records, more = comparison.conclude()
    return [*versions, *records], [*contradicted, *more], comparison.withdrawn


def test_what_is_read_again_unchanged_changes_nothing() -> None:
    assert compare([ROW], [STORED]) == ([], [], [])


def test_what_became_known_makes_the_next_version() -> None:
    bare = new_record(replace(ROW, mark_price=None), DerivedFacts(), now_ms=1)

    [version], disputes, _ = compare(
        [ROW], [bare], derived=DerivedFacts(interval_h=8, rate_est=Decimal("0.00012"))
    )

    assert version == replace(STORED, version=2)
    assert version.content_hash != bare.content_hash
    assert not disputes


def test_a_changed_rate_or_mark_price_is_disputed_and_the_record_stays() -> None:
    changed = replace(ROW, rate=Decimal("0.0002"), mark_price=Decimal(8))

    records, disputes, _ = compare([changed], [STORED])

    assert not records
    assert [(each.field, each.stored, each.found) for each in disputes] == [
        ("rate", "0.0001", "0.0002"),
        ("mark_price", "7", "8"),
    ]


def test_a_disputed_row_still_completes_what_was_not_known_and_keeps_its_rate() -> None:
    bare = new_record(replace(ROW, mark_price=None), DerivedFacts(), now_ms=1)

    [version], disputes, _ = compare([replace(ROW, rate=Decimal("0.0002"))], [bare])

    assert (version.rate, version.mark_price) == (ROW.rate, ROW.mark_price)
    assert [each.field for each in disputes] == ["rate"]


def test_a_mark_price_that_is_no_longer_said_contradicts_nothing() -> None:
    assert compare([replace(ROW, mark_price=None)], [STORED]) == ([], [], [])


def test_a_regular_settlement_at_another_time_of_its_hour_has_moved() -> None:
    """Also if the exchange has both now."""
    moved = replace(ROW, key=ROW.key._replace(funding_time=T + 18))

    for rows in ([moved], [ROW, moved]):
        records, [dispute], withdrawn = compare(rows, [STORED])
        assert not records
        assert not withdrawn
        assert (dispute.key, dispute.field, dispute.found) == (ROW.key, "funding_time", str(T + 18))


def test_a_special_settlement_of_the_same_time_is_one_of_its_own() -> None:
    special = replace(ROW, key=ROW.key._replace(rate_type=SPECIAL))

    records, disputes, _ = compare([ROW, special], [STORED])

    assert [record.key for record in records] == [special.key]
    assert not disputes


def test_two_rows_of_one_key_are_a_record_and_a_dispute() -> None:
    records, disputes, _ = compare([ROW, replace(ROW, rate=Decimal(1))], [])

    assert [record.rate for record in records] == [ROW.rate]
    assert [each.found for each in disputes] == ["1"]


def test_a_stored_settlement_that_is_gone_is_named_unless_its_contract_was_not_readable() -> None:
    assert compare([], [STORED])[2] == [STORED]
    assert not compare([], [STORED], unproven=frozenset({A}))[2]
    assert not compare([], [STORED], unproven=None)[2]


def test_the_interval_of_the_settlement_after_one_that_came_late_is_corrected() -> None:
    [version], _, _ = compare([ROW], [STORED], derived=DerivedFacts(interval_h=4))

    assert (version.interval_h, version.version) == (4, 2)


def test_an_hour_is_judged_by_all_batches_that_it_needed() -> None:
    """Nothing has gone of a contract that an earlier one could not read, or did not ask."""

    def withdrawn(unproven: frozenset[Symbol], asked: frozenset[Symbol] | None) -> bool:
        unfinished, gone = UnfinishedHours(T), []
        for start, end in ((T, T), (T + 1, T + 5), (T + 6, END)):
            is_first = start == T
            batch = HistoryBatch(
                start,
                end,
                end,
                (),
                unproven if is_first else frozenset(),
                asked if is_first else None,
            )
            comparison = HistoryComparison(
                batch, unfinished, derived=lambda _: DerivedFacts(), final_until=END, now_ms=2
            )
            comparison.take([STORED])
            gone += comparison.withdrawn
            unfinished = comparison.unfinished
        return gone == [STORED]

    assert withdrawn(frozenset(), None)
    assert withdrawn(frozenset(), frozenset({A}))
    assert not withdrawn(frozenset({A}), None)
    assert not withdrawn(frozenset(), frozenset({Symbol("BUSDT")}))
