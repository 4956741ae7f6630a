"""The picture of a futures entry that callers get."""

from decimal import Decimal
from typing import Final

from chimera_s1.domain.execution.entries.attempts import (
    failures,
    is_live,
    is_not_placed,
    is_unresolved,
)
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.execution.entries.futures_holding import (
    Holding,
    ended_unfilled,
    filled_qty,
)
from chimera_s1.domain.execution.entries.pictures import ALARM_MS, Picture, is_alarmed
from chimera_s1.domain.execution.entries.steps import Situation
from chimera_s1.domain.execution.events import OrderEnding
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder

_ZERO: Final = Decimal(0)
_Said = tuple[EntryStatus, str]


def futures_picture(entry_order: TrackedOrder, holding: Holding, situation: Situation) -> Picture:
    status, message = _status(entry_order, holding, situation)
    return Picture(
        status=status,
        filled_qty=holding.filled,
        avg_price=entry_order.avg_price,
        protected_qty=holding.protected,
        closed_qty=min(holding.closed + holding.reduced, holding.filled),
        dust=holding.dust,
        message=message,
    )


def _status(entry_order: TrackedOrder, holding: Holding, situation: Situation) -> _Said:
    if not holding.filled:
        return _unfilled(entry_order)
    nothing_held = holding.held == holding.dust
    disarmed = situation.entry.cancel is not None and situation.entry.cancel.disarm
    if not entry_order.is_open and (nothing_held or disarmed):
        return _ended(holding, situation)
    if not holding.exposed:
        is_open = entry_order.is_open
        return EntryStatus.PARTIALLY_FILLED if is_open else EntryStatus.PROTECTED, ""
    if cause := _unprotected_cause(holding, situation):
        return EntryStatus.UNPROTECTED, cause
    return EntryStatus.PARTIALLY_FILLED, "a stop is being placed"


def _ended(holding: Holding, situation: Situation) -> _Said:
    """Nothing is held any more, or the caller has taken over what is."""
    orders = (*situation.orders.stops, *situation.orders.closes)
    if any(is_live(order) or is_unresolved(order) for order in orders):
        return EntryStatus.PROTECTED, "ending: its other orders are being cancelled"
    if holding.held == holding.dust:
        return _closed(holding, situation)
    return EntryStatus.CANCELED, "disarmed"


def _unfilled(order: TrackedOrder) -> _Said:
    if is_unresolved(order):
        return EntryStatus.NEW, ""
    if is_live(order):
        return EntryStatus.WORKING, ""
    if is_not_placed(order):
        return EntryStatus.REJECTED, _not_placed_cause(order)
    return _ended_unfilled(order)


def _ended_unfilled(order: TrackedOrder) -> _Said:
    match order.ending:
        case OrderEnding.TIMEOUT:
            return EntryStatus.TIMEOUT, ""
        case OrderEnding.REJECTED:
            return EntryStatus.REJECTED, order.message or "post_only"
        case OrderEnding.FILLED:
            return EntryStatus.FAILED, "the exchange calls the order filled, without a quantity"
        case OrderEnding.CANCELED | OrderEnding.EXPIRED | None:
            return EntryStatus.CANCELED, order.message


def _not_placed_cause(order: TrackedOrder) -> str:
    if order.phase is OrderPhase.ABSENT:
        return "the exchange does not know the order"
    reason = order.phase.value if order.refusal is None else order.refusal.value
    return f"{reason}: {order.message}" if order.message else reason


def _closed(holding: Holding, situation: Situation) -> _Said:
    if holding.closed > holding.filled:
        return EntryStatus.FAILED, "more was closed than had been filled"
    if filled_qty(situation.orders.closes):
        return EntryStatus.CLOSED, f"closed: {_no_stop_cause(situation.orders.stops)}"
    if holding.reduced:
        return EntryStatus.CLOSED, "closed_elsewhere"
    return EntryStatus.CLOSED, "stop_filled"


def _unprotected_cause(holding: Holding, situation: Situation) -> str:
    """Empty while the first attempt is under way."""
    stops = situation.orders.stops
    is_late = situation.now_ms >= holding.since_ms + ALARM_MS
    if is_late or is_alarmed(situation.entry, holding.since_ms):
        return _no_stop_cause(stops)
    known = [stop for stop in stops if not is_unresolved(stop)]
    if any(ended_unfilled(stop) for stop in stops) or (known and failures(known)):
        return _no_stop_cause(stops)
    return ""


def _no_stop_cause(stops: tuple[TrackedOrder, ...]) -> str:
    if any(ended_unfilled(stop) for stop in stops):
        return "the stop was triggered, and not filled"
    refused = [stop for stop in stops if stop.phase is OrderPhase.REFUSED]
    if refused:
        return _not_placed_cause(refused[-1])
    return "no stop has been acknowledged"
