"""Decisions about the outcome of an attempt. A late or repeated finding gives no events."""

from chimera_s1.domain.treasury.commands import (
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
    RecordMatched,
    RecordNotExecuted,
    RecordRefused,
    RecordUnknown,
    RecordVerified,
    RequestReview,
)
from chimera_s1.domain.treasury.decision_context import DecidedEvents, DecisionContext
from chimera_s1.domain.treasury.events import (
    CapRebooked,
    CapReleased,
    CapSettled,
    Evidence,
    FailureReason,
    MovementClaimed,
    NotExecutedReason,
    OutcomeUnknown,
    ReviewRequested,
    SubmissionNotExecuted,
    TransferCompleted,
    TransferCorrected,
    TransferDisputed,
    TransferFailed,
    TransferVerified,
)
from chimera_s1.domain.treasury.transfer import UNCONFIRMED_FAILURES, Phase, Transfer

NOT_PROCESSED_MAX = 3
"""The transfer fails after this many attempts that the exchange did not process."""


def decide_completed(
    context: DecisionContext, transfer: Transfer, command: RecordCompleted
) -> DecidedEvents:
    """Positive evidence counts in every phase except REJECTED."""
    if transfer.phase is Phase.REJECTED:
        return ()
    if transfer.phase is Phase.DONE:
        if transfer.tran_id == command.tran_id:
            return ()
        cause = (
            f"completed by movement {transfer.tran_id}, but {command.evidence.value} also shows "
            f"movement {command.tran_id} for it"
        )
        return _dispute_events(transfer, cause, command.at)
    if context.movement_owner not in {None, transfer.transfer_id}:
        cause = (
            f"{command.evidence.value} assigns movement {command.tran_id} to this transfer, but "
            f"transfer {context.movement_owner} has already claimed it"
        )
        return _dispute_events(transfer, cause, command.at)
    return completion_events(context, transfer, command, note="")


def decide_matched(
    context: DecisionContext, transfer: Transfer, command: RecordMatched
) -> DecidedEvents:
    """Complete or correct the transfer, unless another commit came first.

    Such a match is out of date and no contradiction: the exchange has not named the movement as
    ours. The next read of the history is matched with the new state.
    """
    is_open = transfer.is_unresolved or transfer.failure_reason in UNCONFIRMED_FAILURES
    if not is_open or transfer.attempt != command.attempt:
        return ()
    if context.movement_owner not in {None, transfer.transfer_id}:
        return ()
    completed = RecordCompleted(command.attempt, command.tran_id, Evidence.HISTORY, command.at)
    return completion_events(context, transfer, completed, note="")


def completion_events(
    context: DecisionContext, transfer: Transfer, command: RecordCompleted, note: str
) -> DecidedEvents:
    """Complete or correct the transfer; its movement must not belong to another transfer."""
    finish = _correction if transfer.phase is Phase.FAILED else _completion
    claim = MovementClaimed(tran_id=command.tran_id, transfer_id=transfer.transfer_id)
    return (*finish(transfer, command, note), *(() if context.movement_owner else (claim,)))


def _completion(transfer: Transfer, command: RecordCompleted, note: str) -> DecidedEvents:
    return (
        TransferCompleted(
            transfer_id=transfer.transfer_id,
            attempt=command.attempt,
            tran_id=command.tran_id,
            evidence=command.evidence,
            at=command.at,
            note=note,
        ),
        CapSettled(day=transfer.day, transfer_id=transfer.transfer_id, amount=transfer.amount),
    )


def _correction(transfer: Transfer, command: RecordCompleted, note: str) -> DecidedEvents:
    corrected = TransferCorrected(
        transfer_id=transfer.transfer_id,
        tran_id=command.tran_id,
        evidence=command.evidence,
        at=command.at,
        note=note,
    )
    rebooked = CapRebooked(
        day=transfer.day, transfer_id=transfer.transfer_id, amount=transfer.amount
    )
    return (corrected,) if transfer.counts_against_cap else (corrected, rebooked)


def decide_refused(transfer: Transfer, command: RecordRefused) -> DecidedEvents:
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    return failure_events(transfer, command.kind, command.message, command.at)


def decide_not_executed(transfer: Transfer, command: RecordNotExecuted) -> DecidedEvents:
    """Requeue the transfer, or fail it after NOT_PROCESSED_MAX attempts."""
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    last = transfer.not_processed_count + 1 >= NOT_PROCESSED_MAX
    if command.reason is NotExecutedReason.NOT_PROCESSED and last:
        message = (
            f"not processed by the exchange {transfer.not_processed_count + 1} times; "
            f"last: {command.cause}"
        )
        return failure_events(transfer, FailureReason.NOT_PROCESSED, message, command.at)
    return (
        SubmissionNotExecuted(
            transfer_id=transfer.transfer_id,
            attempt=command.attempt,
            why=command.reason,
            cause=command.cause,
            not_before=command.not_before_ms,
        ),
    )


def decide_unknown(transfer: Transfer, command: RecordUnknown) -> DecidedEvents:
    if transfer.phase is not Phase.SUBMITTED or transfer.attempt != command.attempt:
        return ()
    return (
        OutcomeUnknown(
            transfer_id=transfer.transfer_id,
            attempt=command.attempt,
            cause=command.cause,
            at=command.at,
        ),
    )


def decide_absent(transfer: Transfer, command: RecordAbsent) -> DecidedEvents:
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    message = (
        f"no matching movement in {len(command.reads)} complete reads of the exchange's histories "
        "after the deadline"
    )
    return failure_events(transfer, FailureReason.ABSENT, message, command.at, command.reads)


def decide_verified(transfer: Transfer, command: RecordVerified) -> DecidedEvents:
    """Verify a completed transfer, unless it is disputed: only an operator ends a dispute."""
    matches = transfer.phase is Phase.DONE and transfer.tran_id == command.tran_id
    if not matches or transfer.verified or transfer.disputed:
        return ()
    return (TransferVerified(transfer_id=transfer.transfer_id, tran_id=command.tran_id),)


def decide_disputed(transfer: Transfer, command: RecordDisputed) -> DecidedEvents:
    return _dispute_events(transfer, command.cause, command.at)


def _dispute_events(transfer: Transfer, cause: str, at: int) -> DecidedEvents:
    if transfer.disputed or transfer.phase is Phase.REJECTED:
        return ()
    return (TransferDisputed(transfer_id=transfer.transfer_id, cause=cause, at=at),)


def decide_review(transfer: Transfer, command: RequestReview) -> DecidedEvents:
    if transfer.in_review or not transfer.is_unresolved:
        return ()
    return (ReviewRequested(transfer_id=transfer.transfer_id, cause=command.cause, at=command.at),)


def failure_events(
    transfer: Transfer, kind: FailureReason, message: str, at: int, reads: tuple[int, ...] = ()
) -> DecidedEvents:
    """Fail the transfer and release its amount, unless that was settled or released before."""
    failed = TransferFailed(
        transfer_id=transfer.transfer_id,
        attempt=transfer.attempt,
        kind=kind,
        message=message,
        at=at,
        reads=reads,
    )
    released = CapReleased(
        day=transfer.day, transfer_id=transfer.transfer_id, amount=transfer.amount
    )
    return (failed,) if transfer.is_finished else (failed, released)


def _is_open_attempt(transfer: Transfer, attempt: int) -> bool:
    # A disputed transfer has a movement named by the exchange: an operator decides.
    is_open = transfer.is_unresolved and not transfer.disputed
    return is_open and transfer.attempt == attempt
