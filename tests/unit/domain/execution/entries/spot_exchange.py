"""A small spot exchange for the tests of spot entries: it fills, refuses, loses and delays."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count

from msgspec.structs import replace

from chimera_s1.domain.execution.order_request import (
    Limit,
    Market,
    MarketForQuote,
    OrderFamily,
    OrderRequest,
    Side,
    SpotOco,
    SpotOrder,
)
from chimera_s1.domain.execution.order_status import CLOSED
from chimera_s1.domain.execution.reports import (
    FillReport,
    LegRef,
    OrderListReport,
    OrderReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec

SYMBOL = Symbol("BTCUSDT")
STEP = Decimal("0.001")
ZERO = Decimal(0)
INSTRUMENT = InstrumentSpec(
    instrument=InstrumentId(Venue.SPOT, SYMBOL),
    status="TRADING",
    base_asset="BTC",
    quote_asset="USDT",
    tick_size=Decimal("0.01"),
    min_price=Decimal("0.01"),
    max_price=Decimal(1_000_000),
    step_size=STEP,
    min_qty=STEP,
    max_qty=Decimal(9_000),
    market_step_size=STEP,
    market_min_qty=STEP,
    market_max_qty=Decimal(100),
    min_notional=Decimal(5),
    market_min_notional=Decimal(5),
    order_types=("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"),
    oco_allowed=True,
)


@dataclass
class Order:
    """An order of the exchange, or a leg of a list."""

    client_id: str
    exchange_id: str
    side: Side
    qty: Decimal
    at_ms: int
    list_id: str = ""
    status: str = "NEW"
    reason: str = ""
    trades: list[FillReport] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((trade.qty for trade in self.trades), ZERO)

    @property
    def is_open(self) -> bool:
        return self.status not in CLOSED

    def report(self, source: ReportSource) -> OrderReport:
        return OrderReport(
            family=OrderFamily.SPOT_ORDER,
            symbol=SYMBOL,
            client_id=self.client_id,
            exchange_id=self.exchange_id,
            side=self.side.value,
            type="",
            status=self.status,
            qty=self.qty,
            filled_qty=self.filled,
            at_ms=self.at_ms,
            source=source,
            avg_price=self.trades[0].price if self.trades else None,
            list_id=self.list_id,
            reason=self.reason,
        )


@dataclass
class OrderList:
    request: SpotOco
    exchange_id: str
    take_profit: Order
    stop: Order
    at_ms: int

    @property
    def is_open(self) -> bool:
        return self.take_profit.is_open or self.stop.is_open

    @property
    def rest(self) -> Decimal:
        """What it can still trade."""
        filled = self.take_profit.filled + self.stop.filled
        return self.request.qty - filled if self.is_open else ZERO

    def report(self, source: ReportSource) -> OrderListReport:
        return OrderListReport(
            symbol=SYMBOL,
            client_id=self.request.client_id,
            exchange_id=self.exchange_id,
            status="EXECUTING" if self.is_open else "ALL_DONE",
            legs=tuple(
                LegRef(client_id=leg.client_id, exchange_id=leg.exchange_id)
                for leg in (self.take_profit, self.stop)
            ),
            at_ms=self.at_ms,
            source=source,
        )


Report = OrderReport | OrderListReport | FillReport


class SpotExchange:
    """Attributes:
    fill_limit: The next market or IOC order fills so much at most, and expires.
    commission_asset: Of purchases. None: it is not said.
    """

    def __init__(self, bid: Decimal, ask: Decimal) -> None:
        self.bid = bid
        self.ask = ask
        self.now_ms = 0
        self.fill_limit: Decimal | None = None
        self.commission_asset: str | None = "BTC"
        self.orders: dict[str, Order] = {}
        self.lists: dict[str, OrderList] = {}
        self._ids = count(1)

    def place(self, request: OrderRequest) -> None:
        if isinstance(request, SpotOco):
            self._place_list(request)
        else:
            assert isinstance(request, SpotOrder)
            self._place_order(request)

    def has(self, client_id: str) -> bool:
        return client_id in self.orders or client_id in self.lists

    def cancel(self, client_id: str) -> bool:
        """Whether there was something to cancel."""
        found = self.lists.get(client_id)
        if found is None or not found.is_open:
            return False
        found.at_ms = self.now_ms
        for leg in (found.take_profit, found.stop):
            self._end(leg, "CANCELED")
        return True

    def take_profit(self, client_id: str, qty: Decimal) -> None:
        """The leg fills *qty*, which ends the stop."""
        found = self.lists[client_id]
        self._end(found.stop, "EXPIRED", "OCO_TRIGGER")
        self._trade(found.take_profit, qty, found.request.take_profit.price)
        found.at_ms = self.now_ms

    def fire_stop(self, client_id: str, qty: Decimal) -> None:
        """The stop is triggered and fills *qty*; the rest expires."""
        found = self.lists[client_id]
        self._end(found.take_profit, "EXPIRED", "OCO_TRIGGER")
        self._trade(found.stop, qty, found.request.stop.trigger)
        self._end(found.stop, "EXPIRED", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED")
        found.at_ms = self.now_ms

    def trigger_stop(self, client_id: str) -> None:
        """The stop becomes a limit order in the book, and does not fill."""
        found = self.lists[client_id]
        self._end(found.take_profit, "EXPIRED", "OCO_TRIGGER")
        found.at_ms = self.now_ms

    def reject(self, client_id: str) -> None:
        """An accepted list ends before anything has traded."""
        found = self.lists[client_id]
        for leg in (found.take_profit, found.stop):
            self._end(leg, "REJECTED")
        found.at_ms = self.now_ms

    def say_commissions(self) -> None:
        """Of trades that were reported without."""
        for order in self.orders.values():
            order.trades = [
                replace(trade, commission=trade.qty / 1000, commission_asset="BTC")
                if trade.commission is None
                else trade
                for trade in order.trades
            ]

    def reports_of(self, client_id: str, source: ReportSource) -> Iterator[Report]:
        """All that is known of an order: what a query answers, or the stream has sent."""
        if client_id in self.orders:
            yield from self.orders[client_id].trades
            yield self.orders[client_id].report(source)
        elif client_id in self.lists:
            found = self.lists[client_id]
            yield found.report(source)
            for leg in (found.take_profit, found.stop):
                yield leg.report(source)
                yield from leg.trades

    def base_change(self) -> Decimal:
        """Of the account's base asset, commissions included, those that are not said too."""
        legs = [leg for found in self.lists.values() for leg in (found.take_profit, found.stop)]
        trades = [trade for order in (*self.orders.values(), *legs) for trade in order.trades]
        change = sum((t.qty if t.side == "BUY" else -t.qty for t in trades), ZERO)
        taken = (trade.qty / 1000 for trade in trades if trade.commission_asset in {"", "BTC"})
        return change - sum(taken, ZERO)

    def _place_order(self, request: SpotOrder) -> None:
        price = self.ask if request.side is Side.BUY else self.bid
        match request.body:
            case Market(qty=qty) | Limit(qty=qty):
                pass
            case MarketForQuote(quote_qty=quote_qty):
                qty = (quote_qty / price) // STEP * STEP
            case _:
                raise AssertionError(request)
        order = self._new_order(request.client_id, request.side, qty)
        self.orders[request.client_id] = order
        self._trade(order, qty if self.fill_limit is None else min(qty, self.fill_limit), price)
        self._end(order, "EXPIRED", "INSUFFICIENT_LIQUIDITY")

    def _place_list(self, request: SpotOco) -> None:
        list_id = str(next(self._ids))
        legs = [
            self._new_order(client_id, request.side, request.qty, list_id)
            for client_id in (request.take_profit.client_id, request.stop.client_id)
        ]
        self.lists[request.client_id] = OrderList(request, list_id, legs[0], legs[1], self.now_ms)

    def _new_order(self, client_id: str, side: Side, qty: Decimal, list_id: str = "") -> Order:
        return Order(client_id, str(next(self._ids)), side, qty, self.now_ms, list_id)

    def _trade(self, order: Order, qty: Decimal, price: Decimal) -> None:
        if not qty or not order.is_open:
            return
        asset = self.commission_asset if order.side is Side.BUY else "BNB"
        trade = FillReport(
            venue=Venue.SPOT,
            symbol=SYMBOL,
            trade_id=str(next(self._ids)),
            order_id=order.exchange_id,
            client_id=order.client_id,
            side=order.side.value,
            qty=qty,
            price=price,
            at_ms=self.now_ms,
            source=ReportSource.READ,
            commission=None if asset is None else qty / 1000 if asset == "BTC" else ZERO,
            commission_asset=asset or "",
        )
        order.trades.append(trade)
        order.status = "FILLED" if order.filled == order.qty else "PARTIALLY_FILLED"
        order.at_ms = self.now_ms

    def _end(self, order: Order, status: str, reason: str = "") -> None:
        if order.is_open:
            order.status, order.reason, order.at_ms = status, reason, self.now_ms
