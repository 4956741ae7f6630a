"""What an event of a spot entry, or of its order list, says to the readers of `spot:oco:armed`."""

from decimal import Decimal
from typing import Final

from chimera_s1.app.capabilities.execution.executed_orders import OURS
from chimera_s1.domain.execution.entries.entry import Entry
from chimera_s1.domain.execution.entries.events import EntryChanged, EntryGuarded, EntryStatus
from chimera_s1.domain.execution.entries.specs import SpotEntrySpec
from chimera_s1.domain.execution.events import OrderEnding, OrderUpdated
from chimera_s1.domain.execution.order_request import SpotOco
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.ports.order_events import OcoChanged, OcoState

_ZERO: Final = Decimal(0)
_ENDS: Final = {
    EntryStatus.TP_FILLED: OcoState.TP_FILLED,
    EntryStatus.SL_FILLED: OcoState.SL_FILLED,
    EntryStatus.CANCELED: OcoState.CANCELED,
    EntryStatus.FAILED: OcoState.FAILED,
}
_CLOSED: Final = frozenset({OcoState.TP_FILLED, OcoState.SL_FILLED})


def armed(event: OrderUpdated, before: TrackedOrder, event_id: str) -> OcoChanged | None:
    """Of the acknowledgement of a list; *before* is the list without *event*."""
    request = before.request
    if not isinstance(request, SpotOco) or not event.acknowledges:
        return None
    if event.ends is OrderEnding.REJECTED:
        return None
    return OcoChanged(
        at_ms=event.at_ms,
        source=OURS,
        entry_id=before.entry_id,
        symbol=request.symbol,
        state=OcoState.ARMED,
        order_list_id=event.exchange_id,
        tp_price=request.take_profit.price,
        sl_trigger_price=request.stop.trigger,
        qty=request.qty,
        event_id=event_id,
    )


def state_after(event: EntryGuarded | EntryChanged, before: Entry) -> OcoState | None:
    """None where *event* says nothing new of the exit of a spot entry."""
    if not isinstance(before.spec, SpotEntrySpec):
        return None
    if isinstance(event, EntryGuarded):
        return OcoState.GUARD
    return _ENDS.get(event.status) if event.status is not before.status else None


def entry_change(
    event: EntryGuarded | EntryChanged,
    before: Entry,
    state: OcoState,
    *,
    reported_qty: Decimal,
    order_list_id: str,
    event_id: str,
) -> OcoChanged:
    """*before* is the entry without *event*; *reported_qty* is what the exchange has reported as
    filled of its market order.
    """
    spec = before.spec
    assert isinstance(spec, SpotEntrySpec), before.entry_id
    return OcoChanged(
        at_ms=event.at_ms,
        source=OURS,
        entry_id=before.entry_id,
        symbol=spec.symbol,
        state=state,
        order_list_id=order_list_id,
        tp_price=spec.tp_price,
        sl_trigger_price=spec.sl_trigger_price,
        qty=_guarded(before, reported_qty)
        if isinstance(event, EntryGuarded)
        else _ended(event, state),
        event_id=event_id,
    )


def _guarded(entry: Entry, reported_qty: Decimal) -> Decimal:
    """The picture may not have the fill yet."""
    picture = entry.picture
    if picture is None:
        return reported_qty
    filled = max(picture.filled_qty, reported_qty)
    return filled - picture.closed_qty - picture.dust


def _ended(event: EntryChanged, state: OcoState) -> Decimal:
    return event.closed_qty if state in _CLOSED else event.filled_qty - event.closed_qty
