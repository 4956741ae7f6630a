"""The life of a transfer as people read it: a line an event, then where it stands and what is next.

Everything comes from the ledger; nothing is asked and nothing is decided here.
"""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.next_steps import (
    UNKNOWN_EVENTS,
    NextSteps,
    next_steps,
)
from chimera_s1.app.capabilities.treasury.text_format import (
    escape_unprintable,
    format_movement,
    format_utc,
)
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.event_records import UnknownEvent, decode_event
from chimera_s1.domain.treasury.events import (
    CapEvent,
    CapRebooked,
    CapReleased,
    CapReserved,
    CapSettled,
    Evidence,
    FailureReason,
    ForeignMovementObserved,
    MovementClaimed,
    MovementEvent,
    NotExecutedReason,
    OutcomeUnknown,
    ReviewRequested,
    SubmissionNotExecuted,
    SubmissionStarted,
    TransferCompleted,
    TransferCorrected,
    TransferDisputed,
    TransferEvent,
    TransferFailed,
    TransferRejected,
    TransferRequested,
    TransferVerified,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.limits import ASSET
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming
from chimera_s1.domain.treasury.transfer import Transfer, evolve

_HASH_SHOWN = 12


class TimelineEntry(Struct, frozen=True):
    """One event.

    Attributes:
        at: When it was written down, local epoch ms.

        seq: Place of its commit in the ledger.

        actor: Who wrote it.
    """

    at: int
    seq: int
    actor: str
    text: str


class TransferTimeline(Struct, frozen=True):
    """A life, as far as the ledger tells it.

    Attributes:
        title: The transfer in one line.
    """

    title: str
    entries: tuple[TimelineEntry, ...]
    next_steps: NextSteps


def build_timeline(
    transfer_id: TransferId, entries: Sequence[LedgerEntry], patience: ReconciliationTiming
) -> TransferTimeline:
    """The life of *transfer_id*.

    Args:
        transfer_id: Whose.

        entries: Every commit with an event of its stream, in order; at least one.

        patience: Says how long reconciliation goes on.

    Raises:
        LedgerDamagedError: A commit was changed, or its events contradict those before.
    """
    lines: list[TimelineEntry] = []
    transfer: Transfer | None = None
    newer = False
    for entry in entries:
        for event in decode_events(entry):
            commit = entry.commit
            lines.append(
                TimelineEntry(
                    commit.at, commit.seq, escape_unprintable(commit.actor), describe_event(event)
                )
            )
            newer = newer or isinstance(event, UnknownEvent)
            if isinstance(event, TransferEvent) and (transfer is not None or not newer):
                transfer = evolve(transfer, event)
    if transfer is None:
        return TransferTimeline(f"transfer {transfer_id}", tuple(lines), UNKNOWN_EVENTS)
    title = f"transfer {transfer_id}: {format_movement(transfer.direction, transfer.amount)}"
    told = UNKNOWN_EVENTS if newer else next_steps(transfer, patience)
    return TransferTimeline(title, tuple(lines), told)


def decode_events(entry: LedgerEntry) -> tuple[TreasuryEvent | UnknownEvent, ...]:
    """What a commit says.

    Raises:
        LedgerDamagedError: It is not what was written, or says what cannot be.
    """
    commit = entry.commit
    if entry.content_hash != commit.hash:
        raise LedgerDamagedError(f"commit {commit.seq} was changed after it was written")
    try:
        return tuple(map(decode_event, commit.events))
    except LedgerDamagedError as error:
        raise LedgerDamagedError(
            f"commit {commit.seq} has an event that is none: {error}"
        ) from error


def describe_event(event: TreasuryEvent | UnknownEvent) -> str:
    """What has happened, in one line."""
    match event:
        case UnknownEvent(type=kind, v=version):
            return (
                f"{escape_unprintable(kind)} version {version}, "
                "which only a newer chimera-s1 understands"
            )
        case CapReserved() | CapSettled() | CapReleased() | CapRebooked():
            return _describe_cap_event(event)
        case MovementClaimed() | ForeignMovementObserved():
            return _describe_movement_event(event)
        case _:
            return escape_unprintable(_describe_transfer_event(event))


def _describe_transfer_event(event: TransferEvent) -> str:  # noqa: C901, PLR0911 (one case a kind of event)
    match event:
        case TransferRequested():
            return _describe_requested(event)
        case TransferRejected(rule=rule, message=message):
            return f"refused by the rule {rule.value}, nothing was sent: {message}"
        case SubmissionStarted():
            return _describe_started(event)
        case SubmissionNotExecuted():
            return _describe_not_executed(event)
        case OutcomeUnknown(attempt=attempt, cause=cause):
            return f"nobody knows what came of attempt {attempt}, nothing is sent again: {cause}"
        case TransferCompleted(evidence=evidence, tran_id=tran_id, note=note):
            return f"done: {_describe_evidence(evidence, tran_id)}" + _note_suffix(note)
        case TransferFailed():
            return _describe_failed(event)
        case TransferVerified(tran_id=tran_id, note=note):
            return f"confirmed: movement {tran_id} is in the exchange's history" + _note_suffix(
                note
            )
        case TransferDisputed(cause=cause):
            return f"disputed, an operator has to look: {cause}"
        case TransferCorrected(evidence=evidence, tran_id=tran_id, note=note):
            found = _describe_evidence(evidence, tran_id)
            return f"corrected, money had moved after all: {found}{_note_suffix(note)}"
        case ReviewRequested(cause=cause):
            return f"undecided for too long, an operator has to look: {cause}"
        case _:
            assert_never(event)


def _note_suffix(note: str) -> str:
    return f": {note}" if note else ""


def _describe_requested(event: TransferRequested) -> str:
    terms = event.terms
    reason = f" ({terms.reason})" if terms.reason else ""
    low, high = exact_text(terms.limits.min), exact_text(terms.limits.max)
    return (
        f"accepted: {format_movement(terms.direction, terms.amount)}{reason}, allowed were "
        f"{low} to "
        f"{high} {ASSET}, mode {terms.mode.value}"
    )


def _describe_started(event: SubmissionStarted) -> str:
    return (
        f"attempt {event.attempt} is signed and about to be sent once: the exchange takes it for "
        f"{event.recv_window_ms} ms from {format_utc(event.signed_at)} of its clock, request "
        f"{event.request_hash[:_HASH_SHOWN]}"
    )


def _describe_not_executed(event: SubmissionNotExecuted) -> str:
    again = f"the next not before {format_utc(event.not_before)}"
    match event.why:
        case NotExecutedReason.NOT_SENT:
            return f"attempt {event.attempt} did not leave: {event.cause}; {again}"
        case NotExecutedReason.NOT_PROCESSED:
            return f"attempt {event.attempt} was turned away unread: {event.cause}; {again}"
        case _:
            assert_never(event.why)


def _describe_evidence(evidence: Evidence, tran_id: str) -> str:
    match evidence:
        case Evidence.REPLY:
            return f"the exchange's reply names movement {tran_id}"
        case Evidence.HISTORY:
            return f"the exchange's history shows movement {tran_id}"
        case Evidence.OPERATOR:
            return f"an operator has found movement {tran_id}"
        case _:
            assert_never(evidence)


def _describe_failed(event: TransferFailed) -> str:
    match event.kind:
        case FailureReason.REFUSED:
            return f"failed, the exchange refused it: {event.message}"
        case FailureReason.FORBIDDEN:
            return f"failed, the exchange does not allow it with this key: {event.message}"
        case FailureReason.NOT_PROCESSED | FailureReason.EXPIRED:
            return f"failed, nothing was executed: {event.message}"
        case FailureReason.ABSENT:
            reads = ", ".join(map(format_utc, event.reads))
            return f"failed: {event.message}; read at {reads}"
        case FailureReason.OPERATOR:
            return f"failed, an operator says that nothing has moved: {event.message}"
        case _:
            assert_never(event.kind)


def _describe_cap_event(event: CapEvent) -> str:
    amount = f"{exact_text(event.amount)} {ASSET}"
    match event:
        case CapReserved(cap=cap):
            told = f"{amount} of {exact_text(cap)} reserved"
        case CapSettled():
            told = f"{amount} used"
        case CapReleased():
            told = f"{amount} given back"
        case CapRebooked():
            told = f"{amount} counted again"
        case _:
            assert_never(event)
    return f"cap of {escape_unprintable(event.day)}: {told}"


def _describe_movement_event(event: MovementEvent) -> str:
    name = f"movement {escape_unprintable(event.tran_id)}"
    match event:
        case MovementClaimed(transfer_id=transfer_id):
            return f"{name} belongs to {escape_unprintable(transfer_id)}, and to no other transfer"
        case ForeignMovementObserved():
            moved = format_movement(event.direction, event.amount)
            return f"{name}, {moved} at {format_utc(event.moved_at)}, is none of ours"
        case _:
            assert_never(event)
