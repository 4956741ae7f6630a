"""A futures entry in a real ledger state, moved on by what the exchange reports."""

from decimal import Decimal

from chimera_s1.domain.execution.entries.entry import EntryOrders
from chimera_s1.domain.execution.entries.events import (
    EntryAccepted,
    EntryCancelRequested,
    EntryEvent,
    EntryStatus,
)
from chimera_s1.domain.execution.entries.futures_entry import decide_futures
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec, exit_side
from chimera_s1.domain.execution.entries.steps import (
    Cancel,
    LookUp,
    NextSteps,
    Place,
    Record,
    Situation,
)
from chimera_s1.domain.execution.events import (
    CancelRequested,
    OrderAbsent,
    OrderConclusion,
    OrderNotSent,
    OrderPlanned,
    OrderRefused,
    OrderUnknown,
    RefusalReason,
)
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.observation import Tracked, conclude, observe
from chimera_s1.domain.execution.order_request import (
    Limit,
    OrderFamily,
    OrderRequest,
    PerpOrder,
    Side,
    TimeInForce,
    family_of,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.execution.position_check import PositionKey
from chimera_s1.domain.execution.reports import FillReport, OrderReport, ReportSource
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec

BTC = Symbol("BTCUSDT")
START_MS = 1_000_000
ENTRY_ID = "e1"
SPEC = FuturesEntrySpec(
    symbol=BTC,
    side=Side.BUY,
    qty=Decimal(10),
    limit_price=Decimal(100),
    stop_price=Decimal(90),
    timeout_ms=60_000,
)
INSTRUMENT = InstrumentSpec(
    instrument=InstrumentId(Venue.PERP, BTC),
    status="TRADING",
    base_asset="BTC",
    quote_asset="USDT",
    tick_size=Decimal("0.1"),
    step_size=Decimal(1),
    min_qty=Decimal(1),
    market_step_size=Decimal(1),
    market_min_qty=Decimal(1),
    market_max_qty=Decimal(100),
    filters=('{"filterType":"PERCENT_PRICE","multiplierUp":"1.05","multiplierDown":"0.95"}',),
)
ENTRY_ORDER = order_id(ENTRY_ID, OrderRole.ENTRY)


def stop_id(number: int) -> str:
    return order_id(ENTRY_ID, OrderRole.STOP, number)


def close_id(number: int) -> str:
    return order_id(ENTRY_ID, OrderRole.CLOSE, number)


def child_of(client_id: str) -> str:
    return f"child of {client_id}"


def order_report(
    request: OrderRequest,
    status: str,
    filled: Decimal,
    at_ms: int,
    *,
    child: str = "",
    source: ReportSource = ReportSource.STREAM,
) -> OrderReport:
    return OrderReport(
        family=family_of(request),
        symbol=request.symbol,
        client_id=request.client_id,
        exchange_id=f"id of {request.client_id}",
        side=request.side.value,
        type="LIMIT",
        status=status,
        qty=Decimal(0),
        filled_qty=filled,
        avg_price=Decimal(100) if filled else None,
        at_ms=at_ms,
        source=source,
        child_id=child,
    )


def child_report(request: OrderRequest, status: str, filled: Decimal, at_ms: int) -> OrderReport:
    client_id = request.client_id
    return OrderReport(
        family=OrderFamily.PERP_ORDER,
        symbol=request.symbol,
        client_id=client_id,
        exchange_id=child_of(client_id),
        side=request.side.value,
        type="MARKET",
        status=status,
        qty=Decimal(0),
        filled_qty=filled,
        avg_price=Decimal(90) if filled else None,
        at_ms=at_ms,
        source=ReportSource.STREAM,
        parent_id=f"id of {client_id}",
    )


def trade_report(
    spec: FuturesEntrySpec,
    client_id: str,
    qty: Decimal,
    at_ms: int,
    *,
    trade_id: int,
    order_id: str = "",
) -> FillReport:
    side = spec.side if client_id == ENTRY_ORDER else exit_side(spec.side)
    return FillReport(
        venue=Venue.PERP,
        symbol=spec.symbol,
        trade_id=str(trade_id),
        order_id=order_id or f"id of {client_id}",
        client_id=client_id,
        side=side.value,
        qty=qty,
        price=Decimal(100),
        at_ms=at_ms,
        source=ReportSource.STREAM,
        position_side="BOTH",
    )


class FuturesLedger:
    """Attributes:
    now_ms: The exchange's clock.
    busy, not_found, held_until_ms: As in `Situation`.
    """

    def __init__(
        self, spec: FuturesEntrySpec = SPEC, instrument: InstrumentSpec | None = INSTRUMENT
    ) -> None:
        self.spec = spec
        self.instrument = instrument
        self.now_ms = START_MS
        self.busy: set[str] = set()
        self.not_found: set[str] = set()
        self.prices: CurrentPrices | None = None
        self.position_is_known = True
        self.position_since_ms = 0
        self.held_until_ms = 0
        self.state = ExecutionState()
        self._trades = 0
        self.record(
            EntryAccepted(
                entry_id=ENTRY_ID,
                at_ms=self.now_ms,
                spec=spec,
                body_hash="h",
                notional_usdt=spec.qty * spec.limit_price,
                actor="s4",
            )
        )
        body = Limit(qty=spec.qty, price=spec.limit_price, time_in_force=TimeInForce.GTX)
        self.plan(
            PerpOrder(
                client_id=ENTRY_ORDER,
                symbol=spec.symbol,
                side=spec.side,
                scope=spec.opening_scope,
                body=body,
            )
        )

    def record(self, event: EntryEvent) -> None:
        self.state.apply(event)

    def cancel(self, *, disarm: bool = False) -> None:
        self.record(
            EntryCancelRequested(entry_id=ENTRY_ID, at_ms=self.now_ms, disarm=disarm, actor="s4")
        )

    def plan(self, request: OrderRequest) -> None:
        self.state.apply(
            OrderPlanned(
                client_id=request.client_id,
                request=request,
                entry_id=ENTRY_ID,
                signed_at_ms=self.now_ms,
                recv_window_ms=2_000,
                request_hash="r",
            )
        )

    def conclude(self, event: OrderConclusion) -> None:
        if (news := conclude(self.order(event.client_id), event)) is not None:
            self.state.apply(news)

    def refuse(self, client_id: str, reason: RefusalReason, message: str = "no") -> None:
        self.conclude(OrderRefused(client_id=client_id, reason=reason, code=-1, message=message))

    def lose(self, client_id: str) -> None:
        """The reply to its request does not arrive."""
        self.conclude(OrderUnknown(client_id=client_id, cause="timeout"))

    def not_sent(self, client_id: str) -> None:
        self.conclude(OrderNotSent(client_id=client_id, cause="too late"))

    def absent(self, client_id: str) -> None:
        self.conclude(OrderAbsent(client_id=client_id, lookups=3, last_lookup_ms=self.now_ms))

    def cancel_requested(self, step: Cancel) -> None:
        self.conclude(
            CancelRequested(client_id=step.client_id, signed_at_ms=self.now_ms, cause=step.cause)
        )

    def observe(self, report: Tracked) -> None:
        before = self.position_qty()
        for event in observe(self.state, report, {}):
            self.state.apply(event)
        if self.position_qty() != before:
            self.position_since_ms = self.now_ms

    def report(
        self, client_id: str, status: str = "NEW", filled: Decimal | int = 0, child: str = ""
    ) -> None:
        """The order says on the stream what its status is, and how much is filled."""
        request = self.order(client_id).request
        self.observe(order_report(request, status, Decimal(filled), self.now_ms, child=child))

    def report_child(self, client_id: str, status: str, filled: Decimal | int = 0) -> None:
        """The order that the stop *client_id* became when it was triggered."""
        request = self.order(client_id).request
        self.observe(child_report(request, status, Decimal(filled), self.now_ms))

    def trade(self, client_id: str, qty: Decimal | int, order_id: str = "") -> None:
        """A trade of the order; *order_id* names its child or a foreign order."""
        self._trades += 1
        self.observe(
            trade_report(
                self.spec,
                client_id,
                Decimal(qty),
                self.now_ms,
                order_id=order_id,
                trade_id=self._trades,
            )
        )

    def fill_entry(self, qty: Decimal | int) -> None:
        """A trade of the entry order, and its report."""
        self.trade(ENTRY_ORDER, qty)
        filled = self.order(ENTRY_ORDER).filled_qty
        status = "FILLED" if filled == self.spec.qty else "PARTIALLY_FILLED"
        self.report(ENTRY_ORDER, status, filled)

    def trade_elsewhere(self, qty: Decimal | int) -> None:
        """Somebody else closes *qty* of the position."""
        self.trade("foreign", qty, f"foreign {self._trades}")

    def order(self, client_id: str) -> TrackedOrder:
        return self.state.orders[client_id]

    def situation(self) -> Situation:
        entry = self.state.entries.entries[ENTRY_ID]
        names = self.state.entries.orders_of(ENTRY_ID)
        return Situation(
            entry=entry,
            orders=EntryOrders.of(self.state.orders[name] for name in names),
            now_ms=self.now_ms,
            fills=self.state.entries.fills_of(ENTRY_ORDER),
            instrument=self.instrument,
            busy=frozenset(self.busy),
            not_found=frozenset(self.not_found),
            position_qty=self.position_qty() if self.position_is_known else None,
            position_since_ms=self.position_since_ms,
            held_until_ms=self.held_until_ms,
            prices=self.prices,
        )

    def decide(self) -> NextSteps:
        return decide_futures(self.situation())

    def placed(self) -> list[OrderRequest]:
        """What the next decision places; it is planned."""
        requests = [step.request for step in self.decide().steps if isinstance(step, Place)]
        for request in requests:
            self.plan(request)
        return requests

    def cancels(self) -> list[str]:
        return [step.client_id for step in self.decide().steps if isinstance(step, Cancel)]

    def look_ups(self) -> list[str]:
        return [step.client_id for step in self.decide().steps if isinstance(step, LookUp)]

    def records(self) -> list[EntryEvent]:
        """The events of the next decision; they are recorded."""
        events = [step.event for step in self.decide().steps if isinstance(step, Record)]
        for event in events:
            self.record(event)
        return [*events]

    def status(self) -> tuple[EntryStatus, str]:
        self.records()
        picture = self.state.entries.entries[ENTRY_ID].picture
        assert picture is not None
        return picture.status, picture.message

    def position_qty(self) -> Decimal:
        known = self.state.positions.positions.get(PositionKey(self.spec.symbol, "BOTH"))
        if known is None:
            return Decimal(0)
        sign = 1 if self.spec.side is Side.BUY else -1
        return max(known.qty * sign, Decimal(0))
