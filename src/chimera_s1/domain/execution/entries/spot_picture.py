"""The picture of a spot entry, and its alarm."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from chimera_s1.domain.execution.entries.attempts import is_not_placed, is_unresolved
from chimera_s1.domain.execution.entries.events import EntryStatus, GuardLeg
from chimera_s1.domain.execution.entries.pictures import Picture, is_alarmed
from chimera_s1.domain.execution.entries.spot_guard import blind_since_ms
from chimera_s1.domain.execution.entries.spot_holding import (
    SpotHolding,
    exposed_since_ms,
    is_exiting,
    may_still_trade,
)
from chimera_s1.domain.execution.entries.spot_lists import (
    stop_leg,
    take_profit_leg,
    unprotected_since_ms,
)
from chimera_s1.domain.execution.entries.steps import Situation
from chimera_s1.domain.execution.order_request import SpotOco
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.money import exact_text

_ZERO: Final = Decimal(0)


def spot_picture(situation: Situation, holding: SpotHolding) -> Picture:
    status, message = _status(situation, holding)
    order = situation.orders.entry
    return Picture(
        status=status,
        filled_qty=holding.filled,
        avg_price=None if order is None else order.avg_price,
        protected_qty=holding.covered,
        closed_qty=holding.closed,
        dust=holding.dust,
        message=message,
    )


def exposure_since_ms(situation: Situation, holding: SpotHolding) -> int | None:
    """Since when a quantity is without protection; None where there is none, or it is not ours."""
    if not holding.exposed or _is_disarmed(situation):
        return None
    triggered = situation.entry.triggered
    if triggered is not None:
        return triggered.at_ms
    if situation.entry.guard is not None and not is_exiting(situation):
        return None if situation.prices is not None else blind_since_ms(situation)
    ended_ms = unprotected_since_ms(situation.orders.lists)
    return max(exposed_since_ms(situation, holding.exposed), ended_ms)


def exposure_cause(situation: Situation) -> str:
    """Why something is exposed, in words that stay the same from one attempt to the next."""
    orders, is_exit = situation.orders, is_exiting(situation)
    if situation.entry.guard is not None and not is_exit:
        return "no price to watch"
    what = "exit order" if is_exit else "order list"
    newest = _newest_result(orders.exits if is_exit else orders.lists)
    if newest is None:
        return f"no {what} placed"
    refusal = f": {newest.refusal.value}" if newest.refusal is not None else ""
    return f"{what} {newest.phase.value}{refusal}"


def _newest_result(attempts: Sequence[TrackedOrder]) -> TrackedOrder | None:
    """The newest one of which more is known than that it was about to be sent."""
    known = (order for order in reversed(attempts) if order.phase is not OrderPhase.PLANNED)
    return next(known, None)


def _is_disarmed(situation: Situation) -> bool:
    cancel = situation.entry.cancel
    return cancel is not None and cancel.disarm


def _status(situation: Situation, holding: SpotHolding) -> tuple[EntryStatus, str]:
    order = situation.orders.entry
    if order is None or (order.is_open and not holding.filled):
        return EntryStatus.NEW, ""
    if not holding.filled:
        return _unfilled(order)
    if order.is_open or may_still_trade(situation.orders):
        return _open_status(situation, holding)
    if _is_disarmed(situation) and holding.held:
        return EntryStatus.CANCELED, f"{exact_text(holding.held)} left without exit, as requested"
    if holding.exposed:
        return _exposed_status(situation, holding)
    return _ended_status(situation, holding)


def _unfilled(order: TrackedOrder) -> tuple[EntryStatus, str]:
    if order.phase is OrderPhase.CLOSED and order.cancel_requested_ms:
        return EntryStatus.CANCELED, ""
    why = order.message or f"the market order is {order.status or order.phase}"
    return EntryStatus.REJECTED, why


def _open_status(situation: Situation, holding: SpotHolding) -> tuple[EntryStatus, str]:
    if holding.exposed:
        return _exposed_status(situation, holding)
    if holding.covered:
        return EntryStatus.ARMED, ""
    lists = any(order.is_open for order in situation.orders.lists)
    return (EntryStatus.ARMED, "an order list is left over") if lists else (EntryStatus.FILLED, "")


def _exposed_status(situation: Situation, holding: SpotHolding) -> tuple[EntryStatus, str]:
    since_ms, entry = exposure_since_ms(situation, holding), situation.entry
    if since_ms is not None and is_alarmed(entry, since_ms):
        return EntryStatus.UNPROTECTED, exposure_cause(situation)
    if entry.triggered is not None:
        return EntryStatus.GUARD, f"exit at market: {_leg_text(entry.triggered.leg)} reached"
    if is_exiting(situation):
        return EntryStatus.UNPROTECTED, "the stop has fired and not filled; exit at market"
    if entry.guard is not None:
        return EntryStatus.GUARD, entry.guard.cause
    return _unarmed_status(situation, holding)


def _unarmed_status(situation: Situation, holding: SpotHolding) -> tuple[EntryStatus, str]:
    newest = _newest_result(situation.orders.lists)
    if newest is not None and (is_not_placed(newest) or is_unresolved(newest)):
        return EntryStatus.UNPROTECTED, exposure_cause(situation)
    if holding.covered:
        return EntryStatus.ARMED, f"{exact_text(holding.exposed)} not covered yet"
    return EntryStatus.FILLED, ""


def _ended_status(situation: Situation, holding: SpotHolding) -> tuple[EntryStatus, str]:
    if holding.closed > holding.filled:
        surplus = exact_text(holding.closed - holding.filled)
        return EntryStatus.FAILED, f"{surplus} more was closed than filled"
    if not holding.closed:
        return EntryStatus.FAILED, "the filled quantity is too little for any exit order"
    by_leg = _closed_by_leg(situation)
    profit, stop = by_leg[GuardLeg.TAKE_PROFIT], by_leg[GuardLeg.STOP]
    status = EntryStatus.TP_FILLED if profit >= stop else EntryStatus.SL_FILLED
    if not profit or not stop:
        return status, ""
    return status, f"{exact_text(profit)} by take profit, {exact_text(stop)} by stop"


def _closed_by_leg(situation: Situation) -> dict[GuardLeg, Decimal]:
    closed = {GuardLeg.TAKE_PROFIT: _ZERO, GuardLeg.STOP: _ZERO}
    for order in situation.orders.lists:
        if isinstance(order.request, SpotOco):
            profit, stop = take_profit_leg(order), stop_leg(order)
            closed[GuardLeg.TAKE_PROFIT] += _ZERO if profit is None else profit.filled_qty
            closed[GuardLeg.STOP] += _ZERO if stop is None else stop.filled_qty
    triggered = situation.entry.triggered
    leg = GuardLeg.STOP if triggered is None else triggered.leg
    closed[leg] += sum((order.filled_qty for order in situation.orders.exits), _ZERO)
    return closed


def _leg_text(leg: GuardLeg) -> str:
    return leg.value.replace("_", " ")
