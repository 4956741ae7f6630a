"""What the exchange's histories say about a transfer whose outcome is not known.

The wallet transfer knows no id of ours, so a movement is recognised by its direction, its amount
and its moment. That is why, while one transfer is unresolved, no other of the same direction and
amount is sent, and why a movement counts once. In sub-account mode it carries our id.

All moments are exchange epoch ms.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import TypeAlias, assert_never

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.transfer import Transfer

CLOCK_MARGIN_MS = 2_000
"""Binance accepts a timestamp up to 1 s ahead of its own clock, and ours is known to
within that.
"""


class MovementStatus(StrEnum):
    """A movement as the exchange's history shows it."""

    CONFIRMED = "CONFIRMED"
    PENDING = "PENDING"
    FAILED = "FAILED"


class Movement(Struct, frozen=True):
    """A row of the history of wallet transfers.

    Attributes:
        client_id: The id that we gave; empty where the exchange keeps none.
    """

    tran_id: str
    direction: Direction
    amount: Decimal
    status: MovementStatus
    moved_at: int
    client_id: str = ""


class IncomeRow(Struct, frozen=True):
    """A row of the futures account's income of type TRANSFER: a second witness.

    Attributes:
        amount: USDT; positive into the futures wallet.
    """

    amount: Decimal
    moved_at: int


class ReconciliationTiming(Struct, frozen=True, kw_only=True):
    """How long absence must last before it is believed, ms. The guarantee that a transfer which
    moved money is never called FAILED is only as good as these bounds, so they are generous.

    Attributes:
        execution_ms: Longest time from acceptance to execution.

        history_lag_ms: Longest time from execution to its row in the history.

        clean_reads: Complete reads needed after both have passed.

        clean_spread_ms: From the first of them to the last, at least.

        review_after_ms: Undecided for so long after that, a human is asked.

        watch_ms: How long after a failure concluded from absence the history is still watched.
    """

    execution_ms: int = 60_000
    history_lag_ms: int = 900_000
    clean_reads: int = 3
    clean_spread_ms: int = 300_000
    review_after_ms: int = 1_800_000
    watch_ms: int = 86_400_000


class ExecutionWindow(Struct, frozen=True):
    """The moments at which a movement of a transfer can have taken place."""

    start: int
    end: int


class Matched(Struct, frozen=True):
    """The movement of the transfer."""

    movement: Movement


class MatchPending(Struct, frozen=True):
    """A movement that may be the transfer's is not at its end."""

    movement: Movement


class NoMatch(Struct, frozen=True):
    """No movement can be the transfer's."""


class Conflict(Struct, frozen=True):
    """The two witnesses do not agree; nothing can be concluded."""

    cause: str


MatchResult: TypeAlias = Matched | MatchPending | NoMatch | Conflict


def execution_window(transfer: Transfer, patience: ReconciliationTiming) -> ExecutionWindow:
    """When the last attempt of *transfer* can have been executed."""
    last = transfer.signed_at + transfer.recv_window_ms + patience.execution_ms
    return ExecutionWindow(transfer.signed_at - CLOCK_MARGIN_MS, last + CLOCK_MARGIN_MS)


def find_match(
    transfer: Transfer,
    timing: ReconciliationTiming,
    movements: Iterable[Movement],
    claimed_by_others: frozenset[str],
) -> Matched | MatchPending | NoMatch:
    """The movement of *transfer* among *movements*: the nearest to its signature that did not fail.

    One that is not at its end is waited for, also where a farther one is: that may be a human's.

    Args:
        transfer: Was sent, or may have been.

        timing: Bounds the window.

        movements: A complete read of the history over the window.

        claimed_by_others: Movements that belong to other transfers.
    """
    candidates = sorted(
        (
            m
            for m in movements
            if m.tran_id not in claimed_by_others and _is_candidate(transfer, timing, m)
        ),
        key=lambda movement: abs(movement.moved_at - transfer.signed_at),
    )
    for movement in candidates:
        match movement.status:
            case MovementStatus.CONFIRMED:
                return Matched(movement)
            case MovementStatus.PENDING:
                return MatchPending(movement)
            case MovementStatus.FAILED:
                pass
            case _:
                assert_never(movement.status)
    return NoMatch()


def cross_check(
    transfer: Transfer,
    patience: ReconciliationTiming,
    movements: Iterable[Movement],
    income: Iterable[IncomeRow],
) -> NoMatch | Conflict:
    """Whether the second witness, too, knows of nothing that the first one does not explain."""
    explained = sum(
        _matches_amount_and_time(transfer, patience, movement.amount, movement.moved_at)
        for movement in movements
        if movement.direction is transfer.direction and movement.status is not MovementStatus.FAILED
    )
    sign = 1 if transfer.direction is Direction.SPOT_TO_FUTURES else -1
    seen = sum(
        _matches_amount_and_time(transfer, patience, sign * row.amount, row.moved_at)
        for row in income
    )
    if seen > explained:
        return Conflict(
            f"the futures income shows {seen} movements like it, the wallet history {explained}"
        )
    return NoMatch()


def reads_proving_absence(
    transfer: Transfer, patience: ReconciliationTiming, clean_reads: tuple[int, ...]
) -> tuple[int, ...]:
    """Those of *clean_reads* that prove together that nothing has moved; empty where they do not.

    Args:
        transfer: Was sent, or may have been.

        patience: How much is needed.

        clean_reads: Ascending moments of complete reads of both witnesses that showed nothing.
    """
    too_early = execution_window(transfer, patience).end + patience.history_lag_ms
    late = tuple(read for read in clean_reads if read > too_early)
    enough = len(late) >= patience.clean_reads
    return late if enough and late[-1] - late[0] >= patience.clean_spread_ms else ()


def _is_candidate(transfer: Transfer, patience: ReconciliationTiming, movement: Movement) -> bool:
    if transfer.mode is TreasuryMode.SUBACCOUNT:
        return movement.client_id == client_id_of(transfer.transfer_id, transfer.attempt)
    same_way = movement.direction is transfer.direction
    return same_way and _matches_amount_and_time(
        transfer, patience, movement.amount, movement.moved_at
    )


def _matches_amount_and_time(
    transfer: Transfer, patience: ReconciliationTiming, amount: Decimal, moved_at: int
) -> bool:
    window = execution_window(transfer, patience)
    return amount == transfer.amount and window.start <= moved_at <= window.end


def client_id_of(transfer_id: TransferId, attempt: int) -> str:
    """What the exchange is told to call an attempt, where it takes an id: fewer than 64 characters
    (USD-M error -4114), whatever the length of ours.
    """
    return f"s1-{sha256(transfer_id.encode()).hexdigest()[:40]}-{attempt}"
