"""Conclusions about transfers with an unknown outcome from the exchange's histories.

`movement_matching` finds the movement of a transfer; here is what its absence proves, and when.

All times are exchange epoch ms.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.transfer import Transfer

CLIENT_ID_PREFIX = "s1-"
CLOCK_MARGIN_MS = 2_000
"""Binance accepts timestamps up to 1 s ahead of its clock; our offset is known to within 1 s."""


class MovementStatus(StrEnum):
    CONFIRMED = "CONFIRMED"
    PENDING = "PENDING"
    FAILED = "FAILED"


class Movement(Struct, frozen=True):
    """A row of the wallet transfer history; *client_id* is ours, empty in wallet mode."""

    tran_id: str
    direction: Direction
    amount: Decimal
    status: MovementStatus
    moved_at: int
    client_id: str = ""


class IncomeRow(Struct, frozen=True):
    """A TRANSFER row of the futures income; *amount* is positive into the futures wallet."""

    amount: Decimal
    moved_at: int


class ReconciliationTiming(Struct, frozen=True, kw_only=True):
    """Bounds for concluding from absence, ms. A transfer that moved money is never called FAILED
    only as long as these bounds hold, so they are generous.

    Attributes:
        execution_ms: Longest time from acceptance to execution at the exchange.
        history_lag_ms: Longest time from execution to the row in the history.
        clean_reads: Complete reads required after both have passed.
        clean_spread_ms: Least time between the first and the last of these reads.
        review_after_ms: An undecided transfer goes to review so long after that.
        watch_ms: How long the history is watched after a failure concluded from absence.
    """

    execution_ms: int = 60_000
    history_lag_ms: int = 900_000
    clean_reads: int = 3
    clean_spread_ms: int = 300_000
    review_after_ms: int = 1_800_000
    watch_ms: int = 86_400_000


class ExecutionWindow(Struct, frozen=True):
    """The period in which the exchange can have executed a transfer."""

    start: int
    end: int


def merge_windows(
    windows: Iterable[ExecutionWindow], gap_max_ms: int
) -> tuple[ExecutionWindow, ...]:
    """The fewest windows that cover *windows*; those at most *gap_max_ms* apart become one."""
    merged: list[ExecutionWindow] = []
    for window in sorted(windows, key=lambda each: (each.start, each.end)):
        if merged and window.start - merged[-1].end <= gap_max_ms:
            last = merged.pop()
            merged.append(ExecutionWindow(last.start, max(last.end, window.end)))
        else:
            merged.append(window)
    return tuple(merged)


class Matched(Struct, frozen=True):
    """The movement of the transfer was found."""

    movement: Movement


class MatchPending(Struct, frozen=True):
    """The movement that may be the transfer's is still PENDING at the exchange."""

    movement: Movement


class NoMatch(Struct, frozen=True):
    """No movement can belong to the transfer."""


class Conflict(Struct, frozen=True):
    """The two histories disagree; nothing can be concluded."""

    cause: str


MatchResult: TypeAlias = Matched | MatchPending | NoMatch | Conflict


def execution_window(transfer: Transfer, timing: ReconciliationTiming) -> ExecutionWindow:
    """The window of the last attempt of *transfer*."""
    last = transfer.signed_at + transfer.recv_window_ms + timing.execution_ms
    return ExecutionWindow(transfer.signed_at - CLOCK_MARGIN_MS, last + CLOCK_MARGIN_MS)


def cross_check(
    transfer: Transfer,
    timing: ReconciliationTiming,
    movements: Iterable[Movement],
    income: Iterable[IncomeRow],
) -> NoMatch | Conflict:
    """Conflict if the futures income shows more matching movements than the wallet history."""
    explained = sum(
        matches_amount_and_time(transfer, timing, movement.amount, movement.moved_at)
        for movement in movements
        if movement.direction is transfer.direction and movement.status is not MovementStatus.FAILED
    )
    sign = 1 if transfer.direction is Direction.SPOT_TO_FUT else -1
    seen = sum(
        matches_amount_and_time(transfer, timing, sign * row.amount, row.moved_at) for row in income
    )
    if seen > explained:
        return Conflict(
            f"the futures income shows {seen} matching movements, the wallet history {explained}"
        )
    return NoMatch()


def reads_proving_absence(
    transfer: Transfer, timing: ReconciliationTiming, clean_reads: tuple[int, ...]
) -> tuple[int, ...]:
    """Those of *clean_reads* that together prove absence; empty if they do not suffice.

    *clean_reads* are the ascending times of complete reads of both histories without a match.
    """
    deadline = execution_window(transfer, timing).end + timing.history_lag_ms
    late = tuple(read for read in clean_reads if read > deadline)
    enough = len(late) >= timing.clean_reads
    return late if enough and late[-1] - late[0] >= timing.clean_spread_ms else ()


def matches_amount_and_time(
    transfer: Transfer, timing: ReconciliationTiming, amount: Decimal, moved_at: int
) -> bool:
    """Whether a movement of the transfer's direction may be its own."""
    window = execution_window(transfer, timing)
    return amount == transfer.amount and window.start <= moved_at <= window.end


def client_id_of(transfer_id: TransferId, attempt: int) -> str:
    """Our id of an attempt in sub-account mode, below 64 characters (USD-M error -4114)."""
    return f"{CLIENT_ID_PREFIX}{sha256(transfer_id.encode()).hexdigest()[:40]}-{attempt}"
