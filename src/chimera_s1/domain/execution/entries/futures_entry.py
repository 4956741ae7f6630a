"""What a futures entry does next: a stop for whatever fills, and a close where no stop can stand.

The decision is made anew from the facts each time; nothing is remembered between two of them.
"""

from decimal import Decimal
from typing import Final

from chimera_s1.domain.execution.entries.attempts import (
    RETRY_MAX_MS,
    cancel,
    has_failed,
    is_awaited,
    is_live,
    is_refused,
    is_unresolved,
    look_up_unresolved,
    market_chunks,
    next_order_id,
    retry_ms,
)
from chimera_s1.domain.execution.entries.events import ENDED, EntryReduced
from chimera_s1.domain.execution.entries.futures_holding import (
    ended_unfilled,
    has_fired,
    holding_of,
    is_leaving,
    open_qty,
    reduced_by_others,
)
from chimera_s1.domain.execution.entries.futures_picture import futures_picture
from chimera_s1.domain.execution.entries.order_ids import OrderRole
from chimera_s1.domain.execution.entries.pictures import ALARM_MS, record_alarm, record_picture
from chimera_s1.domain.execution.entries.plan import Plan
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec, OnUnprotected, exit_side
from chimera_s1.domain.execution.entries.steps import NextSteps, Place, Record, Situation
from chimera_s1.domain.execution.events import CancelCause, RefusalReason
from chimera_s1.domain.execution.order_request import (
    Limit,
    Market,
    PerpAlgoOrder,
    PerpBody,
    PerpOrder,
    Side,
    Stop,
    TimeInForce,
)
from chimera_s1.domain.execution.order_rules_check import check_order
from chimera_s1.domain.execution.price_bands import price_band
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.instruments.order_grid import Rounding
from chimera_s1.domain.instruments.order_rules import order_rules

GATHER_MS: Final = 250
"""Later fills are gathered so long for one stop; the first fill is protected at once."""

SHRINK_RETRY_MS: Final = 60_000
"""A smaller stop in place of one that is too large is not urgent: both can only reduce."""

POSITION_SETTLED_MS: Final = 15_000
"""A trade of a stop may be reported so long before it is known whose it is: working orders are
queried every 5 s, and a query may be late.
"""


def decide_futures(situation: Situation) -> NextSteps:
    plan = Plan(situation.now_ms)
    entry_order = situation.orders.entry
    spec = situation.entry.spec
    assert isinstance(spec, FuturesEntrySpec)
    if entry_order is None:
        plan.wait_for("the entry order in the ledger")  # it is stored in one commit with the entry
        return plan.next_steps()
    decision = _Decision(situation, spec, entry_order, plan)
    decision.run()
    return plan.next_steps()


