"""The exchange's own books beside the ledger: whose request moved what, told without what the
service has concluded from histories.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.treasury.event_records import UnknownEvent, decode_event
from chimera_s1.domain.treasury.events import (
    Evidence,
    MovementClaimed,
    SubmissionStarted,
    TransferCompleted,
    TransferCorrected,
    TransferFailed,
    TransferRejected,
    TransferRequested,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.open_transfers import OpenTransfers
from tests.treasury_invariants import ExecutedMovement

DIRECTIONS = {
    "MAIN_UMFUTURE": Direction.SPOT_TO_FUTURES,
    "UMFUTURE_MAIN": Direction.FUTURES_TO_SPOT,
}
CLOCK_MS = 50
"""How well the service knows the simulator's clock. Two attempts that could be confused are further
apart, because the second waits until the histories have told what came of the first.
"""

MovementRow = dict[str, Any]


class _Attempt(Struct, frozen=True):
    transfer_id: TransferId
    direction: Direction
    amount: Decimal
    signed_at: int
    recv_window_ms: int


def attribute_movements(
    entries: Iterable[LedgerEntry], rows: Iterable[MovementRow]
) -> list[ExecutedMovement]:
    """The movements of `GET /sim/transfers`, each with the transfer whose request made it: the one
    that was answered with its number, else the one of that direction and amount signed last before.
    """
    events = list(_events(entries))
    answered = {
        event.tran_id: event.transfer_id
        for event in events
        if isinstance(event, TransferCompleted) and event.evidence is Evidence.REPLY
    }
    attempts = [each for each in _attempts(events) if each.transfer_id not in answered.values()]
    books = []
    for row in rows:
        tran_id = str(row["tranId"])
        owner = answered.get(tran_id) or _sender(row, attempts)
        books.append(ExecutedMovement(tran_id, owner, Decimal(row["amount"])))
    return books


def unexplained_movements(
    entries: Iterable[LedgerEntry], books: Iterable[ExecutedMovement]
) -> list[str]:
    """Once everything is decided: movements without a request, or claimed by another than its
    sender.
    """
    claims = {
        event.tran_id: event.transfer_id
        for event in _events(entries)
        if isinstance(event, MovementClaimed)
    }
    return [
        f"I1 {book.tran_id} was moved for {book.transfer_id or 'nobody'}, and is claimed by "
        f"{claims.get(book.tran_id, 'nobody')}"
        for book in books
        if claims.get(book.tran_id) != book.transfer_id
    ]


def open_transfer_violations(entries: Iterable[LedgerEntry]) -> list[str]:
    """Transfers that are neither done nor failed (I13)."""
    book = fold_ledger(entries)
    return [f"I13 {name} is open" for name in (*book.queued, *book.unresolved)]


def status_by_transfer(entries: Iterable[LedgerEntry]) -> dict[str, str]:
    """How each transfer stands: REQUESTED (not over), REJECTED, DONE or FAILED."""
    stands: dict[str, str] = {}
    for event in _events(entries):
        match event:
            case TransferRequested():
                stands[event.transfer_id] = "REQUESTED"
            case TransferRejected():
                stands[event.transfer_id] = "REJECTED"
            case TransferCompleted() | TransferCorrected():
                stands[event.transfer_id] = "DONE"
            case TransferFailed():
                stands[event.transfer_id] = "FAILED"
            case _:
                pass
    return stands


def fold_ledger(entries: Iterable[LedgerEntry]) -> OpenTransfers:
    """What of a ledger is open."""
    book = OpenTransfers()
    for entry in entries:
        book.fold_commit(entry.commit)
    return book


def _events(entries: Iterable[LedgerEntry]) -> Iterator[TreasuryEvent]:
    for entry in entries:
        for record in entry.commit.events:
            event = decode_event(record)
            assert not isinstance(event, UnknownEvent)
            yield event


def _attempts(events: Iterable[TreasuryEvent]) -> Iterator[_Attempt]:
    terms = {}
    for event in events:
        match event:
            case TransferRequested():
                terms[event.transfer_id] = event.terms
            case SubmissionStarted(transfer_id=name):
                wish = terms[name]
                yield _Attempt(
                    name, wish.direction, wish.amount, event.signed_at, event.recv_window_ms
                )
            case _:
                pass


def _sender(row: MovementRow, attempts: Iterable[_Attempt]) -> TransferId:
    possible = [
        each
        for each in attempts
        if (each.direction, each.amount) == (DIRECTIONS[row["type"]], Decimal(row["amount"]))
        and -CLOCK_MS <= row["accepted_at"] - each.signed_at <= each.recv_window_ms + CLOCK_MS
    ]
    last = max(possible, key=lambda each: each.signed_at, default=None)
    return last.transfer_id if last is not None else TransferId("")
