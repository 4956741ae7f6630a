"""Decide what a spot entry does next: arm an order list for what was filled, or exit at market.

The same situation gives the same steps; what an earlier decision has begun is in the orders.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Final

from chimera_s1.domain.execution.entries.attempts import (
    cancel,
    is_awaited,
    is_live,
    is_unresolved,
    look_up_unresolved,
    next_order_id,
    retry_ms,
)
from chimera_s1.domain.execution.entries.order_ids import OrderRole
from chimera_s1.domain.execution.entries.pictures import ALARM_MS, record_alarm, record_picture
from chimera_s1.domain.execution.entries.plan import Plan
from chimera_s1.domain.execution.entries.specs import SpotEntrySpec, exit_side
from chimera_s1.domain.execution.entries.spot_guard import (
    guard_after_refusal,
    needs_guard,
    start_guard,
    watch_price,
)
from chimera_s1.domain.execution.entries.spot_holding import (
    SpotHolding,
    commission_known_ms,
    end_quantities,
    filled_for_good_ms,
    is_exiting,
    spot_holding,
)
from chimera_s1.domain.execution.entries.spot_lists import (
    cancel_from_ms,
    surplus_lists,
)
from chimera_s1.domain.execution.entries.spot_picture import (
    exposure_cause,
    exposure_since_ms,
    spot_picture,
)
from chimera_s1.domain.execution.entries.spot_quantities import limit_quantities, quotient
from chimera_s1.domain.execution.entries.spot_requests import (
    exit_price,
    exit_quote,
    limit_exit,
    market_exit,
    oco_request,
    stop_limit,
)
from chimera_s1.domain.execution.entries.steps import NextSteps, Place, Situation
from chimera_s1.domain.execution.events import CancelCause, OrderEnding, RefusalReason
from chimera_s1.domain.execution.order_request import Market, Side, SpotOrder
from chimera_s1.domain.execution.order_rules_check import check_order
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.instruments.order_grid import EXACT_PRECISION

_ZERO: Final = Decimal(0)
_MARKET_MARGIN: Final = Decimal("1.005")
"""A purchase at market may cost so much more than the best ask says."""


def decide_spot(situation: Situation) -> NextSteps:
    spec = situation.entry.spec
    assert isinstance(spec, SpotEntrySpec), situation.entry.entry_id
    if situation.orders.entry is None:
        # It is stored in one commit with the entry, and leaves memory only with an ended one.
        return NextSteps(waiting_for="the entry order in the ledger")
    with localcontext(prec=EXACT_PRECISION):
        return _Decision(situation, spec).next_steps()


class _Decision:
    def __init__(self, situation: Situation, spec: SpotEntrySpec) -> None:
        self._situation = situation
        self._spec = spec
        self._plan = Plan(situation.now_ms)
        self._holding: SpotHolding = spot_holding(situation, spec)

    def next_steps(self) -> NextSteps:
        situation, orders = self._situation, self._situation.orders
        entry_orders = () if orders.entry is None else (orders.entry,)
        every = (*orders.lists, *orders.exits, *entry_orders)
        self._cancel_orders()
        if self._may_place():
            self._protect()
        look_up_unresolved(every, situation, self._plan)
        if orders.entry is not None and orders.entry.is_open:
            self._plan.wait_for("the market order")
        elif self._holding.covered and not self._holding.exposed:
            self._plan.wait_for("the take profit or the stop")
        self._alarm()
        record_picture(situation.entry, spot_picture(situation, self._holding), self._plan)
        return self._plan.next_steps()

    def _cancel_orders(self) -> None:
        situation = self._situation
        request, order = situation.entry.cancel, situation.orders.entry
        if request is not None and order is not None and is_live(order):
            cancel(order, CancelCause.REQUESTED, situation, self._plan)
        for listed, from_ms in self._lists_to_cancel():
            if self._plan.is_due(from_ms, "the rest of the take profit"):
                cancel(listed, CancelCause.REQUESTED, situation, self._plan)

    def _lists_to_cancel(self) -> Iterator[tuple[TrackedOrder, int]]:
        """And from when on, exchange epoch ms."""
        lists = tuple(filter(is_live, self._situation.orders.lists))
        surplus = surplus_lists(lists, self._holding.held, self._situation.now_ms)
        for order in lists:
            from_ms = cancel_from_ms(order)
            if self._is_disarmed() or order in surplus:
                yield order, 0
            elif from_ms is not None:
                yield order, from_ms

    def _may_place(self) -> bool:
        """Something is without protection, and it is known how much."""
        if self._is_disarmed() or not self._holding.exposed:
            return False
        filled_ms = filled_for_good_ms(self._situation, self._spec)
        known_ms = commission_known_ms(self._situation, self._spec)
        return self._plan.is_due(filled_ms, "the rest of the market order") and self._plan.is_due(
            known_ms, "the commission of the market order"
        )

    def _protect(self) -> None:
        situation, lists = self._situation, self._situation.orders.lists
        if is_exiting(situation):
            if self._is_clear():
                self._exit()
        elif situation.entry.guard is not None:
            watch_price(situation, self._spec, self._plan)
        elif lists and needs_guard(lists, covered=self._holding.covered > 0):
            guard_after_refusal(lists[-1], situation, self._spec, self._plan)
        elif self._is_clear():
            self._arm()

    def _is_clear(self) -> bool:
        """No other order can still end what the next one is for, apart from one order list that a
        lookup has missed. An exit at market cannot be taken back: it waits for that one too.
        """
        orders = self._situation.orders
        if any(self._lists_to_cancel()):
            self._plan.wait_for("the end of an order list")
            return False
        if any(order.is_open for order in orders.exits) or self._is_placing():
            self._plan.wait_for("the end of an order")
            return False
        unresolved = tuple(filter(is_unresolved, orders.lists))
        if any(is_awaited(order, self._situation) for order in unresolved):
            return False
        if len(unresolved) > (0 if is_exiting(self._situation) else 1):
            self._plan.wait_for("certainty about an order list that was not found")
            return False
        return True

    def _is_placing(self) -> bool:
        """The next order is under way, and not in the ledger yet."""
        entry_id, orders = self._situation.entry.entry_id, self._situation.orders
        next_ids = {
            next_order_id(entry_id, OrderRole.OCO, orders.lists),
            next_order_id(entry_id, OrderRole.EXIT, orders.exits),
        }
        return not next_ids.isdisjoint(self._situation.busy)

    def _arm(self) -> None:
        situation, spec, lists = self._situation, self._spec, self._situation.orders.lists
        limit = stop_limit(spec, situation.instrument, situation.prices)
        worst = max(limit or spec.sl_trigger_price, spec.sl_trigger_price)
        qty = self._next_qty(worst)
        if not qty or not self._is_next_due(lists, "order list"):
            return
        list_id = next_order_id(situation.entry.entry_id, OrderRole.OCO, lists)
        request = oco_request(spec, list_id, situation.entry.entry_id, qty, limit)
        instrument = situation.instrument
        violations = () if instrument is None else check_order(request, instrument, None)
        if violations:
            start_guard("; ".join(map(str, violations)), situation, self._plan)
        else:
            self._plan.add(Place(request=request))

    def _exit(self) -> None:
        situation, spec, exits = self._situation, self._spec, self._situation.orders.exits
        triggered, prices = situation.entry.triggered, situation.prices
        price = spec.sl_trigger_price if triggered is None else triggered.price
        if prices is not None:
            price = exit_quote(spec, prices)
        qty = self._next_qty(price * _MARKET_MARGIN)
        if not qty or not self._is_next_due(exits, "exit order"):
            return
        client_id = next_order_id(situation.entry.entry_id, OrderRole.EXIT, exits)
        request = market_exit(spec, client_id, qty)
        if prices is not None and exits and _market_failed(exits[-1]):
            limit = exit_price(spec, situation.instrument, prices)
            if legal := limit_quantities(limit, situation.instrument).of_one_order(qty):
                request = limit_exit(spec, client_id, legal, limit)
        self._plan.add(Place(request=request))

    def _is_next_due(self, attempts: Sequence[TrackedOrder], what: str) -> bool:
        due_ms = max(retry_ms(attempts), self._situation.held_until_ms)
        return self._plan.is_due(due_ms, f"the next {what}")

    def _next_qty(self, worst_price: Decimal) -> Decimal:
        """Of the next order; 0 where the quote balance does not pay for any."""
        qty, free = self._holding.exposed, self._situation.free_quote
        if exit_side(self._spec.side) is Side.BUY and free is not None:
            qty = min(qty, quotient(max(free, _ZERO), worst_price))
        qty = end_quantities(self._situation, self._spec).of_one_order(qty)
        if not qty:
            self._plan.wait_for("enough quote balance to buy back")
        return qty

    def _alarm(self) -> None:
        since_ms = exposure_since_ms(self._situation, self._holding)
        if since_ms is None:
            return
        situation, exposed = self._situation, self._holding.exposed
        cause = exposure_cause(situation)
        # A rate limit that outlasts the 10 s is known to end in an alarm.
        is_held = situation.held_until_ms > max(since_ms + ALARM_MS, situation.now_ms)
        record_alarm(situation.entry, exposed, since_ms, cause, self._plan, at_once=is_held)

    def _is_disarmed(self) -> bool:
        request = self._situation.entry.cancel
        return request is not None and request.disarm


def _market_failed(order: TrackedOrder) -> bool:
    """A market order has left something, which a limit order inside the price range may fill."""
    if not isinstance(order.request, SpotOrder) or not isinstance(order.request.body, Market):
        return False
    expired = order.ending in {OrderEnding.EXPIRED, OrderEnding.REJECTED}
    return expired or order.refusal is RefusalReason.RULE
