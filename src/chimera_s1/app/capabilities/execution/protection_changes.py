"""What an event of the execution ledger says of the protection of entries."""

from collections.abc import Sequence

from chimera_s1.app.capabilities.execution.ledger_history import LedgerHistory, Moment
from chimera_s1.app.capabilities.execution.oco_changes import armed, entry_change, state_after
from chimera_s1.app.capabilities.execution.stop_changes import (
    is_cancelled,
    is_stop_event,
    stop_changes,
)
from chimera_s1.domain.errors import LedgerDamagedError, LedgerTooNewError
from chimera_s1.domain.execution.entries.events import EntryChanged, EntryGuarded
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id, step_of
from chimera_s1.domain.execution.events import ExecutionEvent, OrderEvent, OrderUpdated
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.ledger.commit import Commit, RecordedEvent
from chimera_s1.domain.ports.order_events import OcoChanged, ProtectionChange, StopChanged


class ProtectionChanges:
    """Made of the ledger as it was at the event, so a repeated event says the same."""

    def __init__(self, history: LedgerHistory) -> None:
        self._history = history

    async def of(
        self, event: ExecutionEvent, commit: Commit, record: RecordedEvent
    ) -> Sequence[ProtectionChange]:
        """Raises:
        StoreUnavailableError, LedgerDamagedError: What they are made of cannot be read.
        """
        try:
            if isinstance(event, EntryGuarded | EntryChanged):
                return await self._of_entry(event, Moment(commit.seq, record.n), record.id)
            if isinstance(event, OrderEvent):
                return await self._of_order(event, commit, record)
        except LedgerTooNewError:
            pass  # the newer service relays it again
        return ()

    async def _of_order(
        self, event: OrderEvent, commit: Commit, record: RecordedEvent
    ) -> Sequence[ProtectionChange]:
        step = step_of(event.client_id)
        if step is None:
            return ()
        if step.role is OrderRole.STOP and is_stop_event(event):
            return await self._of_stop(event, step.number, commit, record)
        if step.role is OrderRole.OCO and isinstance(event, OrderUpdated) and event.acknowledges:
            order = await self._order(event.client_id, Moment(commit.seq, record.n))
            change = armed(event, order, record.id)
            return () if change is None else (change,)
        return ()

    async def _of_stop(
        self, event: OrderEvent, number: int, commit: Commit, record: RecordedEvent
    ) -> Sequence[StopChanged]:
        moment = Moment(commit.seq, record.n)
        stop = await self._order(event.client_id, moment)
        replaced = is_cancelled(event) and await self._newer_stands(stop, number, moment)
        changes = stop_changes(
            event, stop, replaced=replaced, event_id=record.id, recorded_ms=commit.at
        )
        return tuple(changes)

    async def _newer_stands(self, stop: TrackedOrder, number: int, moment: Moment) -> bool:
        newer = await self._history.acknowledged_before(
            stop.entry_id, OrderRole.STOP, moment, first=number + 1
        )
        return any(each.phase is OrderPhase.ACKNOWLEDGED for each in newer)

    async def _of_entry(
        self, event: EntryGuarded | EntryChanged, moment: Moment, event_id: str
    ) -> Sequence[OcoChanged]:
        entry_id = event.entry_id
        entry = await self._history.entry_before(entry_id, moment)
        if entry is None:
            raise LedgerDamagedError(f"entry {entry_id} was never accepted")
        state = state_after(event, entry)
        if state is None:
            return ()
        order = await self._order(order_id(entry_id, OrderRole.ENTRY), moment)
        lists = await self._history.acknowledged_before(entry_id, OrderRole.OCO, moment)
        change = entry_change(
            event,
            entry,
            state,
            reported_qty=order.reported_qty,
            order_list_id=lists[-1].exchange_id if lists else "",
            event_id=event_id,
        )
        return (change,)

    async def _order(self, client_id: str, moment: Moment) -> TrackedOrder:
        order = await self._history.order_before(client_id, moment)
        if order is None:
            raise LedgerDamagedError(f"order {client_id} has no plan")
        return order
