"""The relay of the execution ledger to `orders:executed`."""

from collections.abc import Awaitable, Callable
from typing import Final

from chimera_s1.app.capabilities.execution.executed_orders import (
    fill_entry,
    has_entry,
    order_entries,
)
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.domain.errors import LedgerDamagedError, LedgerTooNewError
from chimera_s1.domain.execution.event_records import decode_event
from chimera_s1.domain.execution.events import FillRecorded, OrderEvent
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
        assert isinstance(event, OrderEvent)
        return await self._write_order(event, commit, record)

    async def contains(self, entry_id: str) -> bool:
        return await self._events.contains(entry_id)

    async def _write_order(self, event: OrderEvent, commit: Commit, record: RecordedEvent) -> str:
        if self._ledger.head.seq < commit.seq:
            await self._ledger.engine.catch_up()
        try:
            order = await self._ledger.find(event.client_id)
        except LedgerTooNewError:
            return ""
        if order is None:
            raise LedgerDamagedError(f"commit {commit.seq}: order {event.client_id} has no plan")
        entry_id = ""
        for entry in order_entries(event, order, record.id, commit.at):
            entry_id = await self._events.publish(entry)
        return entry_id


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
