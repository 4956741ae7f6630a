"""Matching of transfers with an unknown outcome against the histories."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.movement_matching import MovementIndex, assign_movements, match_of
from chimera_s1.domain.treasury.reconciliation import (
    CLOCK_MARGIN_MS,
    Conflict,
    ExecutionWindow,
    IncomeRow,
    Matched,
    MatchPending,
    Movement,
    MovementStatus,
    NoMatch,
    ReconciliationTiming,
    client_id_of,
    cross_check,
    execution_window,
    merge_windows,
    reads_proving_absence,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer
from tests.transfer_events import AMOUNT, AT, ID, TERMS

IN, OUT = Direction.SPOT_TO_FUT, Direction.FUT_TO_SPOT
CONFIRMED, PENDING, FAILED = MovementStatus
TIMING = ReconciliationTiming(
    execution_ms=10_000, history_lag_ms=30_000, clean_reads=3, clean_spread_ms=20_000
)
UNCLAIMED: frozenset[str] = frozenset()
TRANSFER = Transfer(
    transfer_id=ID,
    direction=IN,
    amount=AMOUNT,
    reason="",
    fingerprint=TERMS.fingerprint,
    mode=TreasuryMode.WALLET,
    limits=TERMS.limits,
    day=TERMS.day,
    accepted_at=AT - 100_000,
    phase=Phase.UNKNOWN,
    attempt=2,
    signed_at=AT,
    recv_window_ms=5_000,
)
SUBACCOUNT = replace(TRANSFER, mode=TreasuryMode.SUBACCOUNT)
START, END = AT - 2_000, AT + 17_000


def row(
    tran_id: str,
    after_ms: int = 300,
    status: MovementStatus = CONFIRMED,
    *,
    amount: str = "12.5",
    direction: Direction = IN,
    client_id: str = "",
) -> Movement:
    return Movement(tran_id, direction, Decimal(amount), status, AT + after_ms, client_id)


def income(after_ms: int, amount: str = "12.5") -> IncomeRow:
    return IncomeRow(Decimal(amount), AT + after_ms)


def found(*rows: Movement, claimed: frozenset[str] = UNCLAIMED, of: Transfer = TRANSFER) -> str:
    candidates = MovementIndex(rows).candidates(of, TIMING)
    unclaimed = [each for each in candidates if each.tran_id not in claimed]
    assigned = assign_movements({of.transfer_id: unclaimed})
    match match_of(assigned.get(of.transfer_id)):
        case Matched(movement=movement):
            return movement.tran_id
        case MatchPending(movement=movement):
            return f"{movement.tran_id} is under way"
        case NoMatch():
            return ""


def test_the_window_covers_every_possible_execution_time() -> None:
    window = execution_window(TRANSFER, TIMING)

    assert (window.start, window.end) == (START, END)
    assert window.end == AT + 5_000 + TIMING.execution_ms + CLOCK_MARGIN_MS


@pytest.mark.parametrize(
    ("after_ms", "expected"),
    [(-2_001, ""), (-2_000, "1"), (0, "1"), (17_000, "1"), (17_001, "")],
)
def test_a_movement_outside_the_window_does_not_match(after_ms: int, expected: str) -> None:
    assert found(row("1", after_ms)) == expected


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("12.5", "1"), ("12.50000000", "1"), ("1.25E+1", "1"), ("12.50000001", ""), ("-12.5", "")],
)
def test_amounts_are_compared_as_numbers(amount: str, expected: str) -> None:
    assert found(row("1", amount=amount)) == expected


def test_a_movement_in_the_other_direction_does_not_match() -> None:
    assert found(row("1", direction=OUT)) == ""


def test_the_movement_nearest_to_the_signature_matches() -> None:
    assert found(row("far", 9_000), row("near", -400), row("further", 12_000)) == "near"


def test_a_movement_claimed_by_another_transfer_does_not_match() -> None:
    assert found(row("1", 10), row("2", 9_000), claimed=frozenset({"1"})) == "2"
    assert found(row("1"), claimed=frozenset({"1"})) == ""


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((PENDING,), "0 is under way"),
        ((FAILED,), ""),
        ((FAILED, PENDING), "1 is under way"),
        ((FAILED, CONFIRMED), "1"),
        ((PENDING, CONFIRMED), "0 is under way"),
        ((CONFIRMED, PENDING), "0"),
    ],
)
def test_a_pending_movement_is_awaited_and_a_failed_one_ignored(
    statuses: tuple[MovementStatus, ...], expected: str
) -> None:
    rows = [row(str(number), number, status) for number, status in enumerate(statuses)]

    assert found(*rows) == expected


def test_in_subaccount_mode_only_the_client_id_matches() -> None:
    own = client_id_of(ID, 2)

    assert found(row("1", 90_000, amount="7", client_id=own), of=SUBACCOUNT) == "1"
    assert found(row("1", client_id=client_id_of(ID, 1)), of=SUBACCOUNT) == ""
    assert found(row("1"), of=SUBACCOUNT) == ""


@given(st.text(min_size=1, max_size=128), st.integers(1, 9_999))
def test_a_client_id_is_short_alphanumeric_and_unique_per_attempt(name: str, attempt: int) -> None:
    """The exchange accepts fewer than 64 characters."""
    client_id = client_id_of(TransferId(name), attempt)

    assert len(client_id) < 64
    assert client_id.isascii()
    assert client_id.replace("-", "").isalnum()
    assert client_id != client_id_of(TransferId(name), attempt + 1)


@pytest.mark.parametrize(
    ("movements", "rows", "agree"),
    [
        ([], [], True),
        ([], [income(0)], False),
        ([], [income(0, "12.50")], False),
        ([], [income(0, "-12.5")], True),
        ([], [income(0, "12.6")], True),
        ([], [income(17_001)], True),
        ([row("1")], [income(0)], True),
        ([row("1")], [income(0), income(1)], False),
        ([row("1"), row("2")], [income(0)], True),
        ([row("1", status=FAILED)], [income(0)], False),
        ([row("1", status=PENDING)], [income(0)], True),
        ([row("1", direction=OUT)], [income(0)], False),
    ],
)
def test_more_income_rows_than_movements_are_a_conflict(
    movements: list[Movement], rows: list[IncomeRow], *, agree: bool
) -> None:
    result = cross_check(TRANSFER, TIMING, movements, rows)

    assert isinstance(result, NoMatch if agree else Conflict)


windows = st.lists(
    st.builds(
        lambda start, size: ExecutionWindow(start, start + size),
        st.integers(0, 500),
        st.integers(0, 60),
    ),
    max_size=12,
)


@given(windows, st.integers(0, 50))
def test_merged_windows_cover_the_same_time_and_lie_apart(
    given_windows: list[ExecutionWindow], gap_ms: int
) -> None:
    merged = merge_windows(given_windows, gap_ms)

    covered = {at for window in merged for at in range(window.start, window.end + 1)}
    wanted = {at for window in given_windows for at in range(window.start, window.end + 1)}
    assert wanted <= covered
    assert all(later.start - window.end > gap_ms for window, later in pairwise(merged))
    assert {window.start for window in merged} <= {window.start for window in given_windows}
    assert {window.end for window in merged} <= {window.end for window in given_windows}
    if not gap_ms:
        assert covered == wanted


def test_a_transfer_out_of_futures_matches_negative_income() -> None:
    out = replace(TRANSFER, direction=OUT)

    result = cross_check(out, TIMING, [], [income(0, "-12.5"), income(0)])

    assert result == Conflict("the futures income shows 1 matching movements, the wallet history 0")


LATE = END + TIMING.history_lag_ms


@pytest.mark.parametrize(
    ("reads", "proof"),
    [
        ((), 0),
        ((LATE + 1, LATE + 2, LATE + 20_001), 3),
        ((LATE, LATE + 2, LATE + 20_001), 0),
        ((LATE + 1, LATE + 2, LATE + 20_000), 0),
        ((LATE + 1, LATE + 30_000), 0),
        ((AT, AT + 9, LATE, LATE + 1, LATE + 9, LATE + 99_000), 3),
        ((LATE + 1, LATE + 2, LATE + 3, LATE + 20_001), 4),
    ],
)
def test_absence_needs_enough_late_reads_far_enough_apart(
    reads: tuple[int, ...], proof: int
) -> None:
    believed = reads_proving_absence(TRANSFER, TIMING, reads)

    assert believed == reads[len(reads) - proof :]


timing = st.builds(
    ReconciliationTiming,
    execution_ms=st.integers(0, 100_000),
    history_lag_ms=st.integers(0, 100_000),
    clean_reads=st.integers(1, 4),
    clean_spread_ms=st.integers(0, 50_000),
)


@given(timing, st.lists(st.integers(-50_000, 400_000), max_size=30).map(sorted))
def test_absence_is_proven_only_by_reads_after_the_deadline(
    timing: ReconciliationTiming, after_ms: list[int]
) -> None:
    """At each of these reads the last possible movement must be in the history."""
    reads = tuple(AT + each for each in after_ms)
    bound = execution_window(TRANSFER, timing).end + timing.history_lag_ms

    proof = reads_proving_absence(TRANSFER, timing, reads)

    if proof:
        assert min(proof) > bound
        assert len(proof) >= timing.clean_reads
        assert max(proof) - min(proof) >= timing.clean_spread_ms
        assert set(proof) <= set(reads)


@given(
    st.integers(0, 5_000 + TIMING.execution_ms),
    st.integers(0, TIMING.history_lag_ms),
    st.integers(-1_000, 1_000),
    st.lists(st.integers(0, 200_000), max_size=20).map(sorted),
)
def test_a_movement_within_the_bounds_is_found_before_absence_is_proven(
    executed_ms: int, lag_ms: int, skew_ms: int, looks: list[int]
) -> None:
    """The history shows the movement *lag_ms* after its execution."""
    moved = row("1", executed_ms + skew_ms)
    clean: tuple[int, ...] = ()
    for look in looks:
        if found(*([moved] if AT + look >= moved.moved_at + lag_ms else [])):
            return
        clean = (*clean, AT + look)
        assert not reads_proving_absence(TRANSFER, TIMING, clean)


def test_the_default_timing_is_generous() -> None:
    shipped = ReconciliationTiming()

    assert shipped.execution_ms >= 60_000
    assert shipped.history_lag_ms >= 900_000
    assert shipped.clean_reads >= 3
    assert shipped.clean_spread_ms >= 300_000
    assert shipped.watch_ms >= 86_400_000
