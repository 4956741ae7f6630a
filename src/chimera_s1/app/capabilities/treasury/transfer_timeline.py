"""The life of a transfer as people read it: a line an event, then where it stands and what is next.

Everything comes from the ledger; nothing is asked and nothing is decided here.
"""

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.next_steps import (
    NOT_UNDERSTOOD,
    Outlook,
    outlook,
)
from chimera_s1.app.capabilities.treasury.text_format import moment, movement, printable
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Entry
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.event_records import UnknownEvent, read_record
from chimera_s1.domain.treasury.events import (
    CapEvent,
    CapRebooked,
    CapReleased,
    CapReserved,
    CapSettled,
    Evidence,
    FailureKind,
    ForeignMovementObserved,
    MovementClaimed,
    MovementEvent,
    NotExecuted,
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
from chimera_s1.domain.treasury.reconciliation import Patience
from chimera_s1.domain.treasury.transfer import Transfer, evolve

_HASH_SHOWN = 12


class Line(Struct, frozen=True):
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


class Story(Struct, frozen=True):
    """A life, as far as the ledger tells it.

    Attributes:
        title: The transfer in one line.
    """

    title: str
    lines: tuple[Line, ...]
    outlook: Outlook


def tell(transfer_id: TransferId, entries: Sequence[Entry], patience: Patience) -> Story:
    """The life of *transfer_id*.

    Args:
        transfer_id: Whose.

        entries: Every commit with an event of its stream, in order; at least one.

        patience: Says how long reconciliation goes on.

    Raises:
        LedgerDamagedError: A commit was changed, or its events contradict those before.
    """
    lines: list[Line] = []
    transfer: Transfer | None = None
    newer = False
    for entry in entries:
        for event in events_of(entry):
            commit = entry.commit
            lines.append(Line(commit.at, commit.seq, printable(commit.actor), sentence(event)))
            newer = newer or isinstance(event, UnknownEvent)
            if isinstance(event, TransferEvent) and (transfer is not None or not newer):
                transfer = evolve(transfer, event)
    if transfer is None:
        return Story(f"transfer {transfer_id}", tuple(lines), NOT_UNDERSTOOD)
    title = f"transfer {transfer_id}: {movement(transfer.direction, transfer.amount)}"
    told = NOT_UNDERSTOOD if newer else outlook(transfer, patience)
    return Story(title, tuple(lines), told)


def events_of(entry: Entry) -> tuple[TreasuryEvent | UnknownEvent, ...]:
    """What a commit says.

    Raises:
        LedgerDamagedError: It is not what was written, or says what cannot be.
    """
    commit = entry.commit
    if entry.content_hash != commit.hash:
        raise LedgerDamagedError(f"commit {commit.seq} was changed after it was written")
    try:
        return tuple(map(read_record, commit.events))
    except LedgerDamagedError as error:
        raise LedgerDamagedError(
            f"commit {commit.seq} has an event that is none: {error}"
        ) from error


def sentence(event: TreasuryEvent | UnknownEvent) -> str:
    """What has happened, in one line."""
    match event:
        case UnknownEvent(type=kind, v=version):
            return f"{printable(kind)} version {version}, which only a newer chimera-s1 understands"
        case CapReserved() | CapSettled() | CapReleased() | CapRebooked():
            return _of_cap(event)
        case MovementClaimed() | ForeignMovementObserved():
            return _of_movement(event)
        case _:
            return printable(_of_transfer(event))


def _of_transfer(event: TransferEvent) -> str:  # noqa: C901, PLR0911 (one case a kind of event)
    match event:
        case TransferRequested():
            return _accepted(event)
        case TransferRejected(rule=rule, message=message):
            return f"refused by the rule {rule.value}, nothing was sent: {message}"
        case SubmissionStarted():
            return _signed(event)
        case SubmissionNotExecuted():
            return _not_executed(event)
        case OutcomeUnknown(attempt=attempt, cause=cause):
            return f"nobody knows what came of attempt {attempt}, nothing is sent again: {cause}"
        case TransferCompleted(evidence=evidence, tran_id=tran_id, note=note):
            return f"done: {_found(evidence, tran_id)}" + _noted(note)
        case TransferFailed():
            return _failed(event)
        case TransferVerified(tran_id=tran_id, note=note):
            return f"confirmed: movement {tran_id} is in the exchange's history" + _noted(note)
        case TransferDisputed(cause=cause):
            return f"disputed, an operator has to look: {cause}"
        case TransferCorrected(evidence=evidence, tran_id=tran_id, note=note):
            found = _found(evidence, tran_id)
            return f"corrected, money had moved after all: {found}{_noted(note)}"
        case ReviewRequested(cause=cause):
            return f"undecided for too long, an operator has to look: {cause}"
        case _:
            assert_never(event)


def _noted(note: str) -> str:
    return f": {note}" if note else ""


def _accepted(event: TransferRequested) -> str:
    terms = event.terms
    reason = f" ({terms.reason})" if terms.reason else ""
    low, high = exact_text(terms.limits.min), exact_text(terms.limits.max)
    return (
        f"accepted: {movement(terms.direction, terms.amount)}{reason}, allowed were {low} to "
        f"{high} {ASSET}, mode {terms.mode.value}"
    )


def _signed(event: SubmissionStarted) -> str:
    return (
        f"attempt {event.attempt} is signed and about to be sent once: the exchange takes it for "
        f"{event.recv_window_ms} ms from {moment(event.signed_at)} of its clock, request "
        f"{event.request_hash[:_HASH_SHOWN]}"
    )


def _not_executed(event: SubmissionNotExecuted) -> str:
    again = f"the next not before {moment(event.not_before)}"
    match event.why:
        case NotExecuted.NOT_SENT:
            return f"attempt {event.attempt} did not leave: {event.cause}; {again}"
        case NotExecuted.TURNED_AWAY:
            return f"attempt {event.attempt} was turned away unread: {event.cause}; {again}"
        case _:
            assert_never(event.why)


def _found(evidence: Evidence, tran_id: str) -> str:
    match evidence:
        case Evidence.REPLY:
            return f"the exchange's reply names movement {tran_id}"
        case Evidence.HISTORY:
            return f"the exchange's history shows movement {tran_id}"
        case Evidence.OPERATOR:
            return f"an operator has found movement {tran_id}"
        case _:
            assert_never(evidence)


def _failed(event: TransferFailed) -> str:
    match event.kind:
        case FailureKind.REFUSED:
            return f"failed, the exchange refused it: {event.message}"
        case FailureKind.FORBIDDEN:
            return f"failed, the exchange does not allow it with this key: {event.message}"
        case FailureKind.TURNED_AWAY | FailureKind.EXPIRED:
            return f"failed, nothing was executed: {event.message}"
        case FailureKind.ABSENT:
            reads = ", ".join(map(moment, event.reads))
            return f"failed: {event.message}; read at {reads}"
        case FailureKind.OPERATOR:
            return f"failed, an operator says that nothing has moved: {event.message}"
        case _:
            assert_never(event.kind)


def _of_cap(event: CapEvent) -> str:
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
    return f"cap of {printable(event.day)}: {told}"


def _of_movement(event: MovementEvent) -> str:
    name = f"movement {printable(event.tran_id)}"
    match event:
        case MovementClaimed(transfer_id=transfer_id):
            return f"{name} belongs to {printable(transfer_id)}, and to no other transfer"
        case ForeignMovementObserved():
            moved = movement(event.direction, event.amount)
            return f"{name}, {moved} at {moment(event.moved_at)}, is none of ours"
        case _:
            assert_never(event)
