"""What follows from a command: the one place that decides about money.

`decide` is pure. It gives the events that belong into the ledger together, or none where nothing
new has been said: whoever comes late, or twice, changes nothing.
"""

from typing import assert_never

from chimera_s1.domain.treasury.commands import (
    ExpireTransfer,
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
    RecordNotExecuted,
    RecordRefused,
    RecordUnknown,
    RecordVerified,
    RequestReview,
    RequestTransfer,
    ResolveTransfer,
    StartSubmission,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.decision_context import (
    DecidedEvents,
    DecisionContext,
    TransferStateError,
)
from chimera_s1.domain.treasury.events import (
    CapReserved,
    Evidence,
    FailureReason,
    OperatorVerdict,
    SubmissionStarted,
    TransferRejected,
    TransferRequested,
    TransferVerified,
)
from chimera_s1.domain.treasury.limits import find_breach
from chimera_s1.domain.treasury.outcome_decisions import (
    completion_events,
    decide_absent,
    decide_completed,
    decide_disputed,
    decide_not_executed,
    decide_refused,
    decide_review,
    decide_unknown,
    decide_verified,
    failure_events,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer

CLOCK_SKEW_MAX_MS = 60_000
"""The clocks of two instances, or one before and after it was corrected, differ by less
than this.
"""


def decide(context: DecisionContext, command: TreasuryCommand) -> DecidedEvents:  # noqa: C901, PLR0911, PLR0912 (one case a command)
    """The events that *command* makes.

    Raises:
        TransferStateError: An operator wants what cannot be, or there is no such transfer.
    """
    if isinstance(command, RequestTransfer):
        return _decide_request(context, command) if context.transfer is None else ()
    transfer = context.transfer
    if transfer is None:
        raise TransferStateError("there is no such transfer")
    match command:
        case StartSubmission():
            return _decide_start(context, transfer, command)
        case ExpireTransfer():
            return _decide_expire(transfer, command)
        case RecordCompleted():
            return decide_completed(context, transfer, command)
        case RecordRefused():
            return decide_refused(transfer, command)
        case RecordNotExecuted():
            return decide_not_executed(transfer, command)
        case RecordUnknown():
            return decide_unknown(transfer, command)
        case RecordAbsent():
            return decide_absent(transfer, command)
        case RecordVerified():
            return decide_verified(transfer, command)
        case RecordDisputed():
            return decide_disputed(transfer, command)
        case RequestReview():
            return decide_review(transfer, command)
        case ResolveTransfer():
            return _decide_resolve(context, transfer, command)
        case _:
            assert_never(command)


def _decide_request(situation: DecisionContext, command: RequestTransfer) -> DecidedEvents:
    terms = command.terms
    against = find_breach(terms.limits, terms.direction, terms.amount, situation.cap.used)
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


def _decide_start(
    situation: DecisionContext, transfer: Transfer, command: StartSubmission
) -> DecidedEvents:
    if not transfer.is_queued or situation.lookalikes:
        return ()
    if command.attempt != transfer.attempt + 1 or command.at < transfer.not_before_ms:
        return ()
    expired = _decide_expire(transfer, ExpireTransfer(command.max_age_ms, command.at))
    return expired or (
        SubmissionStarted(
            transfer_id=transfer.transfer_id,
            attempt=command.attempt,
            signed_at=command.signed_at,
            recv_window_ms=command.recv_window_ms,
            request_hash=command.request_hash,
        ),
    )


def is_expired(transfer: Transfer, max_age_ms: int, at: int) -> bool:
    """Whether *transfer* has waited for too long, or for nobody knows how long."""
    return not -CLOCK_SKEW_MAX_MS <= at - transfer.accepted_at <= max_age_ms


def _decide_expire(transfer: Transfer, command: ExpireTransfer) -> DecidedEvents:
    if not transfer.is_queued or not is_expired(transfer, command.max_age_ms, command.at):
        return ()
    how = f"not sent within {command.max_age_ms // 1000} s of its acceptance"
    if command.at < transfer.accepted_at:
        how = "the clock was set back since its acceptance, so nobody knows how old it is"
    why = f"; the last attempt: {transfer.message}" if transfer.message else ""
    return failure_events(transfer, FailureReason.EXPIRED, f"{how}{why}", command.at)


def _decide_resolve(
    situation: DecisionContext, transfer: Transfer, command: ResolveTransfer
) -> DecidedEvents:
    match command.verdict:
        case OperatorVerdict.DONE:
            return _resolve_done(situation, transfer, command)
        case OperatorVerdict.FAILED:
            return _resolve_failed(transfer, command)
        case _:
            assert_never(command.verdict)


def _resolve_done(
    situation: DecisionContext, transfer: Transfer, command: ResolveTransfer
) -> DecidedEvents:
    own = transfer.transfer_id
    if transfer.phase is Phase.DONE and transfer.disputed:
        if command.tran_id == transfer.tran_id:
            return (TransferVerified(transfer_id=own, tran_id=command.tran_id, note=command.note),)
        raise TransferStateError(
            f"transfer {own} is done by movement {transfer.tran_id}; confirm that one, or resolve "
            "it as FAILED first"
        )
    if not _is_resolvable(transfer) and transfer.phase is not Phase.FAILED:
        raise TransferStateError(_cannot_resolve_message(transfer, "DONE"))
    if situation.movement_owner not in {None, own}:
        raise TransferStateError(
            f"movement {command.tran_id} belongs to transfer {situation.movement_owner}"
        )
    found = RecordCompleted(transfer.attempt, command.tran_id, Evidence.OPERATOR, command.at)
    return completion_events(situation, transfer, found, command.note)


def _resolve_failed(transfer: Transfer, command: ResolveTransfer) -> DecidedEvents:
    if not _is_resolvable(transfer):
        raise TransferStateError(_cannot_resolve_message(transfer, "FAILED"))
    return failure_events(transfer, FailureReason.OPERATOR, command.note, command.at)


def _is_resolvable(transfer: Transfer) -> bool:
    return transfer.is_unresolved or transfer.disputed


def _cannot_resolve_message(transfer: Transfer, verdict: str) -> str:
    return (
        f"transfer {transfer.transfer_id} is {transfer.phase.value}; only one whose outcome is not "
        f"known, or that is disputed, can be resolved as {verdict}"
        + (", or one that failed" if verdict == "DONE" else "")
    )
