"""The state of a transfer, what happens next, and what an operator must do."""

from typing import assert_never

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.text_format import format_movement
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.printable import escape_unprintable
from chimera_s1.domain.treasury.events import Evidence, FailureReason
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming, execution_window
from chimera_s1.domain.treasury.transfer import Phase, Transfer


class NextSteps(Struct, frozen=True):
    """*current_state* begins with PENDING, DONE or FAILED where it is known."""

    current_state: str
    next_step: str


UNKNOWN_EVENTS = NextSteps(
    "has events of a newer chimera-s1; its state is unknown to this version",
    "use the newer version",
)


def next_steps(transfer: Transfer, timing: ReconciliationTiming) -> NextSteps:
    now, then = _disputed(transfer) if transfer.disputed else _by_phase(transfer, timing)
    return NextSteps(
        escape_unprintable(f"{transfer.status.value}: {now}"), escape_unprintable(then)
    )


def _by_phase(transfer: Transfer, timing: ReconciliationTiming) -> tuple[str, str]:
    match transfer.phase:
        case Phase.REQUESTED:
            return _requested(transfer)
        case Phase.SUBMITTED | Phase.UNKNOWN:
            return _unresolved(transfer, timing)
        case Phase.DONE:
            return _done(transfer, timing)
        case Phase.FAILED:
            return _failed(transfer, timing)
        case Phase.REJECTED:
            return _rejected(transfer)
        case _:
            assert_never(transfer.phase)


def _disputed(transfer: Transfer) -> tuple[str, str]:
    if transfer.phase is Phase.DONE:
        tran_id = transfer.tran_id
        return f"movement {tran_id} moved the money, but this is disputed: {transfer.message}", (
            f"an operator must check whether the exchange's transfer history has {tran_id} and "
            f"resolve it with {_resolve_route(transfer)}: DONE with that id, or FAILED"
        )
    moved = format_movement(transfer.direction, transfer.amount)
    return f"disputed, waiting for an operator: {transfer.message}", (
        f"an operator must check whether the exchange's transfer history has {moved} for it and "
        f"resolve it with {_resolve_route(transfer)}: DONE with its id, or FAILED"
    )


def _requested(transfer: Transfer) -> tuple[str, str]:
    expiry = "if it cannot be sent in time, it fails and its cap is released"
    if transfer.attempt == 0:
        return "accepted, not sent yet", (
            "chimera-s1 serve sends it, after any transfer of the same direction and amount with "
            f"an unknown outcome; {expiry}"
        )
    return (
        f"attempt {transfer.attempt} was not executed: {transfer.message}",
        f"another attempt, not before {format_utc(transfer.not_before_ms)}; {expiry}",
    )


def _unresolved(transfer: Transfer, timing: ReconciliationTiming) -> tuple[str, str]:
    now = f"attempt {transfer.attempt} may have moved the money; it is not sent again"
    if transfer.message:
        now = f"{now} ({transfer.message})"
    window = execution_window(transfer, timing)
    where = (
        f"{format_movement(transfer.direction, transfer.amount)} between "
        f"{format_utc(window.start)} and {format_utc(window.end)}"
    )
    if transfer.in_review:
        return now, (
            f"an operator must look for {where} in the exchange's transfer history and resolve it "
            f"with {_resolve_route(transfer)}: DONE with its id, or FAILED"
        )
    earliest = format_utc(window.end + timing.history_lag_ms + timing.clean_spread_ms)
    return now, (
        f"reconciliation looks for {where} in the exchange's histories: DONE once it is found, "
        f"FAILED after {timing.clean_reads} complete reads without it, not before {earliest}"
    )


def _done(transfer: Transfer, timing: ReconciliationTiming) -> tuple[str, str]:
    now = f"movement {transfer.tran_id} moved the money"
    if transfer.corrected:
        now = f"{now}, although it was FAILED before"
    if transfer.verified:
        by = "an operator" if transfer.evidence is Evidence.OPERATOR else "the exchange's history"
        return f"{now}, confirmed by {by}", "nothing; finished"
    late = format_utc(execution_window(transfer, timing).end + timing.history_lag_ms)
    return f"{now}, by the exchange's reply", (
        "reconciliation confirms it from the exchange's history; nothing waits for that. If it "
        f"does not appear by {late}, it is disputed"
    )


def _failed(transfer: Transfer, timing: ReconciliationTiming) -> tuple[str, str]:
    now = f"no money has moved: {transfer.message}"
    retry_hint = "request it again with a new id"
    match transfer.failure_reason:
        case FailureReason.ABSENT:
            until = format_utc(transfer.finished_at + timing.watch_ms)
            return now, (
                f"{retry_hint} if it is still wanted; until {until} the history is watched, and if "
                "the movement appears, the transfer becomes DONE"
            )
        case FailureReason.FORBIDDEN:
            return now, f"enable Permits Universal Transfer for the API key, then {retry_hint}"
        case FailureReason.REFUSED:
            return now, f"remove the cause, then {retry_hint}"
        case FailureReason.NOT_PROCESSED | FailureReason.EXPIRED | FailureReason.OPERATOR | None:
            return now, f"{retry_hint} if it is still wanted"
        case _:
            assert_never(transfer.failure_reason)


def _rejected(transfer: Transfer) -> tuple[str, str]:
    return (
        f"refused by a rule, nothing was sent: {transfer.message}",
        "this id is final; request an allowed transfer with a new id",
    )


def _resolve_route(transfer: Transfer) -> str:
    return f"POST /xchg/treasury/transfer/{transfer.transfer_id}/resolve"
