"""A spot entry in a ledger of its own, its orders at a small exchange, and its decisions."""

from collections.abc import Iterable
from decimal import Decimal

from chimera_s1.domain.execution.entries.entry import Entry, EntryOrders
from chimera_s1.domain.execution.entries.events import EntryAccepted, EntryCancelRequested
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.entries.specs import BaseQty, QuoteAmount, SpotEntrySpec
from chimera_s1.domain.execution.entries.spot_entry import decide_spot
from chimera_s1.domain.execution.entries.steps import (
    Cancel,
    LookUp,
    NextSteps,
    Place,
    Record,
    Situation,
    Step,
)
from chimera_s1.domain.execution.events import (
    CancelRequested,
    OrderConclusion,
    OrderPlanned,
    OrderRefused,
    OrderUnknown,
    RefusalReason,
)
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.observation import conclude, observe
from chimera_s1.domain.execution.order_request import (
    Market,
    MarketForQuote,
    OrderRequest,
    Side,
    SpotOrder,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.execution.reports import ReportSource
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from tests.unit.domain.execution.entries.spot_exchange import (
    INSTRUMENT,
    SYMBOL,
    Report,
    SpotExchange,
)

ENTRY_ID = "e1"
ENTRY_ORDER = order_id(ENTRY_ID, OrderRole.ENTRY)
START_MS = 1_000_000
RECV_WINDOW_MS = 2_000


def oco_id(number: int = 1) -> str:
    return order_id(ENTRY_ID, OrderRole.OCO, number)


def exit_id(number: int = 1) -> str:
    return order_id(ENTRY_ID, OrderRole.EXIT, number)


def buy(qty: str = "1", tp: str = "110", sl: str = "90") -> SpotEntrySpec:
    return SpotEntrySpec(
        symbol=SYMBOL,
        side=Side.BUY,
        amount=BaseQty(qty=Decimal(qty)),
        tp_price=Decimal(tp),
        sl_trigger_price=Decimal(sl),
    )


def sell(qty: str = "1", tp: str = "90", sl: str = "110") -> SpotEntrySpec:
    return SpotEntrySpec(
        symbol=SYMBOL,
        side=Side.SELL,
        amount=BaseQty(qty=Decimal(qty)),
        tp_price=Decimal(tp),
        sl_trigger_price=Decimal(sl),
    )


class SpotDesk:
    """Attributes:
    prices: As the entry sees them; None: it has none.
    decide: To be replaced by tests of wrong decisions.
    """

    def __init__(self, spec: SpotEntrySpec) -> None:
        self.spec = spec
        self.state = ExecutionState()
        self.exchange = SpotExchange(Decimal("99.99"), Decimal("100.00"))
        self.instrument: InstrumentSpec | None = INSTRUMENT
        self.busy: set[str] = set()
        self.not_found: set[str] = set()
        self.free_quote: Decimal | None = None
        self.sees_prices = True
        self.blind_since_ms = 0
        self.held_until_ms = 0
        self.now_ms = START_MS
        self.exchange.now_ms = START_MS

    @property
    def entry(self) -> Entry:
        return self.state.entries.entries[ENTRY_ID]

    @property
    def entry_request(self) -> SpotOrder:
        amount = self.spec.amount
        match amount:
            case BaseQty(qty=qty):
                body: Market | MarketForQuote = Market(qty=qty)
            case QuoteAmount(usdt=usdt):
                body = MarketForQuote(quote_qty=usdt)
        return SpotOrder(client_id=ENTRY_ORDER, symbol=SYMBOL, side=self.spec.side, body=body)

    def accept(self) -> None:
        self.plan(self.entry_request)
        accepted = EntryAccepted(
            entry_id=ENTRY_ID,
            at_ms=self.now_ms,
            spec=self.spec,
            body_hash="h",
            actor="s4",
            notional_usdt=Decimal(100),
        )
        self.state.apply(accepted)

    def fill(self) -> "SpotDesk":
        """Accept the entry, and execute and report its order."""
        self.accept()
        self.exchange.place(self.entry_request)
        self.report(ENTRY_ORDER)
        return self

    def pass_ms(self, ms: int) -> None:
        self.now_ms += ms
        self.exchange.now_ms = self.now_ms

    def move(self, bid: str) -> None:
        self.exchange.bid = Decimal(bid)
        self.exchange.ask = Decimal(bid) + Decimal("0.01")

    def plan(self, request: OrderRequest) -> None:
        self.state.apply(
            OrderPlanned(
                client_id=request.client_id,
                request=request,
                entry_id=ENTRY_ID,
                signed_at_ms=self.now_ms,
                recv_window_ms=RECV_WINDOW_MS,
                request_hash="r",
            )
        )

    def conclude(self, event: OrderConclusion) -> None:
        if (concluded := conclude(self.state.orders[event.client_id], event)) is not None:
            self.state.apply(concluded)

    def observe(self, reports: Iterable[Report]) -> None:
        for report in reports:
            for event in observe(self.state, report, {}):
                self.state.apply(event)

    def report(self, client_id: str) -> None:
        """The stream reports all that has happened to an order."""
        self.observe(self.exchange.reports_of(client_id, ReportSource.STREAM))

    def situation(self) -> Situation:
        orders = self.state.entries.orders_of(ENTRY_ID)
        prices = CurrentPrices(bid=self.exchange.bid, ask=self.exchange.ask)
        return Situation(
            entry=self.entry,
            orders=EntryOrders.of(self.state.orders[name] for name in orders),
            now_ms=self.now_ms,
            fills=self.state.entries.fills_of(ENTRY_ORDER),
            instrument=self.instrument,
            busy=frozenset(self.busy),
            not_found=frozenset(self.not_found),
            free_quote=self.free_quote,
            prices=prices if self.sees_prices else None,
            blind_since_ms=self.blind_since_ms,
            held_until_ms=self.held_until_ms,
        )

    def decide(self) -> NextSteps:
        """Store what the decision records, and leave the other steps to the caller."""
        while True:
            decided = decide_spot(self.situation())
            records = [step for step in decided.steps if isinstance(step, Record)]
            for record in records:
                self.state.apply(record.event)
            if not records:
                return decided

    def step(self) -> Step | None:
        """The only step that is not a record; None without one."""
        steps = self.decide().steps
        assert len(steps) <= 1, steps
        return steps[0] if steps else None

    def placed(self) -> OrderRequest:
        """Plan the order that the decision places."""
        step = self.step()
        assert isinstance(step, Place), step
        self.plan(step.request)
        return step.request

    def place(self) -> OrderRequest:
        """Place it, and see it at the exchange."""
        request = self.placed()
        self.exchange.place(request)
        self.report(request.client_id)
        return request

    def refuse(self, reason: RefusalReason, message: str = "no") -> OrderRequest:
        """Place it, and see it refused."""
        request = self.placed()
        self.conclude(
            OrderRefused(client_id=request.client_id, reason=reason, code=-1, message=message)
        )
        return request

    def lose(self, *, placed: bool) -> OrderRequest:
        """Place it, and hear nothing."""
        request = self.placed()
        if placed:
            self.exchange.place(request)
        self.conclude(OrderUnknown(client_id=request.client_id, cause="time-out"))
        return request

    def cancel(self) -> str:
        """Cancel at the exchange what the decision cancels; the stream reports it."""
        step = self.step()
        assert isinstance(step, Cancel), step
        self.conclude(CancelRequested(client_id=step.client_id, signed_at_ms=self.now_ms))
        self.exchange.cancel(step.client_id)
        self.report(step.client_id)
        return step.client_id

    def look_up(self) -> str:
        step = self.step()
        assert isinstance(step, LookUp), step
        if self.exchange.has(step.client_id):
            self.observe(self.exchange.reports_of(step.client_id, ReportSource.READ))
        else:
            self.not_found.add(step.client_id)
        return step.client_id

    def request_cancel(self, *, disarm: bool) -> None:
        self.state.apply(
            EntryCancelRequested(entry_id=ENTRY_ID, at_ms=self.now_ms, disarm=disarm, actor="s4")
        )
