"""What a futures entry holds, what protects it, and since when the rest has no protection."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.execution.entries.attempts import is_live, market_dust
from chimera_s1.domain.execution.entries.pictures import ALARM_MS
from chimera_s1.domain.execution.entries.steps import Situation
from chimera_s1.domain.execution.order_request import PerpAlgoOrder, PerpOrder
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder

_ZERO: Final = Decimal(0)
_FIRED: Final = frozenset({"TRIGGERING", "TRIGGERED", "FINISHED"})


class Holding(Struct, frozen=True, kw_only=True):
    """Attributes:
    closed: By the entry's stops and closes.
    reduced: By others.
    dust: Held, but too little for any order.
    firing: The open rest of stops that have been triggered.
    needed: What stops that wait for their trigger have to cover.
    armed: Those stops, oldest first.
    since_ms: When the first trade without protection took place, or its stop was lost.
    """

    filled: Decimal
    closed: Decimal
    reduced: Decimal
    dust: Decimal
    firing: Decimal
    needed: Decimal
    armed: tuple[TrackedOrder, ...]
    since_ms: int = 0

    @property
    def held(self) -> Decimal:
        return max(self.filled - self.closed - self.reduced, _ZERO)

    @property
    def armed_qty(self) -> Decimal:
        return sum((open_qty(stop) for stop in self.armed), _ZERO)

    @property
    def exposed(self) -> Decimal:
        return max(self.needed - self.armed_qty, _ZERO)

    @property
    def protected(self) -> Decimal:
        return self.held - self.dust - self.exposed


def holding_of(entry_order: TrackedOrder, situation: Situation) -> Holding:
    orders = situation.orders
    filled, reduced = entry_order.filled_qty, situation.entry.reduced_qty
    closed = filled_qty((*orders.stops, *orders.closes))
    held = max(filled - closed - reduced, _ZERO)
    dust = market_dust(held, situation.instrument)
    fired = [stop for stop in orders.stops if is_live(stop) and has_fired(stop)]
    firing = min(sum((open_qty(stop) for stop in fired), _ZERO), held - dust)
    holding = Holding(
        filled=filled,
        closed=closed,
        reduced=reduced,
        dust=dust,
        firing=firing,
        needed=held - dust - firing,
        armed=tuple(stop for stop in orders.stops if _is_armed(stop)),
    )
    if not holding.exposed:
        return holding
    since_ms = max(
        _first_exposed_ms(entry_order, filled - holding.exposed, situation),
        _protection_lost_ms(orders.stops),
    )
    return replace(holding, since_ms=since_ms)


def reduced_by_others(entry_order: TrackedOrder, situation: Situation) -> Decimal:
    """What the position lacks of what this entry's trades make it. Only trades are compared: the
    position is made of them, while an order may be reported filled before its trades are.
    """
    if situation.position_qty is None:
        return _ZERO
    orders = situation.orders
    closed = sum((order.fills.qty for order in (*orders.stops, *orders.closes)), _ZERO)
    expected = entry_order.fills.qty - closed - situation.entry.reduced_qty
    return max(expected - situation.position_qty, _ZERO)


def filled_qty(orders: Iterable[TrackedOrder]) -> Decimal:
    return sum((order.filled_qty for order in orders), _ZERO)


def order_qty(order: TrackedOrder) -> Decimal:
    request = order.request
    assert isinstance(request, PerpOrder | PerpAlgoOrder)
    return request.body.qty


def open_qty(order: TrackedOrder) -> Decimal:
    return order_qty(order) - order.filled_qty


def has_fired(stop: TrackedOrder) -> bool:
    """It was triggered: it can no longer be cancelled, and its child trades."""
    return stop.status in _FIRED or bool(stop.child_id or stop.children or stop.fills.count)


def ended_unfilled(stop: TrackedOrder) -> bool:
    """It was triggered, and its child ended with a rest: the price has passed the stop."""
    return stop.phase is OrderPhase.CLOSED and has_fired(stop) and open_qty(stop) > 0


def is_leaving(stop: TrackedOrder) -> bool:
    """Its cancel has been requested, and its end has not been seen."""
    return is_live(stop) and not has_fired(stop) and bool(stop.cancel_requested_ms)


def _is_armed(stop: TrackedOrder) -> bool:
    """One that is being cancelled protects no more: its end may be on its way."""
    return is_live(stop) and not has_fired(stop) and not stop.cancel_requested_ms


def _first_exposed_ms(entry_order: TrackedOrder, covered: Decimal, situation: Situation) -> int:
    """Trades are covered in the order of their time."""
    passed = _ZERO
    for fill in situation.fills:
        passed += fill.qty
        if passed > covered:
            return fill.at_ms
    return entry_order.at_ms or entry_order.signed_at_ms


def _protection_lost_ms(stops: Iterable[TrackedOrder]) -> int:
    """When a stop ended that had stood for long; 0 without one.

    A stop that ends soon after its acknowledgement starts no new time: an exchange that drops each
    stop at once would put off the alarm for ever.
    """
    return max((_end_ms(stop) for stop in stops if _is_lost(stop)), default=0)


def _is_lost(stop: TrackedOrder) -> bool:
    is_ended = stop.phase is OrderPhase.CLOSED and open_qty(stop) > 0
    return is_ended and _end_ms(stop) - stop.acknowledged_ms >= ALARM_MS


def _end_ms(stop: TrackedOrder) -> int:
    return max((stop.at_ms, *(child.at_ms for child in stop.children.values())))
