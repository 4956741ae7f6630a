"""The books of an exchange that a futures entry trades on, and the reports on their way."""

from collections.abc import Iterable
from decimal import Decimal

from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.observation import Tracked
from chimera_s1.domain.execution.order_request import OrderRequest, PerpAlgoOrder, PerpOrder
from chimera_s1.domain.execution.reports import FillReport, ReportSource
from tests.unit.domain.execution.entries.futures_ledger import (
    ENTRY_ORDER,
    FuturesLedger,
    child_of,
    child_report,
    order_report,
    trade_report,
)

ZERO = Decimal(0)


class ViolationError(Exception):
    """The machine has broken a rule, or the end is not what it must be."""


class Booked:
    """An order at the exchange. A hidden one trades, but no query shows it yet."""

    def __init__(self, request: PerpOrder | PerpAlgoOrder, hidden_until_ms: int) -> None:
        self.request = request
        self.status = "NEW"
        self.child_status = ""
        self.filled = ZERO
        self.hidden_until_ms = hidden_until_ms
        self.changed_ms = 0

    @property
    def is_live(self) -> bool:
        return self.status in {"NEW", "PARTIALLY_FILLED"}

    @property
    def open_qty(self) -> Decimal:
        return self.request.body.qty - self.filled


class Exchange:
    """The books: orders by client id, trades, and the reports that are on their way.

    Attributes:
        stop_refusal: Every stop is refused for this reason.
    """

    def __init__(self, ledger: FuturesLedger, stop_refusal: RefusalReason | None) -> None:
        self.ledger = ledger
        self.stop_refusal = stop_refusal
        self.orders: dict[str, Booked] = {}
        self.trades: list[FillReport] = []
        self.reports: list[Tracked] = []
        self.closed_elsewhere = ZERO

    def filled(self) -> Decimal:
        entry = self.orders.get(ENTRY_ORDER)
        return ZERO if entry is None else entry.filled

    def closed(self) -> Decimal:
        own = (booked.filled for name, booked in self.orders.items() if name != ENTRY_ORDER)
        return sum(own, ZERO)

    def held(self) -> Decimal:
        return self.filled() - self.closed() - self.closed_elsewhere

    def live_stops(self) -> list[Booked]:
        return [b for b in self.orders.values() if b.is_live and is_stop(b.request)]

    def refusal(self, request: OrderRequest) -> RefusalReason | None:
        if is_stop(request):
            return self.stop_refusal
        if request.client_id != ENTRY_ORDER and not self.held():
            return RefusalReason.REDUCE_ONLY
        return None

    def accept(self, request: OrderRequest, draw: int, hidden_ms: int = 0) -> None:
        assert isinstance(request, PerpOrder | PerpAlgoOrder)
        if request.client_id in self.orders:
            raise ViolationError(f"{request.client_id} was placed twice")
        booked = Booked(request, self.ledger.now_ms + hidden_ms)
        self.orders[request.client_id] = booked
        self.report(booked)
        if request.client_id != ENTRY_ORDER and not is_stop(request):
            rest_expires = draw % 3 == 0
            self.trade(booked, booked.open_qty - (draw % 2 if rest_expires else 0))
            booked.status = "EXPIRED" if booked.open_qty else "FILLED"
            self.report(booked)

    def trade(self, booked: Booked, qty: Decimal) -> None:
        client_id = booked.request.client_id
        is_entry = client_id == ENTRY_ORDER
        qty = min(qty, booked.open_qty, booked.open_qty if is_entry else self.held())
        if qty <= 0:
            return
        booked.filled += qty
        order_id = child_of(client_id) if is_stop(booked.request) else ""
        self._add_trade(client_id, qty, order_id)
        if is_entry:
            booked.status = "PARTIALLY_FILLED" if booked.open_qty else "FILLED"
        self.report(booked)

    def trigger(self, booked: Booked, draw: int) -> None:
        """Its child trades at once; the price has passed the stop."""
        booked.status, booked.child_status = "FINISHED", "NEW"
        self.stop_refusal = self.stop_refusal or RefusalReason.WOULD_TRIGGER
        self.report(booked)
        self.trade(booked, booked.open_qty if draw % 2 else Decimal(draw % 4))
        booked.child_status = "EXPIRED" if booked.open_qty else "FILLED"
        self.report(booked)

    def end(self, booked: Booked, status: str) -> None:
        if booked.is_live:
            booked.status = status
            self.report(booked)

    def close_elsewhere(self, qty: Decimal) -> None:
        if qty := min(qty, self.held()):
            self.closed_elsewhere += qty
            self._add_trade("foreign", qty, f"foreign {len(self.trades)}")

    def report(self, booked: Booked) -> None:
        booked.changed_ms = self.ledger.now_ms
        self.reports += self.state_of(booked, ReportSource.STREAM)

    def state_of(self, booked: Booked, source: ReportSource) -> Iterable[Tracked]:
        request, at_ms = booked.request, booked.changed_ms
        if not is_stop(request):
            yield order_report(request, booked.status, booked.filled, at_ms, source=source)
            return
        child = child_of(request.client_id) if booked.child_status else ""
        yield order_report(request, booked.status, ZERO, at_ms, child=child, source=source)
        if child:
            yield child_report(request, booked.child_status, booked.filled, at_ms)

    def find(self, client_id: str) -> Booked | None:
        """What a query shows."""
        booked = self.orders.get(client_id)
        is_hidden = booked is not None and booked.hidden_until_ms > self.ledger.now_ms
        return None if is_hidden else booked

    def _add_trade(self, client_id: str, qty: Decimal, order_id: str) -> None:
        report = trade_report(
            self.ledger.spec,
            client_id,
            qty,
            self.ledger.now_ms,
            order_id=order_id,
            trade_id=len(self.trades) + 1_000,
        )
        self.trades.append(report)
        self.reports.append(report)


def is_stop(request: OrderRequest) -> bool:
    return isinstance(request, PerpAlgoOrder)