class _Decision:
    def __init__(
        self,
        situation: Situation,
        spec: FuturesEntrySpec,
        entry_order: TrackedOrder,
        plan: Plan,
    ) -> None:
        self._situation = situation
        self._entry = situation.entry
        self._spec = spec
        self._entry_order = entry_order
        self._stops = situation.orders.stops
        self._closes = situation.orders.closes
        self._plan = plan
        self._holding = holding_of(entry_order, situation)
        self._is_disarmed = (
            situation.entry.cancel is not None
            and situation.entry.cancel.disarm
            and not entry_order.is_open
        )

    def run(self) -> None:
        reduction = self._reduction()
        if self._is_disarmed:
            self._disarm()
        elif not reduction:
            self._protect()
        self._end_entry_order()
        look_up_unresolved(
            (self._entry_order, *self._stops, *self._closes), self._situation, self._plan
        )
        if self._holding.exposed and not self._is_disarmed:
            self._alarm()
        elif self._holding.firing:
            self._alarm_unfilled_stop()
        elif self._holding.armed and not self._entry_order.is_open:
            self._plan.wait_for("the stop")
        if reduction:
            event = EntryReduced(
                entry_id=self._entry.entry_id, at_ms=self._situation.now_ms, qty=reduction
            )
            self._plan.add(Record(event=event))
        record_picture(
            self._entry,
            futures_picture(self._entry_order, self._holding, self._situation),
            self._plan,
        )

    def _reduction(self) -> Decimal:
        """What others have closed since the last decision; 0 while that is not certain."""
        reduction = reduced_by_others(self._entry_order, self._situation)
        if not reduction:
            return reduction
        own = (*self._stops, *self._closes)
        uncertain = any(
            is_unresolved(order) or (is_live(order) and has_fired(order)) for order in own
        )
        settled_ms = self._situation.position_since_ms + POSITION_SETTLED_MS
        if uncertain or not self._plan.is_due(settled_ms, "the account's position"):
            return Decimal(0)
        return reduction

    def _end_entry_order(self) -> None:
        order = self._entry_order
        if order.phase is OrderPhase.UNKNOWN or order.phase is OrderPhase.PLANNED:
            self._plan.wait_for("what became of the limit order")
        if not is_live(order):
            return
        if order.cancel_requested_ms or self._entry.cancel is not None or self._is_given_up():
            cancel(order, CancelCause.REQUESTED, self._situation, self._plan)
            return
        deadline_ms = (order.acknowledged_ms or order.signed_at_ms) + self._spec.timeout_ms
        if self._plan.is_due(deadline_ms, "the limit order"):
            cancel(order, CancelCause.TIMEOUT, self._situation, self._plan)

    def _is_given_up(self) -> bool:
        """What the limit order would still fill is not wanted any more."""
        if self._entry.status in ENDED:
            return True  # it was reported as ended, and has turned up after all
        return any(has_fired(stop) for stop in self._stops) or self._must_close()

    def _disarm(self) -> None:
        for stop in self._stops:
            if is_live(stop) and not has_fired(stop):
                cancel(stop, CancelCause.REQUESTED, self._situation, self._plan)

    def _protect(self) -> None:
        if self._must_close():
            self._close()
        elif stop_qty := self._missing_stop_qty():
            self._place_stop(stop_qty)
        self._cancel_surplus_stops()

    def _must_close(self) -> bool:
        """No stop can stand. Never while one may stand after all."""
        if not self._holding.exposed or any(is_unresolved(stop) for stop in self._stops):
            return False
        if not market_chunks(self._holding.exposed, self._situation.instrument):
            return False
        if any(ended_unfilled(stop) for stop in self._stops):
            return True
        if self._spec.on_unprotected is OnUnprotected.ALARM:
            return False
        return self._no_stop_is_legal() or self._stops_have_failed()

    def _stops_have_failed(self) -> bool:
        if not self._stops:
            return False
        newest = self._stops[-1]
        if is_refused(newest) and newest.signed_at_ms >= self._holding.since_ms:
            return True
        return self._is_overdue() and has_failed(newest) and self._is_recent(newest)

    def _is_overdue(self) -> bool:
        return self._situation.now_ms >= self._holding.since_ms + ALARM_MS

    def _is_recent(self, stop: TrackedOrder) -> bool:
        """After a restart or a rate limit the first request is a stop, not a close."""
        signed_ms = stop.signed_at_ms
        return (
            signed_ms >= self._holding.since_ms + ALARM_MS - RETRY_MAX_MS
            and signed_ms >= self._situation.held_until_ms
            and signed_ms >= self._situation.now_ms - 2 * ALARM_MS
        )

    def _missing_stop_qty(self) -> Decimal:
        """Of the stop that is placed next; 0 if none is needed. What it makes superfluous is
        cancelled after its acknowledgement.
        """
        holding = self._holding
        rules = (
            None if self._situation.instrument is None else order_rules(self._situation.instrument)
        )
        largest = None if rules is None else rules.market.quantities.maximum
        least = Decimal(0) if rules is None else rules.market.quantities.minimum or Decimal(0)
        if holding.exposed:
            if largest is None or holding.needed <= largest:
                return max(holding.needed, least)
            full = sum((open_qty(s) for s in holding.armed if open_qty(s) >= largest), Decimal(0))
            return max(min(holding.needed - full, largest), least)
        excess = holding.armed_qty - holding.needed
        if not holding.needed or not excess or self._surplus_stops():
            return Decimal(0)
        return max(open_qty(holding.armed[0]) - excess, least)

    def _place_stop(self, qty: Decimal) -> None:
        client_id = next_order_id(self._entry.entry_id, OrderRole.STOP, self._stops)
        if not self._may_place(client_id, self._stops, "the next attempt to place a stop"):
            return
        if not self._plan.is_due(self._wanted_ms(), "more fills for one stop"):
            return
        self._plan.add(Place(request=self._stop(client_id, qty)))

    def _stop(self, client_id: str, qty: Decimal) -> PerpAlgoOrder:
        side, instrument = exit_side(self._spec.side), self._situation.instrument
        trigger = self._spec.stop_price
        if instrument is not None:
            # The tick may have changed since the entry was accepted: rather earlier than later.
            rounding = Rounding.UP if side is Side.SELL else Rounding.DOWN
            trigger = order_rules(instrument).prices.snap(trigger, rounding)
        return PerpAlgoOrder(
            client_id=client_id,
            symbol=self._spec.symbol,
            side=side,
            scope=self._spec.closing_scope,
            working_type=self._spec.working_type,
            body=Stop(qty=qty, trigger=trigger),
        )

    def _no_stop_is_legal(self) -> bool:
        """The rules of the instrument have changed since the entry was accepted."""
        instrument, qty = self._situation.instrument, self._missing_stop_qty()
        if instrument is None or not qty:
            return False
        client_id = next_order_id(self._entry.entry_id, OrderRole.STOP, self._stops)
        return bool(check_order(self._stop(client_id, qty), instrument, None))

    def _wanted_ms(self) -> int:
        """When the stop is placed, if nothing is in its way."""
        holding = self._holding
        if not holding.exposed:
            newest = self._stops[-1]
            return newest.signed_at_ms + SHRINK_RETRY_MS if has_failed(newest) else 0
        if not holding.armed or not self._entry_order.is_open:
            return 0
        return holding.since_ms + GATHER_MS

    def _may_place(self, client_id: str, attempts: tuple[TrackedOrder, ...], what: str) -> bool:
        """One protective order at a time, and none while one may be on its way."""
        pending = [
            order for order in (*self._stops, *self._closes) if is_awaited(order, self._situation)
        ]
        # A close of unknown outcome is awaited until it is certain: a second one could close what
        # others hold.
        pending += [order for order in self._closes if is_live(order) or is_unresolved(order)]
        if pending or client_id in self._situation.busy:
            self._plan.wait_for("the exchange's reply to a protective order")
            return False
        due_ms = max(retry_ms(attempts), self._situation.held_until_ms)
        if self._is_close_blocked():
            due_ms = max(due_ms, self._stops[-1].signed_at_ms + ALARM_MS)
        return self._plan.is_due(due_ms, what)

    def _is_close_blocked(self) -> bool:
        """The time for a close has come, and an unresolved stop forbids it. More attempts wait, or
        there would always be an unresolved one.
        """
        return (
            self._spec.on_unprotected is OnUnprotected.CLOSE
            and bool(self._holding.exposed)
            and self._is_overdue()
            and any(is_unresolved(stop) for stop in self._stops)
            and self._is_recent(self._stops[-1])
        )

    def _surplus_stops(self) -> list[TrackedOrder]:
        """Stops without which the rest still covers what has to be covered, oldest first."""
        covering, surplus = self._holding.armed_qty, []
        for stop in self._holding.armed:
            if covering - open_qty(stop) >= self._holding.needed:
                covering -= open_qty(stop)
                surplus.append(stop)
        return surplus

    def _cancel_surplus_stops(self) -> None:
        surplus = self._surplus_stops()
        if not self._holding.exposed:
            # A cancel without effect is repeated, unless the stop is needed again meanwhile.
            surplus += [stop for stop in self._stops if is_leaving(stop)]
        for stop in surplus:
            cancel(stop, CancelCause.REQUESTED, self._situation, self._plan)

    def _close(self) -> None:
        client_id = next_order_id(self._entry.entry_id, OrderRole.CLOSE, self._closes)
        if not self._may_place(client_id, self._closes, "the next attempt to close"):
            return
        qty = market_chunks(self._holding.exposed, self._situation.instrument)[0]
        request = PerpOrder(
            client_id=client_id,
            symbol=self._spec.symbol,
            side=exit_side(self._spec.side),
            scope=self._spec.closing_scope,
            body=self._close_body(qty),
        )
        self._plan.add(Place(request=request))

    def _close_body(self, qty: Decimal) -> PerpBody:
        """A limit order at the edge of the price band where a market order leaves that band."""
        price = self._edge_of_band() if self._closes and _left_band(self._closes[-1]) else None
        if price is None:
            return Market(qty=qty)
        return Limit(qty=qty, price=price, time_in_force=TimeInForce.IOC)

    def _edge_of_band(self) -> Decimal | None:
        instrument, prices = self._situation.instrument, self._situation.prices
        if instrument is None or prices is None:
            return None
        side = exit_side(self._spec.side)
        band = price_band(instrument, side, prices.reference)
        edge = band.low if side is Side.SELL else band.high
        if edge is None:  # the price that the band is measured by is not known
            edge = prices.bid if side is Side.SELL else prices.ask
        rounding = Rounding.UP if side is Side.SELL else Rounding.DOWN
        return order_rules(instrument).prices.snap(edge, rounding)

    def _alarm(self) -> None:
        holding, situation = self._holding, self._situation
        # A rate limit that outlasts the 10 s is known to end in an alarm.
        is_held = situation.held_until_ms > max(holding.since_ms + ALARM_MS, situation.now_ms)
        cause = self._stops[-1].message if self._stops else ""
        record_alarm(
            self._entry,
            holding.exposed,
            holding.since_ms,
            cause or "no stop has been acknowledged",
            self._plan,
            at_once=is_held,
        )

    def _alarm_unfilled_stop(self) -> None:
        """A stop that was triggered protects only while it fills."""
        fired = (stop for stop in self._stops if is_live(stop) and has_fired(stop))
        since_ms = min(stop.at_ms for stop in fired)
        cause = "a triggered stop does not fill"
        record_alarm(self._entry, self._holding.firing, since_ms, cause, self._plan)


def _left_band(order: TrackedOrder) -> bool:
    """A market order that the price filter has refused or ended, or a limit order in its place."""
    if order.phase is OrderPhase.CLOSED:
        return open_qty(order) > 0
    assert isinstance(order.request, PerpOrder)
    is_market = isinstance(order.request.body, Market)
    return is_market and order.refusal is RefusalReason.RULE
