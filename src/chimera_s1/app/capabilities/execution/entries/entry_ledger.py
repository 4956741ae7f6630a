"""The entries of the execution ledger: read them, and store what follows from no order."""

from functools import partial

from chimera_s1.app.capabilities.execution.entries.timeline import TimelineRow, read_timeline
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.ledger.engine import Decision
from chimera_s1.domain.errors import LedgerTooNewError
from chimera_s1.domain.execution.entries.entry import Entry, EntryOrders, evolve_entry
from chimera_s1.domain.execution.entries.events import EntryAccepted, EntryEvent
from chimera_s1.domain.execution.event_records import decode_event, entry_stream
from chimera_s1.domain.ledger.event_data import UnknownEvent


class EntryLedger:
    def __init__(self, ledger: ExecutionLedger) -> None:
        self._ledger = ledger
        self._book = ledger.state.entries

    async def find(self, entry_id: str) -> Entry | None:
        """The entry as known here; read from its stream if it has left memory.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It cannot be read.
        """
        entry = self._book.entries.get(entry_id)
        if entry is not None or not self._book.forgotten:
            return entry
        stream = entry_stream(entry_id)
        for ledger_entry in await self._ledger.engine.read_stream(stream):
            for record in ledger_entry.commit.events:
                if record.stream != stream:
                    continue
                event = decode_event(record)
                if isinstance(event, UnknownEvent):
                    raise LedgerTooNewError(
                        f"{stream} has {event.type} version {event.v}, which this version does not "
                        "know; run the newer chimera-s1"
                    )
                assert isinstance(event, EntryEvent)
                entry = evolve_entry(entry, event)
        return entry

    async def record(self, event: EntryEvent, seen: Entry, actor: str) -> bool:
        """Store *event*, which was decided on *seen*; False where the entry has changed since.

        Raises:
            AppendUncertainError: It may be stored: decide again.
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Nothing is stored.
        """
        assert not isinstance(event, EntryAccepted), "stored with the intent of the entry order"
        return await self._ledger.engine.execute(partial(self._decide, event, seen), actor)

    def orders_of(self, entry_id: str) -> EntryOrders:
        """Of an entry in memory."""
        orders = self._ledger.state.orders
        names = self._book.orders_of(entry_id)
        return EntryOrders.of(orders[name] for name in names if name in orders)

    async def timeline(self, entry_id: str) -> tuple[TimelineRow, ...]:
        """See `read_timeline`."""
        return await read_timeline(self._ledger.engine, self._book, entry_id)

    async def _decide(self, event: EntryEvent, seen: Entry) -> Decision[bool]:
        if await self.find(event.entry_id) != seen:
            return Decision(False)  # noqa: FBT003 (the result)
        return self._ledger.decision(True, (event,), event.entry_id)  # noqa: FBT003
