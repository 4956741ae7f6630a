"""A read proves what is published; the tail, and what is expected and not there, is not."""

from collections.abc import Sequence
from decimal import Decimal

from chimera_s1.domain.funding.history_pages import HistoryBatch
from chimera_s1.domain.funding.history_proof import (
    FINAL_AFTER_MS,
    PUBLICATION_TAIL_MS,
    HistoryProof,
    RegularTimes,
)
from chimera_s1.domain.funding.settlement import REGULAR, Settlement, SettlementKey
from chimera_s1.domain.funding.settlement_times import (
    OFF_GRID_MS,
    OVERDUE_MS,
    ContractFacts,
    LastRegular,
    certain_after,
    first_expected,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

DAY = 1_795_996_800_000 // (24 * HOUR_MS) * 24 * HOUR_MS
A, B = Symbol("AUSDT"), Symbol("BUSDT")


def hour(number: float) -> int:
    return DAY + round(number * HOUR_MS)


def settled(*hours: float, symbol: Symbol = A) -> list[Settlement]:
    return [
        Settlement(SettlementKey(hour(each), symbol, REGULAR), Decimal(1), None) for each in hours
    ]


def proven_through(
    rows: Sequence[Settlement],
    facts: ContractFacts | None,
    *,
    now: int,
    not_stored: frozenset[Symbol] = frozenset(),
    unproven: frozenset[Symbol] | None = frozenset(),
) -> int | None:
    """Of `A`, after a read of a whole day up to *now*; None: nothing is."""
    times = RegularTimes()
    proof = HistoryProof(
        DAY,
        exchange_ms=now,
        contracts={} if facts is None else {A: facts},
        symbols=[A],
        known_from=DAY,
        times=times,
    )
    for row in rows:
        times.see(row.key)
    batch = HistoryBatch(DAY, now, now, tuple(rows), unproven)
    spans = {span.symbol: span.verified_through for span in proof.take(batch, not_stored)}
    return spans.get(A)


def test_the_publication_tail_is_not_proven() -> None:
    facts = ContractFacts(interval_h=8)

    assert proven_through(settled(0, 8), facts, now=hour(9)) == hour(9) - PUBLICATION_TAIL_MS


def test_a_settlement_that_is_not_published_yet_ends_the_proof_until_a_later_one_is() -> None:
    facts = ContractFacts(interval_h=1)

    assert proven_through(settled(0, 1), facts, now=hour(2.9)) == hour(2) - OFF_GRID_MS
    late = proven_through(settled(0, 1, 3), facts, now=hour(3.5))
    assert late == hour(3.5) - PUBLICATION_TAIL_MS


def test_a_day_later_no_settlement_is_waited_for() -> None:
    facts = ContractFacts(interval_h=8)
    now = hour(16) + FINAL_AFTER_MS

    assert proven_through(settled(0, 8), facts, now=now) == now - PUBLICATION_TAIL_MS


def test_what_is_expected_follows_the_shortest_known_interval_and_the_stream() -> None:
    last = LastRegular(hour(8), interval_h=4)

    assert first_expected(ContractFacts(interval_h=8), last, 0) == hour(12)
    assert first_expected(ContractFacts(interval_h=1), last, 0) == hour(9)
    assert first_expected(ContractFacts(interval_h=8, due_at=hour(10) + 7), last, 0) == hour(10)
    assert first_expected(ContractFacts(), None, hour(0) + 1) == hour(8)
    across_a_change = LastRegular(hour(8), interval_h=3)
    assert first_expected(ContractFacts(interval_h=8), across_a_change, 0) == hour(10)


def test_whatever_interval_is_in_force_every_eighth_hour_has_a_settlement() -> None:
    assert certain_after(ContractFacts(interval_h=1), LastRegular(hour(9), 1)) == hour(16)
    due = ContractFacts(interval_h=1, due_at=hour(10))
    assert certain_after(due, LastRegular(hour(9), 1)) == hour(10)


def test_nothing_is_expected_of_a_contract_that_is_not_listed() -> None:
    delisted = ContractFacts(interval_h=8, expects_until=hour(10))
    new = ContractFacts(interval_h=8, expects_from=hour(17))
    now = hour(23)

    assert proven_through(settled(0, 8), delisted, now=now) == now - PUBLICATION_TAIL_MS
    assert proven_through([], new, now=now) == now - PUBLICATION_TAIL_MS
    assert proven_through([], None, now=now) == now - PUBLICATION_TAIL_MS


def test_the_last_settlement_before_a_delisting_is_waited_for() -> None:
    delisted = ContractFacts(interval_h=8, expects_until=hour(8) + 1)
    now = hour(8) + OVERDUE_MS // 2

    assert proven_through(settled(0), delisted, now=now) == hour(8) - OFF_GRID_MS


def test_a_batch_with_a_row_that_is_unreadable_or_not_stored_proves_nothing() -> None:
    facts, now = ContractFacts(interval_h=8), hour(9)

    assert proven_through(settled(0, 8), facts, now=now, not_stored=frozenset({A})) is None
    assert proven_through(settled(0, 8), facts, now=now, unproven=frozenset({A})) is None
    assert proven_through(settled(0, 8), facts, now=now, unproven=None) is None
    assert proven_through(settled(0, 8), facts, now=now, unproven=frozenset({B})) is not None


def test_after_rows_that_could_not_be_read_the_next_settlement_is_waited_for() -> None:
    """The last settlement is not known then."""
    facts, now = {A: ContractFacts(interval_h=8)}, hour(40)
    proof = HistoryProof(
        DAY, exchange_ms=now, contracts=facts, symbols=[A], known_from=DAY, times=RegularTimes()
    )
    proof.take(HistoryBatch(DAY, hour(25), hour(25), (), frozenset({A})), ())

    [span] = proof.take(HistoryBatch(hour(25) + 1, now, now, (), frozenset()), ())

    assert (span.verified_from, span.verified_through) == (hour(25) + 1, hour(32) - OFF_GRID_MS)


def test_a_contract_named_after_others_were_read_one_by_one_is_read_again() -> None:
    proof = HistoryProof(
        DAY, exchange_ms=hour(20), contracts={}, symbols=[A], known_from=DAY, times=RegularTimes()
    )
    asked = HistoryBatch(DAY, hour(1), hour(1), (), frozenset(), asked=frozenset({A}))
    proof.take(asked, ())

    rows = (*settled(2), *settled(2, symbol=B))
    spans = proof.take(HistoryBatch(hour(1) + 1, hour(3), hour(3), rows, frozenset()), ())

    assert proof.late == {B}
    assert {span.symbol: span.verified_from for span in spans} == {A: DAY, B: hour(1) + 1}


def test_a_contract_whose_rows_could_not_be_read_was_not_asked_either() -> None:
    proof = HistoryProof(
        DAY, exchange_ms=hour(20), contracts={}, symbols=[A], known_from=DAY, times=RegularTimes()
    )
    proof.take(HistoryBatch(DAY, hour(1), hour(1), (), frozenset({B})), ())

    asked = HistoryBatch(hour(1) + 1, hour(2), hour(2), (), frozenset(), asked=frozenset({A}))
    spans = proof.take(asked, ())

    assert {span.symbol for span in spans} == {A}


def test_intervals_are_the_hours_between_regular_settlements() -> None:
    times = RegularTimes()

    intervals = [times.see(row.key) for row in settled(0, 8, 8.0001, 9, 23)]

    assert intervals == [None, 8, 8, 1, None]  # 14 h is a gap, not an interval
