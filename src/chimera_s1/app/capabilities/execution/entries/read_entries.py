"""Read entries."""

from collections.abc import Callable, Iterator

from chimera_s1.app.capabilities.execution.entries.accept_entries import EntryPicture, picture_of
from chimera_s1.app.capabilities.execution.entries.entry_ledger import EntryLedger
from chimera_s1.app.capabilities.execution.entries.situations import BuildSituation
from chimera_s1.app.capabilities.execution.entries.timeline import TimelineRow
from chimera_s1.domain.errors import ChimeraError, LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.execution.entries.book import EntryBook
from chimera_s1.domain.execution.entries.entry import Entry, EntryOrders
from chimera_s1.domain.execution.entries.events import ENDED, EntryStatus
from chimera_s1.domain.execution.entries.specs import EntrySpec
from chimera_s1.domain.identifiers import Symbol, Venue


class EntryNotFoundError(ChimeraError):
    """No entry of this venue has the key."""

    code = "entry.not_found"


class ReadEntries:
    """Args:
    now_ms: The exchange's clock where it is known, epoch ms.
    """

    def __init__(
        self,
        book: EntryBook,
        entries: EntryLedger,
        build: BuildSituation,
        now_ms: Callable[[EntrySpec], int],
    ) -> None:
        self._book = book
        self._entries = entries
        self._build = build
        self._now_ms = now_ms

    async def get(self, entry_id: str, venue: Venue) -> EntryPicture:
        """Raises:
        EntryNotFoundError: There is none.
        StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It cannot be read.
        """
        entry = await self._entries.find(entry_id)
        if entry is None or entry.spec.instrument.venue is not venue:
            raise EntryNotFoundError(f"no {venue.value} entry has the key {entry_id}")
        return self.picture(entry)

    async def timeline(self, entry_id: str) -> tuple[TimelineRow, ...] | None:
        """What has happened to a known entry; None where the store cannot be read now: the state of
        an entry, which is in memory, must not depend on that.
        """
        try:
            return await self._entries.timeline(entry_id)
        except (StoreUnavailableError, LedgerDamagedError):
            return None

    def picture(self, entry: Entry) -> EntryPicture:
        if entry.entry_id not in self._book.entries:
            # Its orders may have left memory, too: what was stored last stands.
            return EntryPicture(entry=entry, orders=EntryOrders(), picture=entry.picture)
        return picture_of(self._build.of(entry, self._now_ms(entry.spec)))

    def newest(
        self,
        venue: Venue,
        *,
        symbol: Symbol | None = None,
        status: EntryStatus | None = None,
        open_only: bool = False,
    ) -> Iterator[EntryPicture]:
        """Entries in memory, the newest first: every open one, and the newest that have ended."""
        for entry in reversed(tuple(self._book.entries.values())):
            spec = entry.spec
            if spec.instrument.venue is not venue or symbol not in {None, spec.symbol}:
                continue
            now = self.picture(entry)
            shown = EntryStatus.NEW if now.picture is None else now.picture.status
            if status not in {None, shown} or (open_only and shown in ENDED):
                continue
            yield now
