"""The entries of the execution ledger, and which orders and trades belong to them.

Open entries stay in memory. Of ended ones only the newest do; an event of one that has left memory
is in its stream.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from chimera_s1.domain.execution.entries.entry import Entry, evolve_entry
from chimera_s1.domain.execution.entries.events import EntryAccepted, EntryEvent
from chimera_s1.domain.execution.reports import FillReport

ENDED_ENTRIES_MAX: Final = 2_000
DAY_MS: Final = 86_400_000
DAYS_KEPT: Final = 2


class EntryBook:
    """Part of the ledger's fold.

    Attributes:
        entries: By entry id.
        forgotten: So many ended entries have left memory since the start.
    """

    def __init__(self, *, ended_max: int = ENDED_ENTRIES_MAX) -> None:
        self.entries: dict[str, Entry] = {}
        self.forgotten = 0
        self._accepted_usdt: dict[int, Decimal] = {}
        self._ended_max = ended_max
        self._ended: dict[str, None] = {}
        self._orders: dict[str, dict[str, None]] = {}
        self._fills: dict[str, list[FillReport]] = {}
        self._touched: dict[str, None] = {}

    def apply(self, event: EntryEvent) -> None:
        """Raises:
        LedgerDamagedError: *event* contradicts earlier ones.
        """
        known = self.entries.get(event.entry_id)
        if known is None and not isinstance(event, EntryAccepted) and self.forgotten:
            return  # it has left memory
        if isinstance(event, EntryAccepted):
            self._count(event)
        entry = evolve_entry(known, event)
        self.entries[entry.entry_id] = entry
        self._touched[entry.entry_id] = None
        self._file(entry)

    def add_order(self, entry_id: str, client_id: str) -> None:
        """An order of the entry was planned, or something new is known of it."""
        self._orders.setdefault(entry_id, {})[client_id] = None
        self._touched[entry_id] = None

    def add_fill(self, entry_id: str, client_id: str, fill: FillReport) -> None:
        self._fills.setdefault(client_id, []).append(fill)
        self._touched[entry_id] = None

    def is_open(self, entry_id: str) -> bool:
        entry = self.entries.get(entry_id)
        return entry is not None and entry.is_open

    def open_entries(self) -> Iterator[Entry]:
        return (entry for entry in self.entries.values() if entry.is_open)

    def accepted_usdt(self, at_ms: int) -> Decimal:
        """Notional of all entries that were accepted on the UTC day of *at_ms*, however they ended;
        0 for days before the last three.
        """
        return self._accepted_usdt.get(at_ms // DAY_MS, Decimal(0))

    def orders_of(self, entry_id: str) -> tuple[str, ...]:
        """Client ids, in the order in which they were planned."""
        return tuple(self._orders.get(entry_id, ()))

    def fills_of(self, client_id: str) -> tuple[FillReport, ...]:
        """Trades of an order of an entry as first reported, in the order of their time."""
        return tuple(sorted(self._fills.get(client_id, ()), key=lambda fill: fill.at_ms))

    def take_touched(self) -> tuple[str, ...]:
        """The entries of which something changed since the last call."""
        touched = tuple(self._touched)
        self._touched.clear()
        return touched

    def _count(self, event: EntryAccepted) -> None:
        day = event.at_ms // DAY_MS
        self._accepted_usdt[day] = self._accepted_usdt.get(day, Decimal(0)) + event.notional_usdt
        for old in [each for each in self._accepted_usdt if each < day - DAYS_KEPT]:
            del self._accepted_usdt[old]

    def _file(self, entry: Entry) -> None:
        self._ended.pop(entry.entry_id, None)
        if entry.is_open:
            return
        self._ended[entry.entry_id] = None
        while len(self._ended) > self._ended_max:
            self._forget(next(iter(self._ended)))

    def _forget(self, entry_id: str) -> None:
        del self._ended[entry_id]
        del self.entries[entry_id]
        for client_id in self._orders.pop(entry_id, ()):
            self._fills.pop(client_id, None)
        self._touched.pop(entry_id, None)
        self.forgotten += 1
