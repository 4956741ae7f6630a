"""Fold transfers from the events of their streams."""

from collections.abc import Iterable

from chimera_s1.domain.errors import LedgerTooNewError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.treasury.event_records import (
    cap_stream,
    decode_event,
    transfer_stream,
)
from chimera_s1.domain.treasury.events import TransferEvent, TreasuryEvent
from chimera_s1.domain.treasury.transfer import Transfer, evolve


def apply_events(transfer: Transfer | None, events: Iterable[TreasuryEvent]) -> Transfer:
    """*transfer* after *events*; those about other things are skipped."""
    for event in events:
        if isinstance(event, TransferEvent):
            transfer = evolve(transfer, event)
    assert transfer is not None  # a decision's events create the transfer or continue it
    return transfer


def fold_entry(
    transfer: Transfer | None, entry: LedgerEntry, transfer_id: TransferId
) -> Transfer | None:
    """*transfer* after the events of its stream in *entry*.

    Raises:
        LedgerTooNewError: Its first event is of a newer version.
    """
    for record in entry.commit.events:
        if record.stream != transfer_stream(transfer_id):
            continue
        event = decode_event(record)
        if transfer is None and isinstance(event, UnknownEvent):
            raise LedgerTooNewError(too_new_message(event))
        if isinstance(event, TransferEvent):
            transfer = evolve(transfer, event)
    return transfer


def too_new_message(event: UnknownEvent) -> str:
    return (
        f"{event.stream} has {event.type} version {event.v}, which this version does not know; "
        "run the newer chimera-s1"
    )


def streams_of(transfer: Transfer) -> tuple[str, str]:
    """Its own stream, and that of the day whose cap it counts against."""
    return transfer_stream(transfer.transfer_id), cap_stream(transfer.day)
