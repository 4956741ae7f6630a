"""Where a transfer stands, what happens next by itself, and what somebody has to do."""

from typing import assert_never

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.text_format import moment, movement, printable
from chimera_s1.domain.treasury.events import Evidence, FailureKind
from chimera_s1.domain.treasury.reconciliation import Patience, window_of
from chimera_s1.domain.treasury.transfer import Phase, Transfer


class Outlook(Struct, frozen=True):
    """Two sentences.

    Attributes:
        now: Begins with PENDING, DONE or FAILED where it is known.

        next: What happens, or what to do.
    """

    now: str
    next: str


NOT_UNDERSTOOD = Outlook(
    "a newer chimera-s1 has written a part of this, so this one cannot tell where it stands",
    "ask that one",
)


def outlook(transfer: Transfer, patience: Patience) -> Outlook:
    """What is to be said of *transfer* after its last event."""
    now, then = _disputed(transfer) if transfer.disputed else _by_phase(transfer, patience)
    return Outlook(printable(f"{transfer.status.value}: {now}"), printable(then))


def _by_phase(transfer: Transfer, patience: Patience) -> tuple[str, str]:
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
            f"so with {_resolve(transfer)}: DONE with that number, or FAILED"
        )
    moved = movement(transfer.direction, transfer.amount)
    return f"disputed, so nothing goes on by itself: {transfer.message}", (
        f"an operator looks whether the exchange's transfer history has {moved} for it, and says "
        f"so with {_resolve(transfer)}: DONE with its number, or FAILED"
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
        f"another attempt, not before {moment(transfer.not_before)}; {expiry}",
    )


def _unresolved(transfer: Transfer, patience: Patience) -> tuple[str, str]:
    now = f"attempt {transfer.attempt} may have moved the money; it is not sent again"
    if transfer.message:
        now = f"{now} ({transfer.message})"
    window = window_of(transfer, patience)
    where = (
        f"{movement(transfer.direction, transfer.amount)} between {moment(window.start)} and "
        f"{moment(window.end)}"
    )
    if transfer.in_review:
        return now, (
            f"an operator looks for {where} in the exchange's transfer history, and says so with "
            f"{_resolve(transfer)}: DONE with its number, or FAILED"
        )
    surely = moment(window.end + patience.history_lag_ms + patience.clean_spread_ms)
    return now, (
        f"reconciliation looks for {where} in the exchange's histories: DONE as soon as it shows, "
        f"FAILED when {patience.clean_reads} complete reads were silent, not before {surely}"
    )


def _done(transfer: Transfer, patience: Patience) -> tuple[str, str]:
    now = f"movement {transfer.tran_id} moved the money"
    if transfer.corrected:
        now = f"{now}, although it had been given up before"
    if transfer.verified:
        seen = "an operator" if transfer.evidence is Evidence.OPERATOR else "the exchange's history"
        return f"{now}, by the word of {seen}", "nothing, it is over"
    late = moment(window_of(transfer, patience).end + patience.history_lag_ms)
    return f"{now}, by the exchange's reply", (
        "reconciliation confirms it from the exchange's history; nothing waits for that. If it "
        f"does not show up by {late}, it is disputed"
    )


def _failed(transfer: Transfer, patience: Patience) -> tuple[str, str]:
    now = f"no money has moved: {transfer.message}"
    anew = "ask again with a new id"
    match transfer.failure:
        case FailureKind.ABSENT:
            until = moment(transfer.finished_at + patience.watch_ms)
            return now, (
                f"{anew} if it is still wanted; until {until} the history is watched, and should "
                "the movement show up after all, this becomes DONE"
            )
        case FailureKind.FORBIDDEN:
            return now, f"let the API key do universal transfers at the exchange, then {anew}"
        case FailureKind.REFUSED:
            return now, f"remove the cause, then {anew}"
        case FailureKind.TURNED_AWAY | FailureKind.EXPIRED | FailureKind.OPERATOR | None:
            return now, f"{anew} if it is still wanted"
        case _:
            assert_never(transfer.failure)


def _rejected(transfer: Transfer) -> tuple[str, str]:
    return (
        f"refused by a rule, nothing was sent: {transfer.message}",
        "this id gives this answer for ever; ask for what is allowed with a new one",
    )


def _resolve(transfer: Transfer) -> str:
    return f"POST /xchg/treasury/transfer/{transfer.transfer_id}/resolve"
