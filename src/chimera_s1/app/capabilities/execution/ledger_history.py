"""Orders and entries as they were when an event was stored.

A relay writes entries again. What it says must not depend on what has become known since.
"""

from collections.abc import Iterator
from itertools import count

from msgspec import Struct

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.domain.errors import LedgerTooNewError
from chimera_s1.domain.execution.entries.entry import Entry, evolve_entry
from chimera_s1.domain.execution.entries.events import EntryEvent
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.event_records import decode_event, entry_stream, order_stream
from chimera_s1.domain.execution.events import ExecutionEvent, OrderEvent
from chimera_s1.domain.execution.tracked_order import TrackedOrder, evolve
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.event_data import UnknownEvent


class Moment(Struct, frozen=True, order=True):
    """Of an event: its commit, and its index there."""

    seq: int
    n: int


class LedgerHistory:
    """Every call raises:

    StoreUnavailableError, LedgerDamagedError: The ledger cannot be read.
    LedgerTooNewError: Only a newer version understands it.
    """

    def __init__(self, ledger: ExecutionLedger) -> None:
        self._ledger = ledger
        self._engine = ledger.engine

    async def order_before(self, client_id: str, moment: Moment) -> TrackedOrder | None:
        """By its own events: trades are not counted. None if it was not planned yet."""
        stream, order = order_stream(client_id), None
        for event in _events_before(await self._engine.read_stream(stream), stream, moment):
            assert isinstance(event, OrderEvent)
            order = evolve(order, event)
        return order

    async def entry_before(self, entry_id: str, moment: Moment) -> Entry | None:
        stream, entry = entry_stream(entry_id), None
        for event in _events_before(await self._engine.read_stream(stream), stream, moment):
            assert isinstance(event, EntryEvent)
            entry = evolve_entry(entry, event)
        return entry

    async def acknowledged_before(
        self, entry_id: str, role: OrderRole, moment: Moment, *, first: int = 1
    ) -> list[TrackedOrder]:
        """Orders of one role, from the number *first* on, that the exchange had acknowledged."""
        if self._ledger.head.seq < moment.seq:
            await self._engine.catch_up()
        found: list[TrackedOrder] = []
        for number in count(first):
            client_id = order_id(entry_id, role, number)
            known = self._ledger.state.orders.get(client_id)
            if known is not None and not known.exchange_id:
                continue  # nor was it then: an entry may have made thousands of attempts
            order = await self.order_before(client_id, moment)
            if order is None and known is None:
                break  # the numbers of a role have no gaps
            if order is not None and order.exchange_id:
                found.append(order)
        return found


def _events_before(
    entries: tuple[LedgerEntry, ...], stream: str, moment: Moment
) -> Iterator[ExecutionEvent]:
    for entry in entries:
        for record in entry.commit.events:
            if record.stream != stream or Moment(entry.commit.seq, record.n) >= moment:
                continue
            event = decode_event(record)
            if isinstance(event, UnknownEvent):
                raise LedgerTooNewError(
                    f"{stream} has {event.type} version {event.v}, which this version does not "
                    "know; run the newer chimera-s1"
                )
            yield event
