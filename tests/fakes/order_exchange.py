"""An exchange in memory that takes, hides, fills and cancels orders as a test says."""

import asyncio
from collections import deque
from collections.abc import Callable
from decimal import Decimal

from anyio.lowlevel import checkpoint
from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.execution.order_request import (
    MarketForQuote,
    OrderFamily,
    OrderRef,
    OrderRequest,
    SpotOco,
    family_of,
)
from chimera_s1.domain.execution.order_status import is_closed
from chimera_s1.domain.execution.reports import FillReport, OrderReport, ReportSource
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import (
    CancelReply,
    OrderFound,
    OrderNotFound,
    OrderReply,
    RequestAccepted,
    RequestNotSent,
    RequestTurnedAway,
    SignedRequest,
)

RECV_WINDOW_MS = 2_000
PRICE = Decimal(100)
NOT_FOUND = OrderNotFound(message="-2013 Order does not exist.")
UNKNOWN_ORDER = OrderNotFound(message="-2011 Unknown order sent.")


class Handling(Struct, frozen=True, kw_only=True):
    """How one request is handled.

    Attributes:
        executes: Whether the exchange does what it asks.
        after_ms: When, after the request has arrived; a later one is not checked any more.
        visible_after_ms: From then on reads show the order, or its cancel.
        reply: None for the true reply.
        reply_after_ms: Before the reply arrives.
    """

    executes: bool = True
    after_ms: float = 0.0
    visible_after_ms: float = 0.0
    reply: CancelReply | None = None
    reply_after_ms: float = 0.0


class SignedFake(Struct, frozen=True):
    """Attributes:
    target: The order, or what a cancel names.
    """

    target: OrderRequest | OrderRef
    signed_at_ms: int
    recv_window_ms: int = RECV_WINDOW_MS
    request_hash: str = "hash"


class BookedOrder(Struct):
    """An order in the exchange's books; reads do not show it before *visible_ms*."""

    family: OrderFamily
    symbol: Symbol
    client_id: str
    exchange_id: str
    side: str
    qty: Decimal
    visible_ms: float
    at_ms: int
    status: str = "NEW"
    filled_qty: Decimal = Decimal(0)
    child_id: str = ""
    parent_id: str = ""

    def report(self, source: ReportSource) -> OrderReport:
        return OrderReport(
            family=self.family,
            symbol=self.symbol,
            client_id=self.client_id,
            exchange_id=self.exchange_id,
            side=self.side,
            type="LIMIT",
            status=self.status,
            qty=self.qty,
            filled_qty=self.filled_qty,
            avg_price=PRICE if self.filled_qty else None,
            at_ms=self.at_ms,
            source=source,
            child_id=self.child_id,
            parent_id=self.parent_id,
        )


