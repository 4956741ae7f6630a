"""Report the health of entries. Reads memory only."""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from chimera_s1.app.capabilities.execution.entries.keep_lease import KeepLease
from chimera_s1.app.capabilities.execution.entries.read_entries import ReadEntries
from chimera_s1.app.capabilities.execution.entries.run_entries import RunEntries
from chimera_s1.domain.execution.entries.book import EntryBook
from chimera_s1.domain.execution.entries.entry_health import EntriesReport
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.identifiers import Venue

LOOKED_AT_MAX: Final = 500


class ReportEntries:
    """Whatever instance drives the entries, and whether their pictures can be stored or not."""

    def __init__(
        self,
        book: EntryBook,
        read: ReadEntries,
        run: RunEntries,
        leases: Mapping[Venue, KeepLease],
    ) -> None:
        self._book = book
        self._read = read
        self._run = run
        self._leases = leases

    def report(self) -> EntriesReport:
        entries = tuple(self._book.open_entries())
        pictures = (self._read.picture(entry) for entry in islice(entries, LOOKED_AT_MAX))
        lease_errors = (lease.last_error for lease in self._leases.values())
        return EntriesReport(
            working=len(entries),
            unprotected=tuple(
                now.entry.entry_id
                for now in pictures
                if now.picture is not None and now.picture.status is EntryStatus.UNPROTECTED
            ),
            drives=tuple(venue for venue, lease in self._leases.items() if lease.is_held()),
            lease_error=next(filter(None, lease_errors), ""),
            step_error=self._run.last_error(),
        )
