"""Where a transfer stands, what happens next by itself, and what somebody has to do."""

from typing import assert_never

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.text_format import (
    escape_unprintable,
    format_movement,
    format_utc,
)
from chimera_s1.domain.treasury.events import Evidence, FailureReason
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming, execution_window
from chimera_s1.domain.treasury.transfer import Phase, Transfer


class NextSteps(Struct, frozen=True):
    """Two sentences.

    Attributes:
        current_state: Begins with PENDING, DONE or FAILED where it is known.

        next_step: What happens, or what to do.
    """

    current_state: str
    next_step: str


UNKNOWN_EVENTS = NextSteps(
    "a newer chimera-s1 has written a part of this, so this one cannot tell where it stands",
    "ask that one",
)


def next_steps(transfer: Transfer, timing: ReconciliationTiming) -> NextSteps:
    """What is to be said of *transfer* after its last event."""
    now, then = _disputed(transfer) if transfer.disputed else _by_phase(transfer, timing)
    return NextSteps(
        escape_unprintable(f"{transfer.status.value}: {now}"), escape_unprintable(then)
    )


def _by_phase(transfer: Transfer, patience: ReconciliationTiming) -> tuple[str, str]:
    match transfer.phase:
        case Phase.REQUESTED:
            return _requested(transfer)
        case Phase.SUBMITTED | Phase.UNKNOWN:
            return _unresolved(transfer, patience)
        case Phase.DONE:
            return _done(transfer, patience)
        case Phase.FAILED:
            return _failed(transfer, patience)
        case Phase.REJECTED:
            return _rejected(transfer)
        case _:
            assert_never(transfer.phase)


def _disputed(transfer: Transfer) -> tuple[str, str]:
    if transfer.phase is Phase.DONE:
        tran_id = transfer.tran_id
        return f"movement {tran_id} moved the money, and that is disputed: {transfer.message}", (
            f"an operator looks whether the exchange's transfer history has {tran_id}, and says "
            f"so with {_resolve_route(transfer)}: DONE with that number, or FAILED"
        )
    moved = format_movement(transfer.direction, transfer.amount)
    return f"disputed, so nothing goes on by itself: {transfer.message}", (
        f"an operator looks whether the exchange's transfer history has {moved} for it, and says "
        f"so with {_resolve_route(transfer)}: DONE with its number, or FAILED"
    )


def _requested(transfer: Transfer) -> tuple[str, str]:
    expiry = "one that cannot be sent in time fails by itself and frees its cap"
    if transfer.attempt == 0:
        return "accepted, nothing was sent yet", (
            "a running chimera-s1 serve sends it, after any other of the same direction and amount "
            f"whose outcome is not known; {expiry}"
        )
    return (
        f"attempt {transfer.attempt} came to nothing: {transfer.message}",
        f"another attempt, not before {format_utc(transfer.not_before_ms)}; {expiry}",
    )


def _unresolved(transfer: Transfer, patience: ReconciliationTiming) -> tuple[str, str]:
    now = f"attempt {transfer.attempt} may have moved the money; it is not sent again"
    if transfer.message:
        now = f"{now} ({transfer.message})"
    window = execution_window(transfer, patience)
    where = (
        f"{format_movement(transfer.direction, transfer.amount)} between "
        f"{format_utc(window.start)} and "
        f"{format_utc(window.end)}"
    )
    if transfer.in_review:
        return now, (
            f"an operator looks for {where} in the exchange's transfer history, and says so with "
            f"{_resolve_route(transfer)}: DONE with its number, or FAILED"
        )
    surely = format_utc(window.end + patience.history_lag_ms + patience.clean_spread_ms)
    return now, (
        f"reconciliation looks for {where} in the exchange's histories: DONE as soon as it shows, "
        f"FAILED when {patience.clean_reads} complete reads were silent, not before {surely}"
    )


def _done(transfer: Transfer, patience: ReconciliationTiming) -> tuple[str, str]:
    now = f"movement {transfer.tran_id} moved the money"
    if transfer.corrected:
        now = f"{now}, although it had been given up before"
    if transfer.verified:
        seen = "an operator" if transfer.evidence is Evidence.OPERATOR else "the exchange's history"
        return f"{now}, by the word of {seen}", "nothing, it is over"
    late = format_utc(execution_window(transfer, patience).end + patience.history_lag_ms)
    return f"{now}, by the exchange's reply", (
        "reconciliation confirms it from the exchange's history; nothing waits for that. If it "
        f"does not show up by {late}, it is disputed"
    )


def _failed(transfer: Transfer, patience: ReconciliationTiming) -> tuple[str, str]:
    now = f"no money has moved: {transfer.message}"
    retry_hint = "ask again with a new id"
    match transfer.failure_reason:
        case FailureReason.ABSENT:
            until = format_utc(transfer.finished_at + patience.watch_ms)
            return now, (
                f"{retry_hint} if it is still wanted; until {until} the history is watched, "
                "and should "
                "the movement show up after all, this becomes DONE"
            )
        case FailureReason.FORBIDDEN:
            return now, f"let the API key do universal transfers at the exchange, then {retry_hint}"
        case FailureReason.REFUSED:
            return now, f"remove the cause, then {retry_hint}"
        case FailureReason.NOT_PROCESSED | FailureReason.EXPIRED | FailureReason.OPERATOR | None:
            return now, f"{retry_hint} if it is still wanted"
        case _:
            assert_never(transfer.failure_reason)


def _rejected(transfer: Transfer) -> tuple[str, str]:
    return (
        f"refused by a rule, nothing was sent: {transfer.message}",
        "this id gives this answer for ever; ask for what is allowed with a new one",
    )


def _resolve_route(transfer: Transfer) -> str:
    return f"POST /xchg/treasury/transfer/{transfer.transfer_id}/resolve"