class FakeOrderExchange:
    """Implements `domain.ports.order_gateway.OrderGateway`. Its clock is *clock*.

    Attributes:
        handling: Of the next order requests; then all are handled well.
        cancel_handling: Of the next cancels.
        connect_ms: Before the first byte of a request.
        find_errors: Of the next reads.
        sent, cancelled: What arrived, in order.
        found: Every reference that was read.
    """

    def __init__(self, clock: Clock) -> None:
        self.handling: deque[Handling] = deque()
        self.cancel_handling: deque[Handling] = deque()
        self.connect_ms = 0.0
        self.sign_error: ChimeraError | None = None
        self.find_errors: deque[ChimeraError] = deque()
        self.find_error: ChimeraError | None = None
        self.sent: list[OrderRequest] = []
        self.cancelled: list[OrderRef] = []
        self.found: list[OrderRef] = []
        self.books: list[BookedOrder] = []
        self._clock = clock
        self._ids = 0

    def now_ms(self) -> float:
        return float(self._clock.now_ms())

    async def sign_order(self, request: OrderRequest) -> SignedFake:
        return await self._sign(request)

    async def sign_cancel(self, ref: OrderRef) -> SignedFake:
        return await self._sign(ref)

    async def send_order(self, signed: SignedRequest, obstacle: Callable[[], str]) -> OrderReply:
        await self._clock.sleep_ms(self.connect_ms)
        if cause := obstacle():
            return RequestNotSent(cause=cause)
        assert isinstance(signed, SignedFake)
        assert not isinstance(signed.target, OrderRef)
        request = signed.target
        self.sent.append(request)
        handling = self.handling.popleft() if self.handling else Handling()
        if self._is_late(signed):
            return RequestTurnedAway(cause="-1021", clock_suspect=True)
        if handling.executes and not handling.after_ms:
            self._take(request, handling)
        elif handling.executes:
            # The exchange works on without the connection.
            _later(handling.after_ms, lambda: self._take(request, handling))
        await self._clock.sleep_ms(handling.reply_after_ms)
        if handling.reply is not None:
            assert not isinstance(handling.reply, OrderNotFound)
            return handling.reply
        return RequestAccepted(reports=(self.order(request.client_id).report(ReportSource.REPLY),))

    async def send_cancel(self, signed: SignedRequest, obstacle: Callable[[], str]) -> CancelReply:
        await self._clock.sleep_ms(self.connect_ms)
        if cause := obstacle():
            return RequestNotSent(cause=cause)
        assert isinstance(signed, SignedFake)
        assert isinstance(signed.target, OrderRef)
        self.cancelled.append(signed.target)
        handling = self.cancel_handling.popleft() if self.cancel_handling else Handling()
        if self._is_late(signed):
            return RequestTurnedAway(cause="-1021", clock_suspect=True)
        order = self._booked(signed.target)
        is_open = order is not None and not is_closed(order.family, order.status)
        if order is not None and is_open and handling.executes:
            order.status, order.at_ms = "CANCELED", self._clock.now_ms()
            order.visible_ms = self.now_ms() + handling.visible_after_ms
        await self._clock.sleep_ms(handling.reply_after_ms)
        if handling.reply is not None:
            return handling.reply
        if order is None or not is_open:
            return UNKNOWN_ORDER
        return RequestAccepted(reports=(order.report(ReportSource.REPLY),))

    async def find(self, ref: OrderRef) -> OrderFound | OrderNotFound:
        await checkpoint()
        self.found.append(ref)
        if self.find_errors:
            raise self.find_errors.popleft()
        if self.find_error is not None:
            raise self.find_error
        order = self._booked(ref)
        if order is None or order.visible_ms > self.now_ms():
            return NOT_FOUND
        return OrderFound(reports=(order.report(ReportSource.READ),))

    def order(self, client_id: str) -> BookedOrder:
        """The newest one with this id."""
        return next(order for order in reversed(self.books) if order.client_id == client_id)

    def fill(self, client_id: str, qty: str, trade_id: str) -> tuple[OrderReport, FillReport]:
        """Fill an order, or the child of a triggered algo order; returns the stream's events."""
        order = self.order(client_id)
        order.filled_qty += Decimal(qty)
        order.at_ms = self._clock.now_ms()
        order.status = "FILLED" if order.filled_qty == order.qty else "PARTIALLY_FILLED"
        fill = FillReport(
            venue=order.family.venue,
            symbol=order.symbol,
            trade_id=trade_id,
            order_id=order.exchange_id,
            client_id=order.client_id,
            side=order.side,
            qty=Decimal(qty),
            price=PRICE,
            at_ms=order.at_ms,
            source=ReportSource.STREAM,
            commission=Decimal("0.01"),
            commission_asset="USDT",
        )
        return order.report(ReportSource.STREAM), fill

    def trigger(self, client_id: str) -> BookedOrder:
        """An algo order becomes a child order, whose client id is of the exchange."""
        algo = self.order(client_id)
        assert algo.family is OrderFamily.PERP_ALGO
        child = self._book(
            OrderFamily.PERP_ORDER, algo.symbol, f"child-{client_id}", algo.side, algo.qty
        )
        child.parent_id = algo.exchange_id
        algo.child_id, algo.status, algo.at_ms = child.exchange_id, "FINISHED", child.at_ms
        return child

    async def _sign(self, target: OrderRequest | OrderRef) -> SignedFake:
        await checkpoint()
        if self.sign_error is not None:
            raise self.sign_error
        return SignedFake(target, self._clock.now_ms())

    def _is_late(self, signed: SignedRequest) -> bool:
        return self.now_ms() > signed.signed_at_ms + signed.recv_window_ms

    def _take(self, request: OrderRequest, handling: Handling) -> None:
        qty = Decimal(0)
        if isinstance(request, SpotOco):
            qty = request.qty
        elif not isinstance(request.body, MarketForQuote):
            qty = request.body.qty
        order = self._book(family_of(request), request.symbol, request.client_id, request.side, qty)
        order.visible_ms += handling.visible_after_ms

    def _book(
        self, family: OrderFamily, symbol: Symbol, client_id: str, side: str, qty: Decimal
    ) -> BookedOrder:
        self._ids += 1
        now_ms = self._clock.now_ms()
        self.books.append(
            BookedOrder(family, symbol, client_id, str(self._ids), side, qty, now_ms, now_ms)
        )
        return self.books[-1]

    def _booked(self, ref: OrderRef) -> BookedOrder | None:
        for order in reversed(self.books):
            same = ref.exchange_id in {"", order.exchange_id} and (
                ref.exchange_id or order.client_id == ref.client_id
            )
            if same and (order.family, order.symbol) == (ref.family, ref.symbol):
                return order
        return None


def _later(after_ms: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(after_ms / 1000, call)
