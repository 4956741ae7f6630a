"""Cancel an entry: what is not filled always, its protection only when that is asked for."""

from collections.abc import Callable
from typing import Final

from chimera_s1.app.capabilities.execution.entries.accept_entries import EntryPicture
from chimera_s1.app.capabilities.execution.entries.entry_ledger import EntryLedger
from chimera_s1.app.capabilities.execution.entries.read_entries import ReadEntries
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.execution.entries.entry import Entry
from chimera_s1.domain.execution.entries.events import EntryCancelRequested
from chimera_s1.domain.execution.entries.specs import EntrySpec
from chimera_s1.domain.identifiers import Venue

CONFLICTS_MAX: Final = 10


class CancelEntries:
    """No mode, switch or limit blocks a cancel: this class does not know them. The request is
    stored; the instance that drives the entries carries it out.
    """

    def __init__(
        self, entries: EntryLedger, read: ReadEntries, now_ms: Callable[[EntrySpec], int]
    ) -> None:
        self._entries = entries
        self._read = read
        self._now_ms = now_ms

    async def cancel(
        self, entry_id: str, venue: Venue, *, disarm: bool, actor: str
    ) -> EntryPicture:
        """The entry with the request stored; unchanged if it has ended, or was asked so before.

        Raises:
            EntryNotFoundError: There is none.
            AppendUncertainError, StoreUnavailableError, LedgerDamagedError, LedgerTooNewError:
                Send the same request again.
        """
        for _ in range(CONFLICTS_MAX):
            now = await self._read.get(entry_id, venue)
            entry = now.entry
            if not entry.is_open or _is_asked(entry, disarm=disarm):
                return now
            event = EntryCancelRequested(
                entry_id=entry_id, at_ms=self._now_ms(entry.spec), disarm=disarm, actor=actor
            )
            if await self._entries.record(event, entry, actor):
                return await self._read.get(entry_id, venue)
        raise StoreUnavailableError(
            f"entry {entry_id} has changed {CONFLICTS_MAX} times meanwhile; try again"
        )


def _is_asked(entry: Entry, *, disarm: bool) -> bool:
    return entry.cancel is not None and (entry.cancel.disarm or not disarm)
