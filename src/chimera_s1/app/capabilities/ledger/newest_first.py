"""Read a ledger from its end."""

from collections.abc import AsyncIterator

from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.sequence import missing_commit_error
from chimera_s1.domain.ports.event_store import EventStore

READ_BATCH_SIZE = 256


async def newest_first(store: EventStore) -> AsyncIterator[LedgerEntry]:
    """Every commit up to the head of now, by sequence number, descending.

    Raises:
        LedgerDamagedError: A commit is missing.
        StoreUnavailableError: Call again.
    """
    end = (await store.head()).seq
    while end > 0:
        start = max(0, end - READ_BATCH_SIZE)
        for entry in reversed(await _read_range(store, start, end)):
            yield entry
        end = start


async def _read_range(store: EventStore, after: int, last_seq: int) -> tuple[LedgerEntry, ...]:
    entries: tuple[LedgerEntry, ...] = ()
    while len(entries) < last_seq - after:
        more = await store.read(after + len(entries), last_seq - after - len(entries))
        if not more:
            raise missing_commit_error(store.ledger, after + len(entries) + 1, last_seq)
        entries += more
    return entries
