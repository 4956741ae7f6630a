"""`decide`: the events of a treasury command. No other code decides about money.

Commands are idempotent: a late or repeated one gives no events.
"""

from typing import assert_never

from chimera_s1.domain.treasury.commands import (
    ExpireTransfer,
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
    RecordMatched,
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
    decide_matched,
    decide_not_executed,
    decide_refused,
    decide_review,
    decide_unknown,
    decide_verified,
    failure_events,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer

CLOCK_SKEW_MAX_MS = 60_000
"""Assumed bound between the clocks of two instances, or of one before and after a correction."""


def decide(context: DecisionContext, command: TreasuryCommand) -> DecidedEvents:  # noqa: C901, PLR0911, PLR0912 (one case a command)
    """The events of *command*.

    Raises:
        TransferStateError: The transfer does not exist, or its state does not allow a resolution.
    """
    if isinstance(command, RequestTransfer):
        return _decide_request(context, command) if context.transfer is None else ()
    transfer = context.transfer
    if transfer is None:
        raise TransferStateError("transfer not found")
    match command:
        case StartSubmission():
            return _decide_start(context, transfer, command)
        case ExpireTransfer():
            return _decide_expire(transfer, command)
        case RecordCompleted():
            return decide_completed(context, transfer, command)
        case RecordMatched():
            return decide_matched(context, transfer, command)
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


def _decide_request(context: DecisionContext, command: RequestTransfer) -> DecidedEvents:
    terms = command.terms
    breach = find_breach(terms.limits, terms.direction, terms.amount, context.cap.used)
    if breach is not None:
        rejected = TransferRejected(
            transfer_id=command.transfer_id,
            terms=terms,
            rule=breach.rule,
            message=breach.message,
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
    context: DecisionContext, transfer: Transfer, command: StartSubmission
) -> DecidedEvents:
    if not transfer.is_queued or context.lookalikes:
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
    """Whether *transfer* is too old, or its age is unknown because the clock was set back."""
    return not -CLOCK_SKEW_MAX_MS <= at - transfer.accepted_at <= max_age_ms


def _decide_expire(transfer: Transfer, command: ExpireTransfer) -> DecidedEvents:
    if not transfer.is_queued or not is_expired(transfer, command.max_age_ms, command.at):
        return ()
    reason = f"not sent within {command.max_age_ms // 1000} s of its acceptance"
    if command.at < transfer.accepted_at:
        reason = "the clock was set back after its acceptance, so its age is unknown"
    last = f"; the last attempt: {transfer.message}" if transfer.message else ""
    return failure_events(transfer, FailureReason.EXPIRED, f"{reason}{last}", command.at)


def _decide_resolve(
    context: DecisionContext, transfer: Transfer, command: ResolveTransfer
) -> DecidedEvents:
    match command.verdict:
        case OperatorVerdict.DONE:
            return _resolve_done(context, transfer, command)
        case OperatorVerdict.FAILED:
            return _resolve_failed(transfer, command)
        case _:
            assert_never(command.verdict)


def _resolve_done(
    context: DecisionContext, transfer: Transfer, command: ResolveTransfer
) -> DecidedEvents:
    own = transfer.transfer_id
    if transfer.phase is Phase.DONE and transfer.disputed:
        if command.tran_id == transfer.tran_id:
            return (TransferVerified(transfer_id=own, tran_id=command.tran_id, note=command.note),)
        raise TransferStateError(
            f"transfer {own} was completed by movement {transfer.tran_id}; confirm that movement, "
            "or resolve the transfer as FAILED first"
        )
    if not _is_resolvable(transfer) and transfer.phase is not Phase.FAILED:
        raise TransferStateError(_cannot_resolve_message(transfer, "DONE"))
    if context.movement_owner not in {None, own}:
        raise TransferStateError(
            f"movement {command.tran_id} belongs to transfer {context.movement_owner}"
        )
    completed = RecordCompleted(transfer.attempt, command.tran_id, Evidence.OPERATOR, command.at)
    return completion_events(context, transfer, completed, command.note)


def _resolve_failed(transfer: Transfer, command: ResolveTransfer) -> DecidedEvents:
    if not _is_resolvable(transfer):
        raise TransferStateError(_cannot_resolve_message(transfer, "FAILED"))
    return failure_events(transfer, FailureReason.OPERATOR, command.note, command.at)


def _is_resolvable(transfer: Transfer) -> bool:
    return transfer.is_unresolved or transfer.disputed


def _cannot_resolve_message(transfer: Transfer, verdict: str) -> str:
    allowed = "unresolved, disputed or failed" if verdict == "DONE" else "unresolved or disputed"
    return (
        f"transfer {transfer.transfer_id} is {transfer.phase.value}; only a transfer that is "
        f"{allowed} can be resolved as {verdict}"
    )
