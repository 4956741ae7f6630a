"""Compares the ledger with the exchange's movements, without using the service's reconciliation."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.treasury.event_records import decode_event
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
    "MAIN_UMFUTURE": Direction.SPOT_TO_FUT,
    "UMFUTURE_MAIN": Direction.FUT_TO_SPOT,
}
CLOCK_MS = 50
"""Error bound of the service's estimate of the simulator's clock. Attempts that could be confused
are further apart: the second waits until the first is reconciled.
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
    """The movements of `GET /sim/transfers`, each with the transfer that caused it: the one whose
    reply named it, else the last one signed before with that direction and amount.
    """
    events = list(_events(entries))
    owner_by_reply = {
        event.tran_id: event.transfer_id
        for event in events
        if isinstance(event, TransferCompleted) and event.evidence is Evidence.REPLY
    }
    replied = set(owner_by_reply.values())
    attempts = [each for each in _attempts(events) if each.transfer_id not in replied]
    movements = []
    for row in rows:
        tran_id = str(row["tranId"])
        owner = owner_by_reply.get(tran_id) or _sender(row, attempts)
        movements.append(ExecutedMovement(tran_id, owner, Decimal(row["amount"])))
    return movements


def unexplained_movements(
    entries: Iterable[LedgerEntry], movements: Iterable[ExecutedMovement]
) -> list[str]:
    """Once everything is decided: movements without a request, or not claimed by their sender."""
    claims = {
        event.tran_id: event.transfer_id
        for event in _events(entries)
        if isinstance(event, MovementClaimed)
    }
    return [
        f"I1 {movement.tran_id} was caused by {movement.transfer_id or 'no transfer'}, but is "
        f"claimed by {claims.get(movement.tran_id, 'no transfer')}"
        for movement in movements
        if claims.get(movement.tran_id) != movement.transfer_id
    ]


def open_transfer_violations(entries: Iterable[LedgerEntry]) -> list[str]:
    """Transfers that are neither done nor failed (I13)."""
    state = fold_ledger(entries)
    return [f"I13 {name} is open" for name in (*state.queued, *state.unresolved)]


def status_by_transfer(entries: Iterable[LedgerEntry]) -> dict[str, str]:
    """REQUESTED (still open), REJECTED, DONE or FAILED by transfer id."""
    statuses: dict[str, str] = {}
    for event in _events(entries):
        match event:
            case TransferRequested():
                statuses[event.transfer_id] = "REQUESTED"
            case TransferRejected():
                statuses[event.transfer_id] = "REJECTED"
            case TransferCompleted() | TransferCorrected():
                statuses[event.transfer_id] = "DONE"
            case TransferFailed():
                statuses[event.transfer_id] = "FAILED"
            case _:
                pass
    return statuses


def fold_ledger(entries: Iterable[LedgerEntry]) -> OpenTransfers:
    state = OpenTransfers()
    for entry in entries:
        state.fold_commit(entry.commit)
    return state


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
                own = terms[name]
                yield _Attempt(
                    name, own.direction, own.amount, event.signed_at, event.recv_window_ms
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
