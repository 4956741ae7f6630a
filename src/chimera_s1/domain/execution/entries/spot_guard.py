"""The guard of a spot entry: this service watches the price where the exchange refuses the list."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, assert_never

from chimera_s1.domain.execution.entries.attempts import is_refused
from chimera_s1.domain.execution.entries.events import EntryGuarded, GuardLeg, GuardTriggered
from chimera_s1.domain.execution.entries.plan import Plan
from chimera_s1.domain.execution.entries.specs import SpotEntrySpec, exit_side
from chimera_s1.domain.execution.entries.spot_lists import was_rejected
from chimera_s1.domain.execution.entries.spot_requests import exit_quote
from chimera_s1.domain.execution.entries.steps import Record, Situation
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import Side
from chimera_s1.domain.execution.tracked_order import TrackedOrder

BALANCE_RETRIES: Final = 3
"""The balance may lag behind the fill, and less is asked for each time the commission is not known.
"""


def needs_guard(lists: Sequence[TrackedOrder], *, covered: bool) -> bool:
    """The exchange has refused the newest list for a reason that another attempt does not change.

    For want of balance, it is tried again where other lists are *covered*: they hold the balance.
    """
    if not is_refused(lists[-1]):
        return was_rejected(lists[-1])
    refused = 0
    for order in reversed(lists):
        if order.refusal is not RefusalReason.BALANCE:
            break
        refused += 1
    return not refused or (refused > BALANCE_RETRIES and not covered)


def guard_after_refusal(
    refused: TrackedOrder, situation: Situation, spec: SpotEntrySpec, plan: Plan
) -> None:
    """Exit at once if the price has passed the stop or the take profit; else watch it."""
    leg = _leg_of_refusal(refused.refusal)
    if leg is None and situation.prices is not None:
        leg = reached_leg(spec, exit_quote(spec, situation.prices))
    if leg is None:
        start_guard(refused.message or "order list refused", situation, plan)
    else:
        _trigger(leg, situation, spec, plan)


def start_guard(cause: str, situation: Situation, plan: Plan) -> None:
    event = EntryGuarded(entry_id=situation.entry.entry_id, at_ms=plan.now_ms, cause=cause)
    plan.add(Record(event=event))


def watch_price(situation: Situation, spec: SpotEntrySpec, plan: Plan) -> None:
    if situation.prices is None:
        plan.wait_for("a price")
        return
    leg = reached_leg(spec, exit_quote(spec, situation.prices))
    if leg is None:
        plan.wait_for("the price to reach the take profit or the stop")
    else:
        _trigger(leg, situation, spec, plan)


def blind_since_ms(situation: Situation) -> int:
    """Since when the guard has had no price."""
    assert situation.entry.guard is not None
    return max(situation.entry.guard.at_ms, situation.blind_since_ms)


def reached_leg(spec: SpotEntrySpec, price: Decimal) -> GuardLeg | None:
    """The leg that *price* has reached or passed."""
    sells = exit_side(spec.side) is Side.SELL
    if price <= spec.sl_trigger_price if sells else price >= spec.sl_trigger_price:
        return GuardLeg.STOP
    if price >= spec.tp_price if sells else price <= spec.tp_price:
        return GuardLeg.TAKE_PROFIT
    return None


def _leg_of_refusal(refusal: RefusalReason | None) -> GuardLeg | None:
    """The leg that the exchange says the price has passed."""
    if refusal is RefusalReason.WOULD_TRIGGER:
        return GuardLeg.STOP
    return GuardLeg.TAKE_PROFIT if refusal is RefusalReason.POST_ONLY else None


def _trigger(leg: GuardLeg, situation: Situation, spec: SpotEntrySpec, plan: Plan) -> None:
    price = _price_of(leg, spec)
    if situation.prices is not None:
        price = exit_quote(spec, situation.prices)
    entry_id = situation.entry.entry_id
    event = GuardTriggered(entry_id=entry_id, at_ms=plan.now_ms, leg=leg, price=price)
    plan.add(Record(event=event))


def _price_of(leg: GuardLeg, spec: SpotEntrySpec) -> Decimal:
    match leg:
        case GuardLeg.TAKE_PROFIT:
            return spec.tp_price
        case GuardLeg.STOP:
            return spec.sl_trigger_price
        case _:
            assert_never(leg)
