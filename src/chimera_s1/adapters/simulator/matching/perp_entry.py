"""A futures order on its way into the book: filters, reduce-only, margin, post-only."""

from decimal import Decimal

import msgspec

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.liquidity import BUY
from chimera_s1.adapters.simulator.matching.matcher import Matcher
from chimera_s1.adapters.simulator.matching.new_orders import NewPerpOrder
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.perp_margin import MarginRules, mark_price
from chimera_s1.adapters.simulator.matching.perp_positions import PositionBook
from chimera_s1.adapters.simulator.matching.perp_rules import (
    OPEN_ORDERS_MAX,
    check_counterparty,
    check_notional,
    check_price,
    check_price_band,
    check_quantity,
    closes_only,
)
from chimera_s1.adapters.simulator.matching.records import ZERO, Order
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue

_NOT_RECORDED = "The order will not be recorded in the order history"


class PerpEntry:
    def __init__(
        self,
        orders: OrderStore,
        matcher: Matcher,
        positions: PositionBook,
        margin: MarginRules,
        *,
        clock: ScaledClock,
        behaviour: CurrentBehaviour,
    ) -> None:
        self._orders = orders
        self._matcher = matcher
        self._positions = positions
        self._margin = margin
        self._clock = clock
        self._behaviour = behaviour

    def place(self, new: NewPerpOrder, market: SymbolMarket, position_side: str) -> Order:
        """Place *new*, whose parameters are checked; the order as it was accepted."""
        order = self._new_order(new, position_side)
        self._check_filters(order, market)
        if new.client_id and self._orders.is_client_id_open(new.client_id):
            raise BinanceError(-4116, "ClientOrderId is duplicated.")
        if len(self._orders.open(new.symbol)) >= OPEN_ORDERS_MAX:
            raise BinanceError(-2025, "Reach max open order limit.")
        order = self._reduced(order)
        self._check_margin(order)
        if order.time_in_force == "FOK" and not self._matcher.can_fill(order):
            raise BinanceError(
                -5021,
                "Due to the order could not be filled immediately, the FOK order will be rejected. "
                + _NOT_RECORDED,
            )
        if order.time_in_force == "GTX" and self._takes(order):
            return self._refuse_taker(order)
        self._matcher.enter(order)
        return order

    def _check_filters(self, order: Order, market: SymbolMarket) -> None:
        spec, mark = market.spec, mark_price(market)
        check_quantity(spec, order.qty, at_market=not order.price)
        if order.type == "LIMIT":
            check_price(spec, order.price)
            check_price_band(spec, order.side, order.price, mark)
        else:
            best = market.book.ask if order.side == BUY else market.book.bid
            check_counterparty(spec, order.side, Decimal(spec.price(best)), mark)
        if not self._closes_only(order):
            check_notional(spec, order.qty, order.price or mark)

    def _reduced(self, order: Order) -> Order:
        """A reduce-only order is cut to the position; in hedge mode it must not exceed it."""
        if not self._closes_only(order):
            return order
        reducible = self._positions.reducible(order.symbol, order.position_side, order.side)
        if not reducible or (order.qty > reducible and not order.reduce_only):
            raise BinanceError(-2022, "ReduceOnly Order is rejected.")
        return msgspec.structs.replace(order, qty=min(order.qty, reducible))

    def _check_margin(self, order: Order) -> None:
        price = order.price or self._matcher.last_price(order.symbol)
        if not self._margin.is_sufficient(order, price):
            raise BinanceError(-2019, "Margin is insufficient.")
        if not self._margin.is_within_limit(order, price):
            raise BinanceError(
                -2027, "Exceeded the maximum allowable position at current leverage."
            )

    def _refuse_taker(self, order: Order) -> Order:
        if self._behaviour.value.gtx_expires:
            self._matcher.expire(self._matcher.record(order, "NEW"), "")
            return order
        raise BinanceError(
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be "
            "rejected. " + _NOT_RECORDED,
        )

    def _takes(self, order: Order) -> bool:
        return self._matcher.would_take(order.symbol, order.side, order.price)

    def _closes_only(self, order: Order) -> bool:
        return closes_only(order.side, order.position_side, reduce_only=order.reduce_only)

    def _new_order(self, new: NewPerpOrder, position_side: str) -> Order:
        now = self._clock.now_ms()
        return Order(
            venue=Venue.PERP,
            symbol=new.symbol,
            order_id=self._orders.next_order_id(new.symbol),
            client_id=new.client_id or self._orders.next_client_id(),
            side=new.side,
            type=new.type,
            status="NEW",
            qty=new.qty or ZERO,
            created_ms=now,
            updated_ms=now,
            time_in_force=new.time_in_force or "GTC",
            price=new.price or ZERO,
            origin=new.origin,
            stp_mode=new.stp_mode,
            position_side=position_side,
            reduce_only=bool(new.reduce_only),
            good_till_ms=new.good_till_ms or 0,
            orig_type=new.type,
        )
