"""What follows from what is found out about an attempt.

Each gives no events where nothing new was said: whoever comes late, or twice, changes nothing.
"""

from chimera_s1.domain.treasury.commands import (
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
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
from chimera_s1.domain.treasury.transfer import Phase, Transfer

NOT_PROCESSED_MAX = 3
"""An exchange that turned a transfer away this often is not asked again for it."""


def decide_completed(
    situation: DecisionContext, transfer: Transfer, command: RecordCompleted
) -> DecidedEvents:
    """The exchange says that the money has moved: positive evidence counts in every phase, except
    of what was never accepted.
    """
    if transfer.phase is Phase.REJECTED:
        return ()
    if transfer.phase is Phase.DONE:
        same = transfer.tran_id == command.tran_id
        return (
            ()
            if same
            else _dispute_events(transfer, _second_movement_message(transfer, command), command.at)
        )
    if situation.movement_owner not in {None, transfer.transfer_id}:
        cause = (
            f"movement {command.tran_id} is its own by {command.evidence.value}, and was already "
            f"taken for that of transfer {situation.movement_owner}"
        )
        return _dispute_events(transfer, cause, command.at)
    return completion_events(situation, transfer, command, note="")


def _second_movement_message(transfer: Transfer, command: RecordCompleted) -> str:
    return (
        f"done by movement {transfer.tran_id}, and {command.evidence.value} shows "
        f"{command.tran_id} for it too"
    )


def completion_events(
    situation: DecisionContext, transfer: Transfer, command: RecordCompleted, note: str
) -> DecidedEvents:
    """The end of a transfer that moved money, by a movement that is no other transfer's."""
    end = _correction if transfer.phase is Phase.FAILED else _completion
    claim = MovementClaimed(tran_id=command.tran_id, transfer_id=transfer.transfer_id)
    return (*end(transfer, command, note), *(() if situation.movement_owner else (claim,)))


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
    """The second end of a transfer that was believed to have moved nothing."""
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
    """The exchange has said no."""
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    return failure_events(transfer, command.kind, command.message, command.at)


def decide_not_executed(transfer: Transfer, command: RecordNotExecuted) -> DecidedEvents:
    """The attempt came to nothing; after a few the exchange is not asked again."""
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    last = transfer.not_processed_count + 1 >= NOT_PROCESSED_MAX
    if command.reason is NotExecutedReason.NOT_PROCESSED and last:
        message = f"turned away {transfer.not_processed_count + 1} times, last: {command.cause}"
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
    """Nothing is certain about the attempt."""
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
    """Nothing has moved, and nothing can move any more."""
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    message = (
        f"the exchange's histories show no such movement in {len(command.reads)} complete reads "
        "after the last moment at which it could have appeared"
    )
    return failure_events(transfer, FailureReason.ABSENT, message, command.at, command.reads)


def decide_verified(transfer: Transfer, command: RecordVerified) -> DecidedEvents:
    """The history shows the movement; a dispute is an operator's to end."""
    fits = transfer.phase is Phase.DONE and transfer.tran_id == command.tran_id
    if not fits or transfer.verified or transfer.disputed:
        return ()
    return (TransferVerified(transfer_id=transfer.transfer_id, tran_id=command.tran_id),)


def decide_disputed(transfer: Transfer, command: RecordDisputed) -> DecidedEvents:
    """The history contradicts what was believed."""
    return _dispute_events(transfer, command.cause, command.at)


def _dispute_events(transfer: Transfer, cause: str, at: int) -> DecidedEvents:
    if transfer.disputed or transfer.phase is Phase.REJECTED:
        return ()
    return (TransferDisputed(transfer_id=transfer.transfer_id, cause=cause, at=at),)


def decide_review(transfer: Transfer, command: RequestReview) -> DecidedEvents:
    """A human should look."""
    if transfer.in_review or not transfer.is_unresolved:
        return ()
    return (ReviewRequested(transfer_id=transfer.transfer_id, cause=command.cause, at=command.at),)


def failure_events(
    transfer: Transfer, kind: FailureReason, message: str, at: int, reads: tuple[int, ...] = ()
) -> DecidedEvents:
    """The end of a transfer that moved nothing; its share of the cap is free again, except where it
    was settled or released before.
    """
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
    mine = transfer.is_unresolved and transfer.attempt == attempt
    return mine and not transfer.disputed  # the exchange has named a movement for it: a human looks
