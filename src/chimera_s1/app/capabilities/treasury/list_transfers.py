"""List transfers from the ledger, newest first, without the projection.

Reads the ledger from its end and folds each transfer from its own stream.
"""

from msgspec import Struct

from chimera_s1.app.capabilities.ledger.newest_first import newest_first
from chimera_s1.app.capabilities.treasury.transfer_timeline import decode_events
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.treasury.event_records import (
    TRANSFER_STREAM_PREFIX,
    transfer_stream,
)
from chimera_s1.domain.treasury.events import TransferEvent, TransferRejected, TransferRequested
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus, evolve


class ListedTransfer(Struct, frozen=True):
    """*actor* requested it; *has_unknown_events* where events of a newer version are left out."""

    transfer: Transfer
    actor: str
    has_unknown_events: bool


async def list_newest_transfers(
    store: EventStore, limit: int, status: TransferStatus | None = None
) -> tuple[ListedTransfer, ...]:
    """At most *limit* transfers, which is at least 1, by sequence number, descending.

    Raises:
        LedgerDamagedError: A commit was changed or is missing.
        StoreUnavailableError: Call again.
    """
    found: list[ListedTransfer] = []
    async for entry in newest_first(store):
        found += await _requested_in(store, entry, status)
        if len(found) >= limit:
            break
    return tuple(found[:limit])


async def read_transfer_entries(
    store: EventStore, transfer_id: TransferId
) -> tuple[LedgerEntry, ...]:
    """Every commit with an event of the transfer; empty where the id was never used."""
    return await store.read_stream(transfer_stream(transfer_id))


async def _requested_in(
    store: EventStore, entry: LedgerEntry, status: TransferStatus | None
) -> list[ListedTransfer]:
    requested = [
        e for e in decode_events(entry) if isinstance(e, TransferRequested | TransferRejected)
    ]
    listed = [await _listed(store, event.transfer_id, entry.commit.actor) for event in requested]
    return [each for each in listed if status in {None, each.transfer.status}]


async def _listed(store: EventStore, transfer_id: TransferId, actor: str) -> ListedTransfer:
    transfer: Transfer | None = None
    has_unknown = False
    own = TRANSFER_STREAM_PREFIX + transfer_id
    for entry in await read_transfer_entries(store, transfer_id):
        for event in decode_events(entry):
            has_unknown = has_unknown or (isinstance(event, UnknownEvent) and event.stream == own)
            if isinstance(event, TransferEvent) and event.transfer_id == transfer_id:
                transfer = evolve(transfer, event)
    if transfer is None:
        raise LedgerDamagedError(f"the stream of transfer {transfer_id} has none of its events")
    return ListedTransfer(transfer, actor, has_unknown)
