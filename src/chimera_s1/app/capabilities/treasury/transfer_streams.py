"""Transfers from their streams in a ledger."""

from collections.abc import Iterable

from chimera_s1.domain.errors import LedgerDamagedError, LedgerTooNewError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.treasury.event_records import (
    UnknownEvent,
    cap_stream,
    decode_event,
    transfer_stream,
)
from chimera_s1.domain.treasury.events import TransferEvent, TreasuryEvent
from chimera_s1.domain.treasury.transfer import Transfer, evolve


def apply_events(transfer: Transfer | None, events: Iterable[TreasuryEvent]) -> Transfer:
    """*transfer* after *events*, of which some may be about other things."""
    for event in events:
        if isinstance(event, TransferEvent):
            transfer = evolve(transfer, event)
    assert transfer is not None  # every decision about a transfer begins or continues it
    return transfer


def fold_entry(
    transfer: Transfer | None, entry: LedgerEntry, transfer_id: TransferId
) -> Transfer | None:
    """*transfer* after what *entry* says about it.

    Raises:
        LedgerTooNewError: It begins with what only a newer program understands.
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


def verify_entries(entries: tuple[LedgerEntry, ...]) -> tuple[LedgerEntry, ...]:
    """*entries*.

    Raises:
        LedgerDamagedError: One of them is not what was written.
    """
    for entry in entries:
        if entry.content_hash != entry.commit.hash:
            raise LedgerDamagedError(f"commit {entry.commit.seq} was changed after it was written")
    return entries


def too_new_message(event: UnknownEvent) -> str:
    """That *event* cannot be built upon, and what to do."""
    return (
        f"{event.stream} holds {event.type} version {event.v}, written by a newer chimera-s1; "
        "start that one again"
    )


def streams_of(transfer: Transfer) -> tuple[str, str]:
    """Where everything about *transfer* is written: its own stream and its day's."""
    return transfer_stream(transfer.transfer_id), cap_stream(transfer.day)
