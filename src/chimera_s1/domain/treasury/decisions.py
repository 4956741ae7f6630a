"""What follows from a command: the one place that decides about money.

`decide` is pure. It gives the events that belong into the ledger together, or none where nothing
new has been said: whoever comes late, or twice, changes nothing.
"""

from typing import assert_never

from chimera_s1.domain.treasury.commands import (
    Command,
    ExpireTransfer,
    NoteAbsent,
    NoteCompleted,
    NoteDisputed,
    NoteNotExecuted,
    NoteRefused,
    NoteUnknown,
    NoteVerified,
    RequestReview,
    RequestTransfer,
    ResolveTransfer,
    StartSubmission,
)
from chimera_s1.domain.treasury.decision_context import Events, Situation, TransferStateError
from chimera_s1.domain.treasury.events import (
    CapReserved,
    Evidence,
    FailureKind,
    SubmissionStarted,
    TransferRejected,
    TransferRequested,
    TransferVerified,
    Verdict,
)
from chimera_s1.domain.treasury.limits import breach
from chimera_s1.domain.treasury.outcome_decisions import (
    absent,
    completed,
    disputed,
    failure,
    moved,
    not_executed,
    refused,
    review,
    unknown,
    verified,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer

CLOCKS_DIFFER_MAX_MS = 60_000
"""The clocks of two instances, or one before and after it was corrected, differ by less
than this.
"""


def decide(situation: Situation, command: Command) -> Events:  # noqa: C901, PLR0911, PLR0912 (one case a command)
    """The events that *command* makes.

    Raises:
        TransferStateError: An operator wants what cannot be, or there is no such transfer.
    """
    if isinstance(command, RequestTransfer):
        return _request(situation, command) if situation.transfer is None else ()
    transfer = situation.transfer
    if transfer is None:
        raise TransferStateError("there is no such transfer")
    match command:
        case StartSubmission():
            return _start(situation, transfer, command)
        case ExpireTransfer():
            return _expire(transfer, command)
        case NoteCompleted():
            return completed(situation, transfer, command)
        case NoteRefused():
            return refused(transfer, command)
        case NoteNotExecuted():
            return not_executed(transfer, command)
        case NoteUnknown():
            return unknown(transfer, command)
        case NoteAbsent():
            return absent(transfer, command)
        case NoteVerified():
            return verified(transfer, command)
        case NoteDisputed():
            return disputed(transfer, command)
        case RequestReview():
            return review(transfer, command)
        case ResolveTransfer():
            return _resolve(situation, transfer, command)
        case _:
            assert_never(command)


def _request(situation: Situation, command: RequestTransfer) -> Events:
    terms = command.terms
    against = breach(terms.limits, terms.direction, terms.amount, situation.cap.used)
    if against is not None:
        rejected = TransferRejected(
            transfer_id=command.transfer_id,
            terms=terms,
            rule=against.rule,
            message=against.message,
        )
        return (rejected,)
    return (
        TransferRequested(transfer_id=command.transfer_id, terms=terms),
        CapReserved(
            day=terms.day,
            transfer_id=command.transfer_id,
            amount=terms.amount,
            cap=terms.limits.daily_cap,
        ),
    )


def _start(situation: Situation, transfer: Transfer, command: StartSubmission) -> Events:
    if not transfer.is_waiting or situation.rivals:
        return ()
    if command.attempt != transfer.attempt + 1 or command.at < transfer.not_before:
        return ()
    expired = _expire(transfer, ExpireTransfer(command.max_age_ms, command.at))
    return expired or (
        SubmissionStarted(
            transfer_id=transfer.transfer_id,
            attempt=command.attempt,
            signed_at=command.signed_at,
            recv_window_ms=command.recv_window_ms,
            request_hash=command.request_hash,
        ),
    )


def is_stale(transfer: Transfer, max_age_ms: int, at: int) -> bool:
    """Whether *transfer* has waited for too long, or for nobody knows how long."""
    return not -CLOCKS_DIFFER_MAX_MS <= at - transfer.accepted_at <= max_age_ms


def _expire(transfer: Transfer, command: ExpireTransfer) -> Events:
    if not transfer.is_waiting or not is_stale(transfer, command.max_age_ms, command.at):
        return ()
    how = f"not sent within {command.max_age_ms // 1000} s of its acceptance"
    if command.at < transfer.accepted_at:
        how = "the clock was set back since its acceptance, so nobody knows how old it is"
    why = f"; the last attempt: {transfer.message}" if transfer.message else ""
    return failure(transfer, FailureKind.EXPIRED, f"{how}{why}", command.at)


def _resolve(situation: Situation, transfer: Transfer, command: ResolveTransfer) -> Events:
    match command.verdict:
        case Verdict.DONE:
            return _resolve_done(situation, transfer, command)
        case Verdict.FAILED:
            return _resolve_failed(transfer, command)
        case _:
            assert_never(command.verdict)


def _resolve_done(situation: Situation, transfer: Transfer, command: ResolveTransfer) -> Events:
    own = transfer.transfer_id
    if transfer.phase is Phase.DONE and transfer.disputed:
        if command.tran_id == transfer.tran_id:
            return (TransferVerified(transfer_id=own, tran_id=command.tran_id, note=command.note),)
        raise TransferStateError(
            f"transfer {own} is done by movement {transfer.tran_id}; confirm that one, or resolve "
            "it as FAILED first"
        )
    if not _is_undecided(transfer) and transfer.phase is not Phase.FAILED:
        raise TransferStateError(_cannot(transfer, "DONE"))
    if situation.claimant not in {None, own}:
        raise TransferStateError(
            f"movement {command.tran_id} belongs to transfer {situation.claimant}"
        )
    found = NoteCompleted(transfer.attempt, command.tran_id, Evidence.OPERATOR, command.at)
    return moved(situation, transfer, found, command.note)


def _resolve_failed(transfer: Transfer, command: ResolveTransfer) -> Events:
    if not _is_undecided(transfer):
        raise TransferStateError(_cannot(transfer, "FAILED"))
    return failure(transfer, FailureKind.OPERATOR, command.note, command.at)


def _is_undecided(transfer: Transfer) -> bool:
    return transfer.is_unresolved or transfer.disputed


def _cannot(transfer: Transfer, verdict: str) -> str:
    return (
        f"transfer {transfer.transfer_id} is {transfer.phase.value}; only one whose outcome is not "
        f"known, or that is disputed, can be resolved as {verdict}"
        + (", or one that failed" if verdict == "DONE" else "")
    )
