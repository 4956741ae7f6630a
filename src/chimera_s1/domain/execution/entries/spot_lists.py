"""The order lists of a spot entry: what their legs have done, and whether they still protect."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from chimera_s1.domain.execution.entries.attempts import is_live
from chimera_s1.domain.execution.events import OrderEnding
from chimera_s1.domain.execution.order_request import SpotOco
from chimera_s1.domain.execution.tracked_order import ChildOrder, OrderPhase, TrackedOrder

TAKE_PROFIT_REST_MS: Final = 250
"""A take profit that has begun to fill ends the stop; the rest mostly fills at once."""

STOP_LIMIT_REST_MS: Final = 2_000
"""A triggered stop with a limit may rest in the book when the price has passed the limit."""

_ZERO: Final = Decimal(0)
_EXPIRED: Final = frozenset({"EXPIRED", "EXPIRED_IN_MATCH"})
_REJECTED: Final = "REJECTED"
_TRIGGERED: Final = "OCO_TRIGGER"
"""Expiry reason of a leg: the other one was triggered. Source: SPOT enums.md."""

_NOT_FIRED: Final = frozenset({_TRIGGERED, "EXCHANGE_CANCELED"})


def oco_of(order: TrackedOrder) -> SpotOco:
    assert isinstance(order.request, SpotOco), order.client_id
    return order.request


def take_profit_leg(order: TrackedOrder) -> ChildOrder | None:
    """None until the exchange has reported it."""
    return _leg(order, oco_of(order).take_profit.client_id)


def stop_leg(order: TrackedOrder) -> ChildOrder | None:
    """None until the exchange has reported it."""
    return _leg(order, oco_of(order).stop.client_id)


def rest_of(order: TrackedOrder) -> Decimal:
    return max(oco_of(order).qty - order.filled_qty, _ZERO)


def unprotected_from_ms(order: TrackedOrder) -> int | None:
    """Since when a live list has no stop that works; None while it has one."""
    take_profit, stop = take_profit_leg(order), stop_leg(order)
    if stop is not None and stop.is_closed:
        return stop.at_ms
    has_limit = oco_of(order).stop.limit is not None
    if has_limit and stop is not None and take_profit is not None and take_profit.is_closed:
        return take_profit.at_ms + STOP_LIMIT_REST_MS
    return None


def cancel_from_ms(order: TrackedOrder) -> int | None:
    """When the rest of a live list without a working stop is cancelled; None: it is not."""
    stop, from_ms = stop_leg(order), unprotected_from_ms(order)
    if from_ms is not None and stop is not None and stop.is_closed:
        return from_ms + TAKE_PROFIT_REST_MS
    return from_ms


def covered_by(order: TrackedOrder, now_ms: int) -> Decimal:
    """What a stop of the list still ends."""
    from_ms = unprotected_from_ms(order)
    covers = is_live(order) and (from_ms is None or now_ms < from_ms)
    return rest_of(order) if covers else _ZERO


def has_fired(order: TrackedOrder) -> bool:
    """The price has reached the stop, whether or not it has filled."""
    take_profit, stop = take_profit_leg(order), stop_leg(order)
    if stop is not None and stop.filled_qty:
        return True
    if take_profit is None or not take_profit.is_closed or take_profit.filled_qty:
        return False  # a take profit that fills ends the stop too
    if take_profit.reason == _TRIGGERED:
        return True
    is_expired = stop is not None and stop.status in _EXPIRED and stop.reason not in _NOT_FIRED
    return is_expired and take_profit.status in _EXPIRED


def was_rejected(order: TrackedOrder) -> bool:
    """The exchange accepted the list, and then it rejected the list or a leg that was not triggered
    yet.
    """
    if order.ending is OrderEnding.REJECTED:
        return True
    legs = (take_profit_leg(order), stop_leg(order))
    is_rejected = any(leg is not None and leg.status == _REJECTED for leg in legs)
    return is_rejected and not order.is_open and not order.filled_qty


def unprotected_since_ms(lists: Iterable[TrackedOrder]) -> int:
    """When the last of *lists* that were at the exchange has ended, or has lost its stop; 0 if none
    has.
    """
    return max((_end_ms(order) for order in lists), default=0)


def surplus_lists(
    lists: Iterable[TrackedOrder], held: Decimal, now_ms: int
) -> tuple[TrackedOrder, ...]:
    """Live lists that together with newer ones would end more than *held*."""
    kept, surplus = _ZERO, []
    for order in reversed([order for order in lists if covered_by(order, now_ms)]):
        if kept + rest_of(order) > held:
            surplus.append(order)
        else:
            kept += rest_of(order)
    return tuple(surplus)


def _leg(order: TrackedOrder, client_id: str) -> ChildOrder | None:
    ids = {leg.exchange_id for leg in order.legs if leg.client_id == client_id}
    for exchange_id, child in order.children.items():
        if exchange_id in ids or child.client_id == client_id:
            return child
    return None


def _end_ms(order: TrackedOrder) -> int:
    if order.phase is OrderPhase.CLOSED:
        return max(order.at_ms, *(child.at_ms for child in order.children.values()), 0)
    return (unprotected_from_ms(order) or 0) if is_live(order) else 0
