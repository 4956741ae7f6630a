"""Report the health of entries. Reads memory only."""

from chimera_s1.app.capabilities.execution.entries.keep_lease import KeepLease
from chimera_s1.app.capabilities.execution.entries.run_entries import RunEntries
from chimera_s1.domain.execution.entries.book import EntryBook
from chimera_s1.domain.execution.entries.entry_health import EntriesReport
from chimera_s1.domain.execution.entries.events import EntryStatus


class ReportEntries:
    def __init__(self, book: EntryBook, run: RunEntries, lease: KeepLease) -> None:
        self._book = book
        self._run = run
        self._lease = lease

    def report(self) -> EntriesReport:
        entries = tuple(self._book.open_entries())
        return EntriesReport(
            working=len(entries),
            unprotected=tuple(
                entry.entry_id for entry in entries if entry.status is EntryStatus.UNPROTECTED
            ),
            drives=self._lease.is_held(),
            lease_error=self._lease.last_error,
            step_error=self._run.last_error(),
        )
