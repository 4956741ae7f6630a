"""The relay of the execution ledger to `orders:executed`, `risk:sl_arm` and `spot:oco:armed`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from chimera_s1.app.capabilities.execution.executed_orders import (
    corrected_fill_entry,
    fill_entry,
    has_entry,
    order_entries,
)
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.ledger_history import LedgerHistory
from chimera_s1.app.capabilities.execution.protection_changes import ProtectionChanges
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.domain.errors import LedgerDamagedError, LedgerTooNewError
from chimera_s1.domain.execution.event_records import decode_event
from chimera_s1.domain.execution.events import (
    ExecutionEvent,
    FillAttributed,
    FillRecorded,
    OrderEvent,
)
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.ledger.commit import Commit, RecordedEvent
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.ledger.relayed_entry import RelayedEntry
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.order_events import ExecutedOrder, OrderEvents

RELAY_CURSOR: Final = "orders:executed"
"""Of all three streams: they are written together."""

RELAY_BACKOFF: Final = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=0)


class ExecutionSink:
    """Implements `ledger.relay.RelaySink`. An event of a newer version is left to the newer
    service, which relays it again from its own start.
    """

    def __init__(self, ledger: ExecutionLedger, events: OrderEvents) -> None:
        self._ledger = ledger
        self._events = events
        self._protection = ProtectionChanges(LedgerHistory(ledger))

    async def write(self, commit: Commit, record: RecordedEvent) -> Sequence[RelayedEntry]:
        event = decode_event(record)
        if isinstance(event, UnknownEvent):
            return ()
        executed = await self._executed(event, commit, record)
        changes = await self._protection.of(event, commit, record)
        return [await self._events.publish(each) for each in (*executed, *changes)]

    async def contains(self, entry: RelayedEntry) -> bool:
        return await self._events.contains(entry)

    async def _executed(
        self, event: ExecutionEvent, commit: Commit, record: RecordedEvent
    ) -> Sequence[ExecutedOrder]:
        if not has_entry(event):
            return ()
        if isinstance(event, FillRecorded):
            return (fill_entry(event, record.id),)
        if isinstance(event, FillAttributed):
            return await self._attributed(event, commit, record)
        assert isinstance(event, OrderEvent)
        order = await self._find(event.client_id, commit)
        return () if order is None else tuple(order_entries(event, order, record.id, commit.at))

    async def _attributed(
        self, event: FillAttributed, commit: Commit, record: RecordedEvent
    ) -> Sequence[ExecutedOrder]:
        """The trade again, as one of ours: else the order's readers would wait for it for ever."""
        order = await self._find(event.client_id, commit)
        if order is None:
            return ()
        for entry in await self._ledger.engine.read_stream(record.stream):
            for earlier in entry.commit.events:
                if earlier.stream == record.stream:
                    recorded = decode_event(earlier)
                    if isinstance(recorded, FillRecorded):
                        return (corrected_fill_entry(recorded, earlier.id, order, record.id),)
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
