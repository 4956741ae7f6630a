"""Conditional orders: accepted, triggered, and bound to the order that each becomes."""

from collections.abc import Callable

import msgspec

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.matching.algo_rules import (
    CLOSE_TIME_IN_FORCE,
    OPEN_ALGOS_MAX,
    at_market,
    check_algo_filters,
    check_close_position,
    triggers,
)
from chimera_s1.adapters.simulator.matching.algo_store import AlgoStore
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.events import AlgoEvent
from chimera_s1.adapters.simulator.matching.matcher import Matcher
from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.perp_margin import MarginRules, mark_price
from chimera_s1.adapters.simulator.matching.perp_positions import PositionBook
from chimera_s1.adapters.simulator.matching.perp_rules import check_notional, closes_only
from chimera_s1.adapters.simulator.matching.records import ZERO, AlgoOrder, Order
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue


class AlgoOrders:
    def __init__(
        self,
        orders: OrderStore,
        matcher: Matcher,
        positions: PositionBook,
        margin: MarginRules,
        *,
        clock: ScaledClock,
        behaviour: CurrentBehaviour,
        emit: Callable[[AlgoEvent], None],
    ) -> None:
        self.store = AlgoStore(clock, orders)
        self._orders = orders
        self._matcher = matcher
        self._positions = positions
        self._margin = margin
        self._clock = clock
        self._behaviour = behaviour
        self._emit_now = emit
        self._delayed: list[AlgoEvent] | None = None

    def place(self, new: NewAlgoOrder, market: SymbolMarket, position_side: str) -> AlgoOrder:
        """Accept *new*, whose parameters are checked. Margin is checked when it triggers."""
        algo = self._new(new, position_side)
        check_algo_filters(market.spec, new)
        if len(self.store.open()) >= OPEN_ALGOS_MAX:
            raise BinanceError(-4045, "Reach max stop order limit.")
        if new.client_id and self.store.find_open(None, new.client_id) is not None:
            raise BinanceError(
                self._behaviour.value.duplicate_algo_code, "ClientOrderId is duplicated."
            )
        if algo.close_position:
            flat = not self._positions.reducible(algo.symbol, position_side, algo.side)
            check_close_position(new, self._open_of(algo.symbol, position_side), flat=flat)
        elif not closes_only(algo.side, position_side, reduce_only=algo.reduce_only):
            check_notional(market.spec, algo.qty, algo.price or algo.trigger)
        if self._is_triggered(algo, market):
            raise BinanceError(-2021, "Order would immediately trigger.")
        return self._record(algo)

    def cancel(self, algo: AlgoOrder) -> AlgoOrder:
        return self._record(msgspec.structs.replace(algo, status="CANCELED"))

    def fire_triggers(self, market: SymbolMarket) -> None:
        for waiting in self.store.open(market.spec.symbol):
            algo = self.store.current(waiting.algo_id)
            if algo is not None and algo.is_open and self._is_triggered(algo, market):
                self._fire(algo)

    def follow(self, child: Order) -> None:
        """The algo order of *child* shows what became of it, and is FINISHED when it ends."""
        algo = self.store.current(child.algo_id)
        if algo is None:
            return
        algo = msgspec.structs.replace(
            algo,
            child_qty=child.filled_qty,
            child_price=child.avg_price,
            updated_ms=self._clock.now_ms(),
        )
        if child.is_open:
            self.store.put(algo)
        else:
            self._record(msgspec.structs.replace(algo, status="FINISHED"))

    def expire_closed(self, symbol: str, position_side: str, side: str) -> None:
        """The position that orders on *side* could reduce is closed."""
        expire_reduce_only = self._behaviour.value.reduce_only_algos_expire
        for algo in self._open_of(symbol, position_side):
            ends = algo.close_position or (algo.reduce_only and expire_reduce_only)
            if ends and algo.side == side and algo.status == "NEW":
                self._record(msgspec.structs.replace(algo, status="EXPIRED"))

    def _open_of(self, symbol: str, position_side: str) -> list[AlgoOrder]:
        return [each for each in self.store.open(symbol) if each.position_side == position_side]

    def _is_triggered(self, algo: AlgoOrder, market: SymbolMarket) -> bool:
        if algo.working_type == "MARK_PRICE":
            price = mark_price(market)
        else:
            price = self._matcher.last_price(algo.symbol)
        return triggers(algo.type, algo.side, algo.trigger, price)

    def _fire(self, algo: AlgoOrder) -> None:
        """The algo order's events come before or after those of its child."""
        triggered_ms = self._clock.now_ms()
        algo = msgspec.structs.replace(algo, status="TRIGGERING", triggered_ms=triggered_ms)
        algo = self._record(algo)
        child = self._child(algo)
        refusal = self._refusal(child)
        if refusal:
            self._record(msgspec.structs.replace(algo, status="REJECTED", reason=refusal))
            return
        self._delayed = None if self._behaviour.value.algo_event_first else []
        self._record(
            msgspec.structs.replace(
                algo, status="TRIGGERED", child_id=child.order_id, child_type=child.type
            )
        )
        self._enter(child)
        delayed, self._delayed = self._delayed or [], None
        for event in delayed:
            self._emit_now(event)

    def _enter(self, child: Order) -> None:
        post_only = child.price and child.time_in_force == "GTX"
        if post_only and self._matcher.would_take(child.symbol, child.side, child.price):
            self._matcher.expire(self._matcher.record(child, "NEW"), "")
        else:
            self._matcher.enter(child)

    def _refusal(self, child: Order) -> str:
        """Why *child* cannot be placed; empty if it can."""
        if not child.qty:
            return "ReduceOnly Order is rejected."
        price = child.price or self._matcher.last_price(child.symbol)
        return "" if self._margin.is_sufficient(child, price) else "Margin is insufficient."

    def _child(self, algo: AlgoOrder) -> Order:
        """With no more than the position has, if it may only reduce."""
        takes_id = self._behaviour.value.child_takes_client_id
        reducible = self._positions.reducible(algo.symbol, algo.position_side, algo.side)
        only = algo.close_position or algo.reduce_only
        closes = closes_only(algo.side, algo.position_side, reduce_only=only)
        wanted = reducible if algo.close_position else algo.qty
        now = self._clock.now_ms()
        return Order(
            venue=Venue.PERP,
            symbol=algo.symbol,
            order_id=self._orders.next_order_id(algo.symbol),
            client_id=algo.client_id if takes_id else self._orders.next_client_id(),
            side=algo.side,
            type="MARKET" if at_market(algo.type) else "LIMIT",
            status="NEW",
            qty=min(wanted, reducible) if closes else wanted,
            created_ms=now,
            updated_ms=now,
            time_in_force="GTC" if algo.close_position else algo.time_in_force,
            price=algo.price,
            stop_price=algo.trigger,
            origin=algo.origin,
            stp_mode=algo.stp_mode,
            algo_id=algo.algo_id,
            position_side=algo.position_side,
            reduce_only=only,
            working_type=algo.working_type,
            price_protect=algo.price_protect,
            orig_type=algo.type,
        )

    def _new(self, new: NewAlgoOrder, position_side: str) -> AlgoOrder:
        now = self._clock.now_ms()
        default = CLOSE_TIME_IN_FORCE if new.close_position else "GTC"
        return AlgoOrder(
            symbol=new.symbol,
            algo_id=self.store.next_id(),
            client_id=new.client_id or self._orders.next_client_id(),
            side=new.side,
            type=new.type,
            status="NEW",
            qty=new.qty or ZERO,
            trigger=new.trigger or ZERO,
            created_ms=now,
            updated_ms=now,
            price=new.price or ZERO,
            time_in_force=new.time_in_force or default,
            position_side=position_side,
            reduce_only=bool(new.reduce_only),
            close_position=new.close_position,
            working_type=new.working_type,
            price_protect=new.price_protect,
            stp_mode=new.stp_mode,
            origin=new.origin,
        )

    def _record(self, algo: AlgoOrder) -> AlgoOrder:
        """Store *algo* and announce it."""
        algo = msgspec.structs.replace(algo, updated_ms=self._clock.now_ms())
        self.store.put(algo)
        event = AlgoEvent(algo=algo, at_ms=algo.updated_ms)
        if self._delayed is None:
            self._emit_now(event)
        else:
            self._delayed.append(event)
        return algo
