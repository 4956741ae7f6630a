"""The timeline of one transfer: a line for each event, its state and the next step."""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct

from chimera_s1.app.capabilities.ledger.engine import verify_entries
from chimera_s1.app.capabilities.treasury.next_steps import (
    UNKNOWN_EVENTS,
    NextSteps,
    next_steps,
)
from chimera_s1.app.capabilities.treasury.text_format import format_movement
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.printable import escape_unprintable
from chimera_s1.domain.treasury.event_records import decode_event
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
    """One event; *at* is when it was recorded, local epoch ms."""

    at: int
    seq: int
    actor: str
    text: str


class TransferTimeline(Struct, frozen=True):
    """*title* is the transfer in one line."""

    title: str
    entries: tuple[TimelineEntry, ...]
    next_steps: NextSteps


def build_timeline(
    transfer_id: TransferId, entries: Sequence[LedgerEntry], timing: ReconciliationTiming
) -> TransferTimeline:
    """The timeline from all commits with an event of the transfer's stream, at least one.

    Raises:
        LedgerDamagedError: A commit was changed, or its events contradict earlier ones.
    """
    lines: list[TimelineEntry] = []
    transfer: Transfer | None = None
    has_unknown = False
    for entry in entries:
        for event in decode_events(entry):
            commit = entry.commit
            lines.append(
                TimelineEntry(
                    commit.at, commit.seq, escape_unprintable(commit.actor), describe_event(event)
                )
            )
            has_unknown = has_unknown or isinstance(event, UnknownEvent)
            if isinstance(event, TransferEvent) and (transfer is not None or not has_unknown):
                transfer = evolve(transfer, event)
    if transfer is None:
        return TransferTimeline(f"transfer {transfer_id}", tuple(lines), UNKNOWN_EVENTS)
    title = f"transfer {transfer_id}: {format_movement(transfer.direction, transfer.amount)}"
    steps = UNKNOWN_EVENTS if has_unknown else next_steps(transfer, timing)
    return TransferTimeline(title, tuple(lines), steps)


def decode_events(entry: LedgerEntry) -> tuple[TreasuryEvent | UnknownEvent, ...]:
    """The events of a commit.

    Raises:
        LedgerDamagedError: It was changed after it was written, or has an invalid event.
    """
    verify_entries((entry,))
    commit = entry.commit
    try:
        return tuple(map(decode_event, commit.events))
    except LedgerDamagedError as error:
        raise LedgerDamagedError(f"commit {commit.seq} has an invalid event: {error}") from error


def describe_event(event: TreasuryEvent | UnknownEvent) -> str:
    match event:
        case UnknownEvent(type=kind, v=version):
            return f"{escape_unprintable(kind)} version {version}, known only to a newer chimera-s1"
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
            return f"outcome of attempt {attempt} unknown, not sent again: {cause}"
        case TransferCompleted(evidence=evidence, tran_id=tran_id, note=note):
            return f"done: {_describe_evidence(evidence, tran_id)}" + _note_suffix(note)
        case TransferFailed():
            return _describe_failed(event)
        case TransferVerified(tran_id=tran_id, note=note):
            return f"confirmed: movement {tran_id} is in the exchange's history" + _note_suffix(
                note
            )
        case TransferDisputed(cause=cause):
            return f"disputed, needs an operator: {cause}"
        case TransferCorrected(evidence=evidence, tran_id=tran_id, note=note):
            found = _describe_evidence(evidence, tran_id)
            return f"corrected, the money did move: {found}{_note_suffix(note)}"
        case ReviewRequested(cause=cause):
            return f"unresolved for too long, needs an operator: {cause}"
        case _:
            assert_never(event)


def _note_suffix(note: str) -> str:
    return f": {note}" if note else ""


def _describe_requested(event: TransferRequested) -> str:
    terms = event.terms
    reason = f" ({terms.reason})" if terms.reason else ""
    low, high = exact_text(terms.limits.min), exact_text(terms.limits.max)
    return (
        f"accepted: {format_movement(terms.direction, terms.amount)}{reason}, limits {low} to "
        f"{high} {ASSET}, mode {terms.mode.value}"
    )


def _describe_started(event: SubmissionStarted) -> str:
    return (
        f"attempt {event.attempt} signed, about to be sent once: the exchange accepts it for "
        f"{event.recv_window_ms} ms from {format_utc(event.signed_at)} of its clock, request "
        f"{event.request_hash[:_HASH_SHOWN]}"
    )


def _describe_not_executed(event: SubmissionNotExecuted) -> str:
    again = f"next attempt not before {format_utc(event.not_before)}"
    match event.why:
        case NotExecutedReason.NOT_SENT:
            return f"attempt {event.attempt} was not sent: {event.cause}; {again}"
        case NotExecutedReason.NOT_PROCESSED:
            return (
                f"attempt {event.attempt} was not processed by the exchange: {event.cause}; {again}"
            )
        case _:
            assert_never(event.why)


def _describe_evidence(evidence: Evidence, tran_id: str) -> str:
    match evidence:
        case Evidence.REPLY:
            return f"the exchange's reply names movement {tran_id}"
        case Evidence.HISTORY:
            return f"the exchange's history shows movement {tran_id}"
        case Evidence.OPERATOR:
            return f"an operator found movement {tran_id}"
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
            return f"failed, an operator found that no money moved: {event.message}"
        case _:
            assert_never(event.kind)


def _describe_cap_event(event: CapEvent) -> str:
    amount = f"{exact_text(event.amount)} {ASSET}"
    match event:
        case CapReserved(cap=cap):
            text = f"{amount} of {exact_text(cap)} reserved"
        case CapSettled():
            text = f"{amount} used"
        case CapReleased():
            text = f"{amount} released"
        case CapRebooked():
            text = f"{amount} reserved again"
        case _:
            assert_never(event)
    return f"cap of {escape_unprintable(event.day)}: {text}"


def _describe_movement_event(event: MovementEvent) -> str:
    name = f"movement {escape_unprintable(event.tran_id)}"
    match event:
        case MovementClaimed(transfer_id=transfer_id):
            return f"{name} claimed by transfer {escape_unprintable(transfer_id)}"
        case ForeignMovementObserved():
            moved = format_movement(event.direction, event.amount)
            return (
                f"{name}, {moved} at {format_utc(event.moved_at)}, is foreign: "
                "no transfer of this service"
            )
        case _:
            assert_never(event)
