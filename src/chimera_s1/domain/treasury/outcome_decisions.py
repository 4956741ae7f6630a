"""What follows from what is found out about an attempt.

Each gives no events where nothing new was said: whoever comes late, or twice, changes nothing.
"""

from chimera_s1.domain.treasury.commands import (
    NoteAbsent,
    NoteCompleted,
    NoteDisputed,
    NoteNotExecuted,
    NoteRefused,
    NoteUnknown,
    NoteVerified,
    RequestReview,
)
from chimera_s1.domain.treasury.decision_context import Events, Situation
from chimera_s1.domain.treasury.events import (
    CapRebooked,
    CapReleased,
    CapSettled,
    FailureKind,
    MovementClaimed,
    NotExecuted,
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

ATTEMPTS_TURNED_AWAY_MAX = 3
"""An exchange that turned a transfer away this often is not asked again for it."""


def completed(situation: Situation, transfer: Transfer, command: NoteCompleted) -> Events:
    """The exchange says that the money has moved: positive evidence counts in every phase, except
    of what was never accepted.
    """
    if transfer.phase is Phase.REJECTED:
        return ()
    if transfer.phase is Phase.DONE:
        same = transfer.tran_id == command.tran_id
        return () if same else _dispute(transfer, _second(transfer, command), command.at)
    if situation.claimant not in {None, transfer.transfer_id}:
        cause = (
            f"movement {command.tran_id} is its own by {command.evidence.value}, and was already "
            f"taken for that of transfer {situation.claimant}"
        )
        return _dispute(transfer, cause, command.at)
    return moved(situation, transfer, command, note="")


def _second(transfer: Transfer, command: NoteCompleted) -> str:
    return (
        f"done by movement {transfer.tran_id}, and {command.evidence.value} shows "
        f"{command.tran_id} for it too"
    )


def moved(situation: Situation, transfer: Transfer, command: NoteCompleted, note: str) -> Events:
    """The end of a transfer that moved money, by a movement that is no other transfer's."""
    end = _correction if transfer.phase is Phase.FAILED else _completion
    claim = MovementClaimed(tran_id=command.tran_id, transfer_id=transfer.transfer_id)
    return (*end(transfer, command, note), *(() if situation.claimant else (claim,)))


def _completion(transfer: Transfer, command: NoteCompleted, note: str) -> Events:
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


def _correction(transfer: Transfer, command: NoteCompleted, note: str) -> Events:
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
    return (corrected,) if transfer.counts else (corrected, rebooked)


def refused(transfer: Transfer, command: NoteRefused) -> Events:
    """The exchange has said no."""
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    return failure(transfer, command.kind, command.message, command.at)


def not_executed(transfer: Transfer, command: NoteNotExecuted) -> Events:
    """The attempt came to nothing; after a few the exchange is not asked again."""
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    last = transfer.turned_away + 1 >= ATTEMPTS_TURNED_AWAY_MAX
    if command.why is NotExecuted.TURNED_AWAY and last:
        message = f"turned away {transfer.turned_away + 1} times, last: {command.cause}"
        return failure(transfer, FailureKind.TURNED_AWAY, message, command.at)
    return (
        SubmissionNotExecuted(
            transfer_id=transfer.transfer_id,
            attempt=command.attempt,
            why=command.why,
            cause=command.cause,
            not_before=command.not_before,
        ),
    )


def unknown(transfer: Transfer, command: NoteUnknown) -> Events:
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


def absent(transfer: Transfer, command: NoteAbsent) -> Events:
    """Nothing has moved, and nothing can move any more."""
    if not _is_open_attempt(transfer, command.attempt):
        return ()
    message = (
        f"the exchange's histories show no such movement in {len(command.reads)} complete reads "
        "after the last moment at which it could have appeared"
    )
    return failure(transfer, FailureKind.ABSENT, message, command.at, command.reads)


def verified(transfer: Transfer, command: NoteVerified) -> Events:
    """The history shows the movement; a dispute is an operator's to end."""
    fits = transfer.phase is Phase.DONE and transfer.tran_id == command.tran_id
    if not fits or transfer.verified or transfer.disputed:
        return ()
    return (TransferVerified(transfer_id=transfer.transfer_id, tran_id=command.tran_id),)


def disputed(transfer: Transfer, command: NoteDisputed) -> Events:
    """The history contradicts what was believed."""
    return _dispute(transfer, command.cause, command.at)


def _dispute(transfer: Transfer, cause: str, at: int) -> Events:
    if transfer.disputed or transfer.phase is Phase.REJECTED:
        return ()
    return (TransferDisputed(transfer_id=transfer.transfer_id, cause=cause, at=at),)


def review(transfer: Transfer, command: RequestReview) -> Events:
    """A human should look."""
    if transfer.in_review or not transfer.is_unresolved:
        return ()
    return (ReviewRequested(transfer_id=transfer.transfer_id, cause=command.cause, at=command.at),)


def failure(
    transfer: Transfer, kind: FailureKind, message: str, at: int, reads: tuple[int, ...] = ()
) -> Events:
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
    return (failed,) if transfer.is_over else (failed, released)


def _is_open_attempt(transfer: Transfer, attempt: int) -> bool:
    mine = transfer.is_unresolved and transfer.attempt == attempt
    return mine and not transfer.disputed  # the exchange has named a movement for it: a human looks
