"""The relay of the execution ledger to `orders:executed`."""

from collections.abc import Awaitable, Callable
from typing import Final

from chimera_s1.app.capabilities.execution.executed_orders import (
    corrected_fill_entry,
    fill_entry,
    has_entry,
    order_entries,
)
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.domain.errors import LedgerDamagedError, LedgerTooNewError
from chimera_s1.domain.execution.event_records import decode_event
from chimera_s1.domain.execution.events import FillAttributed, FillRecorded, OrderEvent
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.ledger.commit import Commit, RecordedEvent
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.order_events import OrderEvents

RELAY_CURSOR: Final = "orders:executed"
RELAY_BACKOFF: Final = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=0)


class ExecutionSink:
    """Implements `ledger.relay.RelaySink`. An event of a newer version is left to the newer
    service, which relays it again from its own start.
    """

    stream: Final = "orders:executed"

    def __init__(self, ledger: ExecutionLedger, events: OrderEvents) -> None:
        self._ledger = ledger
        self._events = events

    async def write(self, commit: Commit, record: RecordedEvent) -> str:
        event = decode_event(record)
        if isinstance(event, UnknownEvent) or not has_entry(event):
            return ""
        if isinstance(event, FillRecorded):
            return await self._events.publish(fill_entry(event, record.id))
        if isinstance(event, FillAttributed):
            return await self._write_attributed(event, commit, record)
        assert isinstance(event, OrderEvent)
        return await self._write_order(event, commit, record)

    async def contains(self, entry_id: str) -> bool:
        return await self._events.contains(entry_id)

    async def _write_order(self, event: OrderEvent, commit: Commit, record: RecordedEvent) -> str:
        order = await self._find(event.client_id, commit)
        entry_id = ""
        if order is not None:
            for entry in order_entries(event, order, record.id, commit.at):
                entry_id = await self._events.publish(entry)
        return entry_id

    async def _write_attributed(
        self, event: FillAttributed, commit: Commit, record: RecordedEvent
    ) -> str:
        """The trade again, as one of ours: else the order's readers would wait for it for ever."""
        order = await self._find(event.client_id, commit)
        if order is None:
            return ""
        for entry in await self._ledger.engine.read_stream(record.stream):
            for earlier in entry.commit.events:
                if earlier.stream == record.stream:
                    recorded = decode_event(earlier)
                    if isinstance(recorded, FillRecorded):
                        corrected = corrected_fill_entry(recorded, earlier.id, order, record.id)
                        return await self._events.publish(corrected)
        raise LedgerDamagedError(f"commit {commit.seq}: {record.stream} was never recorded")

    async def _find(self, client_id: str, commit: Commit) -> TrackedOrder | None:
        """As it is now; None where only a newer version understands it."""
        if self._ledger.head.seq < commit.seq:
            await self._ledger.engine.catch_up()
        try:
            order = await self._ledger.find(client_id)
        except LedgerTooNewError:
            return None
        if order is None:
            raise LedgerDamagedError(f"commit {commit.seq}: order {client_id} has no plan")
        return order


def build_execution_relay(
    ledger: ExecutionLedger,
    cursors: CursorStore,
    events: OrderEvents,
    *,
    clock: Clock,
    is_mine: Callable[[], Awaitable[bool]],
) -> LedgerRelay:
    """Instances share the ledger; *is_mine* chooses the one that relays."""
    return LedgerRelay(
        ledger.engine.store,
        cursors,
        ExecutionSink(ledger, events),
        ledger.engine,
        cursor_name=RELAY_CURSOR,
        clock=clock,
        retries=RELAY_BACKOFF,
        is_mine=is_mine,
    )
