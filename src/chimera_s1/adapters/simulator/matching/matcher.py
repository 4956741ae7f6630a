"""Matches the orders of the account on one venue against the books of its symbols.

Price-time: of two resting orders on the same side, the better price is filled first, then the
older one. The account's orders never match each other. Everything is synchronous: a desk is
consistent whenever a call returns.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

import msgspec

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.liquidity import BUY, SELL, Liquidity, Offer
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.records import ZERO, Order, Trade
from chimera_s1.domain.identifiers import Venue

_UNFILLED_IOC, _INSUFFICIENT, _OUT_OF_RANGE = 2, 9, 9
EXPIRY_REASONS = {
    "UNFILLED_IOC_QUANTITY_EXPIRED": _UNFILLED_IOC,
    "UNFILLED_FOK_ORDER_EXPIRED": _UNFILLED_IOC,
    "INSUFFICIENT_LIQUIDITY": _INSUFFICIENT,
    "EXECUTION_RULE_PRICE_RANGE_EXCEEDED": _OUT_OF_RANGE,
}
"""Spot's `expiryReason`, and the futures' `er` of the same."""


class Settlement(Protocol):
    """What a matcher needs of its desk."""

    def executable(self, order: Order, price: Decimal) -> Decimal:
        """The most of *order* that may be executed at *price* now: money, or a position to
        reduce, may be missing. `order.remaining` where nothing limits it.
        """
        ...

    def settle(self, order: Order, trade: Trade) -> Trade:
        """Book *trade*; *order* includes it already. Returns it with commission and profit."""
        ...

    def order_changed(self, order: Order, execution: str, trade: Trade | None) -> None:
        """*order* was stored. May end other orders, and *order* itself."""
        ...

    def book_moved(self, symbol: str) -> None:
        """Resting orders were filled at the new book: time to fire triggers."""
        ...


class Matcher:
    def __init__(
        self,
        venue: Venue,
        market: Market,
        clock: ScaledClock,
        orders: OrderStore,
        *,
        settlement: Settlement,
        behaviour: CurrentBehaviour,
    ) -> None:
        self._venue = venue
        self._market = market
        self._clock = clock
        self._orders = orders
        self._settlement = settlement
        self._behaviour = behaviour
        self._liquidity: dict[str, Liquidity] = {}

    def last_price(self, symbol: str) -> Decimal:
        """Of the last trade at the book that was matched last."""
        return self._of(symbol).last_price

    def would_take(self, symbol: str, side: str, price: Decimal) -> bool:
        """Whether a limit order would be executed on entry; for post-only orders."""
        return _reaches(side, price, self._of(symbol).best(side))

    def can_fill(self, order: Order) -> bool:
        """Whether the book has all of what remains of *order* at prices it may take."""
        return sum((qty for _, qty in self._offers(order)), ZERO) >= order.remaining

    def cost(self, order: Order) -> Decimal:
        """In the quote asset, to execute *order* now, as far as the book has it."""
        left, cost = order.remaining, ZERO
        for price, offered in self._offers(order):
            qty = min(left, offered)
            left, cost = left - qty, cost + price * qty
            if not left:
                break
        return cost

    def quantity_for(self, symbol: str, side: str, quote: Decimal, step: Decimal) -> Decimal:
        """The quantity, in whole steps, that *quote* buys or brings at the current book."""
        left, total, price = quote, ZERO, self.last_price(symbol)
        for price, offered in self._of(symbol).offers(side, self._behaviour.value.liquidity):
            qty = min(offered, left / price // step * step)
            left, total = left - price * qty, total + qty
            if qty < offered:
                return total
        return total + left / price // step * step

    def enter(self, order: Order, execution: str = "NEW") -> Order:
        """Store a new, or just triggered, *order*; it takes what it may, then rests or expires.

        A price of 0 makes it a market order. Checks of a desk (post-only, money) come before: one
        that is accepted and expires at once is `expire(record(order, "NEW"), reason)`.
        """
        order = msgspec.structs.replace(order, working_ms=self._clock.now_ms())
        order = self.record(order, execution)
        if order.time_in_force == "FOK" and order.price and not self.can_fill(order):
            return self.expire(order, "UNFILLED_FOK_ORDER_EXPIRED")
        order = self._take(order)
        if not order.is_open:
            return order
        if not order.price:
            return self.expire(order, self._market_reason(order))
        if order.time_in_force in {"IOC", "FOK"}:
            return self.expire(order, "UNFILLED_IOC_QUANTITY_EXPIRED")
        return order

    def expire(self, order: Order, reason: str) -> Order:
        code = EXPIRY_REASONS.get(reason, 0)
        return self.end(order, "EXPIRED", reason=reason, reason_code=code)

    def end(
        self,
        order: Order,
        status: str,
        *,
        reason: str = "",
        reason_code: int = 0,
        cancel_id: str = "",
    ) -> Order:
        """Take *order* out of the book; *status*: CANCELED, EXPIRED or REJECTED."""
        changed = msgspec.structs.replace(
            order, status=status, reason=reason, reason_code=reason_code, cancel_id=cancel_id
        )
        return self.record(changed, status)

    def record(self, order: Order, execution: str, trade: Trade | None = None) -> Order:
        """Store *order* and announce it; how it is when everything that follows has happened."""
        now = self._clock.now_ms()
        order = msgspec.structs.replace(order, updated_ms=now)
        self._orders.put(order)
        self._settlement.order_changed(order, execution, trade)
        return self._orders.current(order.symbol, order.order_id) or order

    def advance(self, symbols: frozenset[str]) -> None:
        """Match the resting orders of *symbols* against every book since the last call."""
        for symbol in sorted(symbols):
            self.advance_symbol(symbol)

    def advance_symbol(self, symbol: str) -> None:
        for _ in self._of(symbol).moves():
            self._fill_resting(symbol)
            self._settlement.book_moved(symbol)

    def _fill_resting(self, symbol: str) -> None:
        liquidity = self._of(symbol)
        best = {side: liquidity.best(side) for side in (BUY, SELL)}
        for resting in sorted(self._orders.open(symbol), key=_priority):
            if not resting.is_working or not resting.price:
                continue
            if not _reaches(resting.side, resting.price, best[resting.side]):
                continue
            # What was filled before may have ended it.
            order = self._orders.current(symbol, resting.order_id)
            if order is not None and order.is_open:
                self._take(order, maker=True)

    def _take(self, order: Order, *, maker: bool = False) -> Order:
        """Execute *order* level by level; as a maker at its own price."""
        for price, offered in self._offers(order):
            at = order.price if maker else price
            qty = min(order.remaining, offered, self._settlement.executable(order, at))
            if qty <= 0:
                break
            self._of(order.symbol).take(price, qty)
            order = self._execute(order, at, qty, maker=maker)
            if not order.is_open:
                break
        return order

    def _execute(self, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> Order:
        filled = order.filled_qty + qty
        order = msgspec.structs.replace(
            order,
            filled_qty=filled,
            filled_quote=order.filled_quote + price * qty,
            status="FILLED" if filled == order.qty else "PARTIALLY_FILLED",
        )
        trade = self._settlement.settle(order, self._trade(order, price, qty, maker=maker))
        self._orders.add_trade(trade)
        return self.record(order, "TRADE", trade)

    def _trade(self, order: Order, price: Decimal, qty: Decimal, *, maker: bool) -> Trade:
        return Trade(
            venue=self._venue,
            symbol=order.symbol,
            trade_id=self._orders.next_trade_id(order.symbol),
            order_id=order.order_id,
            client_id=order.client_id,
            side=order.side,
            qty=qty,
            price=price,
            commission=ZERO,
            commission_asset="",
            maker=maker,
            at_ms=self._clock.now_ms(),
            position_side=order.position_side,
            list_id=order.list_id,
        )

    def _offers(self, order: Order) -> Iterator[Offer]:
        """What *order* may take, best first."""
        behaviour, liquidity = self._behaviour.value, self._of(order.symbol)
        limit = order.price or _range_limit(order.side, liquidity.last_price, behaviour.price_range)
        for price, qty in liquidity.offers(order.side, behaviour.liquidity):
            if not _reaches(order.side, limit, price):
                return
            yield price, qty

    def _market_reason(self, order: Order) -> str:
        """Why the rest of a market order expires."""
        offers = self._of(order.symbol).offers(order.side, self._behaviour.value.liquidity)
        out_of_range = next(offers, None) is not None and next(self._offers(order), None) is None
        return "EXECUTION_RULE_PRICE_RANGE_EXCEEDED" if out_of_range else "INSUFFICIENT_LIQUIDITY"

    def _of(self, symbol: str) -> Liquidity:
        found = self._liquidity.get(symbol)
        if found is None:
            market = self._market.find_ever_listed(self._venue, symbol)
            if market is None:
                raise LookupError(f"{symbol} is not listed on {self._venue.value}")
            found = self._liquidity[symbol] = Liquidity(market)
        return found


def _reaches(side: str, limit: Decimal, price: Decimal) -> bool:
    """Whether *limit* allows an execution at *price*."""
    return price <= limit if side == BUY else price >= limit


def _range_limit(side: str, last: Decimal, part: Decimal) -> Decimal:
    return last * (1 + part) if side == BUY else last * (1 - part)


def _priority(order: Order) -> tuple[Decimal, int]:
    return (-order.price if order.side == BUY else order.price, order.working_ms)
