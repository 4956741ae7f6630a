"""List transfers as the ledger tells them, the newest first.

The ledger is read from its end, so that what is asked for most costs least; each transfer is
folded from its own stream.
"""

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.transfer_timeline import events_of
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Entry
from chimera_s1.domain.ledger.sequence import missing
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.treasury.event_records import (
    TRANSFER_STREAM,
    UnknownEvent,
    transfer_stream,
)
from chimera_s1.domain.treasury.events import TransferEvent, TransferRejected, TransferRequested
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus, evolve

READ_AT_ONCE = 256


class ListedTransfer(Struct, frozen=True):
    """A transfer now.

    Attributes:
        actor: Who asked for it.

        newer: A newer program has written a part of its life, which does not show here.
    """

    transfer: Transfer
    actor: str
    newer: bool


async def newest_transfers(
    store: EventStore, limit: int, status: TransferStatus | None = None
) -> tuple[ListedTransfer, ...]:
    """At most *limit* transfers, by their place in the ledger, descending.

    Args:
        store: The ledger.

        limit: At least 1.

        status: Only those that are there now; None for all.

    Raises:
        LedgerDamagedError: A commit on the way was changed, or is gone.

        StoreUnavailableError: Call again.
    """
    found: list[ListedTransfer] = []
    end = (await store.head()).seq
    while end > 0 and len(found) < limit:
        start = max(0, end - READ_AT_ONCE)
        for entry in reversed(await _between(store, start, end)):
            found += await _begun_in(store, entry, status)
        end = start
    return tuple(found[:limit])


async def read_life(store: EventStore, transfer_id: TransferId) -> tuple[Entry, ...]:
    """Every commit that tells of *transfer_id*; empty where there is no such transfer."""
    return await store.read_stream(transfer_stream(transfer_id))


async def _between(store: EventStore, after: int, last: int) -> tuple[Entry, ...]:
    entries: tuple[Entry, ...] = ()
    while len(entries) < last - after:
        more = await store.read(after + len(entries), last - after - len(entries))
        if not more:
            raise missing(store.ledger, after + len(entries) + 1, last)
        entries += more
    return entries


async def _begun_in(
    store: EventStore, entry: Entry, status: TransferStatus | None
) -> list[ListedTransfer]:
    begun = [e for e in events_of(entry) if isinstance(e, TransferRequested | TransferRejected)]
    listed = [await _listed(store, event.transfer_id, entry.commit.actor) for event in begun]
    return [each for each in listed if status in {None, each.transfer.status}]


async def _listed(store: EventStore, transfer_id: TransferId, actor: str) -> ListedTransfer:
    transfer: Transfer | None = None
    newer = False
    own = TRANSFER_STREAM + transfer_id
    for entry in await read_life(store, transfer_id):
        for event in events_of(entry):
            newer = newer or (isinstance(event, UnknownEvent) and event.stream == own)
            if isinstance(event, TransferEvent) and event.transfer_id == transfer_id:
                transfer = evolve(transfer, event)
    if transfer is None:
        raise LedgerDamagedError(f"the stream of transfer {transfer_id} does not lead to it")
    return ListedTransfer(transfer, actor, newer)
