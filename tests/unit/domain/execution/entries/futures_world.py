"""A futures entry between a ledger and an exchange that loses, delays, refuses and repeats.

Each decision is checked against the rules, and the end against the exchange's books.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from chimera_s1.domain.execution.entries.attempts import is_live, is_unresolved
from chimera_s1.domain.execution.entries.events import ENDED, EntryChanged, EntryStatus
from chimera_s1.domain.execution.entries.specs import OnUnprotected, exit_side
from chimera_s1.domain.execution.entries.steps import (
    Cancel,
    LookUp,
    NextSteps,
    Place,
    Record,
    Situation,
)
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import OneWay, PerpAlgoOrder, PerpOrder
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.execution.reports import ReportSource
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from tests.unit.domain.execution.entries.futures_exchange import (
    ZERO,
    Booked,
    Exchange,
    ViolationError,
    is_stop,
)
from tests.unit.domain.execution.entries.futures_ledger import (
    ENTRY_ID,
    ENTRY_ORDER,
    INSTRUMENT,
    SPEC,
    FuturesLedger,
)

CLOCK_STEPS_MS = (1, 10, 100, 250, 500, 1_000, 2_000, 10_000)
HIDDEN_MS = (0, 3_000, 20_000)
RECV_WINDOW_MS = 2_000
ABSENT_MS = 9_000
DECISIONS_MAX = 20
TURNS_MAX = 300
ACTIONS = (
    "reply",
    "reply",
    "reply",
    "deliver",
    "deliver",
    "fill",
    "fill",
    "clock",
    "clock",
    "trigger",
    "close_elsewhere",
    "drop_report",
    "repeat_report",
    "late_arrival",
    "restart",
    "read",
    "cancel",
    "expire_stop",
)
STOP_REFUSALS = (None, None, None, RefusalReason.ORDERS_MAX, RefusalReason.TURNED_AWAY)

Machine = Callable[[Situation], NextSteps]
Action = tuple[str, int]


class World:
    """*draw* chooses the entry and the mood of the exchange."""

    def __init__(self, machine: Machine, draw: int) -> None:
        self.machine = machine
        alarm_only, draw = draw % 4 == 0, draw // 4
        small, draw = draw % 3 == 0, draw // 3
        unprotected = OnUnprotected.ALARM if alarm_only else OnUnprotected.CLOSE
        instrument = replace(INSTRUMENT, market_max_qty=Decimal(4 if small else 100))
        self.ledger = FuturesLedger(replace(SPEC, on_unprotected=unprotected), instrument)
        self.ledger.prices = CurrentPrices(
            bid=Decimal(99), ask=Decimal(100), reference=Decimal(100)
        )
        self.exchange = Exchange(self.ledger, STOP_REFUSALS[draw % len(STOP_REFUSALS)])
        entry_order = self.ledger.order(ENTRY_ORDER).request
        self.in_flight: list[Place | Cancel | LookUp] = [Place(request=entry_order)]
        self.ledger.busy.add(ENTRY_ORDER)
        self.late: list[Place] = []
        # Most entries get as far as a working order.
        self.is_calm = draw % 7 > 0
        if self.is_calm:
            self.reply(0)
        self.is_calm = False

    def run(self, actions: Iterable[Action]) -> None:
        self.decide()
        for name, draw in actions:
            getattr(self, name)(draw)
            self.decide()
        self.settle()

    # What happens.

    def reply(self, draw: int) -> None:
        if not self.in_flight:
            return
        step = self.in_flight.pop(draw % len(self.in_flight))
        draw //= 7
        match step:
            case Place():
                self._place(step, draw)
                self.ledger.busy.discard(step.request.client_id)
            case Cancel(client_id=client_id):
                if (booked := self.exchange.orders.get(client_id)) and (draw % 4 or self.is_calm):
                    self.exchange.end(booked, "CANCELED")
                self.ledger.busy.discard(client_id)
            case LookUp(client_id=client_id):
                self.ledger.busy.discard(client_id)
                if (booked := self.exchange.find(client_id)) is not None:
                    self._read(booked)
                else:
                    self.ledger.not_found.add(client_id)

    def deliver(self, draw: int) -> None:
        reports = self.exchange.reports
        if reports:
            self.ledger.observe(reports.pop(draw % len(reports)))

    def drop_report(self, draw: int) -> None:
        reports = self.exchange.reports
        if reports:
            reports.pop(draw % len(reports))

    def repeat_report(self, draw: int) -> None:
        reports = self.exchange.reports
        if reports:
            self.ledger.observe(reports[draw % len(reports)])

    def fill(self, draw: int) -> None:
        booked = self.exchange.orders.get(ENTRY_ORDER)
        if booked is not None and booked.is_live:
            self.exchange.trade(booked, Decimal(1 + draw % 4))

    def trigger(self, draw: int) -> None:
        for booked in self.exchange.live_stops()[: 1 + draw % 2]:
            self.exchange.trigger(booked, draw // 2)

    def expire_stop(self, draw: int) -> None:
        stops = self.exchange.live_stops()
        if stops:
            self.exchange.end(stops[draw % len(stops)], "EXPIRED")

    def close_elsewhere(self, draw: int) -> None:
        self.exchange.close_elsewhere(Decimal(1 + draw % 10))

    def cancel(self, draw: int) -> None:
        if draw % 4 == 0:
            self.ledger.cancel(disarm=draw % 3 == 0)

    def clock(self, draw: int) -> None:
        self.ledger.now_ms += CLOCK_STEPS_MS[draw % len(CLOCK_STEPS_MS)]

    def late_arrival(self, _draw: int) -> None:
        late, self.late = self.late, []
        for step in late:
            request = step.request
            signed_ms = self.ledger.order(request.client_id).signed_at_ms
            in_time = self.ledger.now_ms <= signed_ms + RECV_WINDOW_MS
            if in_time and self.exchange.refusal(request) is None:
                self.exchange.accept(request, 1)

    def restart(self, draw: int) -> None:
        """What was on its way has arrived or not; this process knows nothing of it."""
        for step in self.in_flight:
            if isinstance(step, Place) and draw % 2 and not self.exchange.refusal(step.request):
                self.exchange.accept(step.request, draw)
        self.in_flight.clear()
        self.ledger.busy.clear()
        self.ledger.not_found.clear()

    def read(self, _draw: int) -> None:
        """A complete read of orders and trades."""
        self.late_arrival(0)
        for booked in list(self.exchange.orders.values()):
            if self.exchange.find(booked.request.client_id) is not None:
                self._read(booked)
        for trade in self.exchange.trades:
            self.ledger.observe(trade)
        for order in self._orders():
            over = self.ledger.now_ms >= order.signed_at_ms + ABSENT_MS
            name = order.client_id
            is_missed = name not in self.ledger.busy and self.exchange.find(name) is None
            if is_unresolved(order) and over and is_missed:
                self.ledger.absent(name)

    def _read(self, booked: Booked) -> None:
        for report in self.exchange.state_of(booked, ReportSource.READ):
            self.ledger.observe(report)

    def _place(self, step: Place, draw: int) -> None:
        request = step.request
        client_id = request.client_id
        outcome = 0 if self.is_calm else draw % 9
        if outcome == 8:
            self.ledger.not_sent(client_id)
            return
        if outcome in {6, 7}:  # lost, or late
            self.ledger.lose(client_id)
            self.late += [step] if outcome == 7 else []
            return
        if refusal := self.exchange.refusal(request):
            self.ledger.refuse(client_id, refusal)
            return
        hidden_ms = HIDDEN_MS[draw // 9 % len(HIDDEN_MS)] if outcome == 5 else 0
        self.exchange.accept(request, 1 if self.is_calm else draw // 9, hidden_ms)
        if outcome in {4, 5}:
            self.ledger.lose(client_id)
            return
        reply = self.exchange.state_of(self.exchange.orders[client_id], ReportSource.REPLY)
        for report in reply:
            self.ledger.observe(report)

    # What the machine does.

    def decide(self) -> NextSteps:
        for _ in range(DECISIONS_MAX):
            following = self.machine(self.ledger.situation())
            records = [step.event for step in following.steps if isinstance(step, Record)]
            for step in following.steps:
                self._begin(step)
            for event in records:
                self.ledger.record(event)
            if not records:
                return following
        raise ViolationError(f"no stable picture: {records}")

    def _begin(self, step: Place | Cancel | LookUp | Record) -> None:
        match step:
            case Record():
                return
            case Place(request=request):
                client_id = request.client_id
                self._check_placement(step)
            case Cancel(client_id=client_id) | LookUp(client_id=client_id):
                if isinstance(step, Cancel):
                    self._check_cancel(client_id)
        if client_id in self.ledger.busy:
            raise ViolationError(f"{client_id} is busy")
        self.ledger.busy.add(client_id)
        if isinstance(step, Place):
            self.ledger.plan(step.request)
        elif isinstance(step, Cancel):
            self.ledger.cancel_requested(step)
        self.in_flight.append(step)

    def _orders(self) -> list[TrackedOrder]:
        names = self.ledger.state.entries.orders_of(ENTRY_ID)
        return [self.ledger.order(name) for name in names]

    def _stops(self) -> list[TrackedOrder]:
        return [order for order in self._orders() if is_stop(order.request)]

    def _known_held(self) -> Decimal:
        """At most; what others have closed is left out."""
        closing = [order for order in self._orders() if order.client_id != ENTRY_ORDER]
        closed = sum((order.filled_qty for order in closing), ZERO)
        return self.ledger.order(ENTRY_ORDER).filled_qty - closed

    def _check_placement(self, step: Place) -> None:
        request = step.request
        assert isinstance(request, PerpOrder | PerpAlgoOrder)
        if request.client_id in self.ledger.state.orders:
            raise ViolationError(f"{request.client_id} is used twice")
        if request.scope != OneWay(reduce_only=True) or request.side is not exit_side(SPEC.side):
            raise ViolationError(f"{request} can open a position")
        if request.body.qty > self._known_held():
            raise ViolationError(f"{request} is for more than is held")
        unresolved = [order for order in self._stops() if is_unresolved(order)]
        if is_stop(request):
            if any(order.client_id not in self.ledger.not_found for order in unresolved):
                raise ViolationError("a stop is placed again without a look-up")
        elif request.body.qty + self._may_stand() > self._known_held():
            raise ViolationError(f"{request} closes what a stop may protect")

    def _may_stand(self) -> Decimal:
        """What stops may still close, as far as the ledger knows."""
        return sum(
            (
                quantity(stop) - stop.filled_qty
                for stop in self._stops()
                if is_unresolved(stop) or (is_live(stop) and not stop.cancel_requested_ms)
            ),
            ZERO,
        )

    def _check_cancel(self, client_id: str) -> None:
        entry = self.ledger.situation().entry
        if client_id == ENTRY_ORDER or (entry.cancel is not None and entry.cancel.disarm):
            return
        rest = [
            quantity(stop) - stop.filled_qty
            for stop in self._stops()
            if is_live(stop) and stop.client_id != client_id and not stop.cancel_requested_ms
        ]
        if sum(rest, ZERO) < self._known_held() - entry.reduced_qty:
            raise ViolationError(f"the cancel of {client_id} leaves something without a stop")

    # How it ends.

    def settle(self) -> None:
        """The exchange loses nothing any more. Go on until nothing is left to do."""
        self.is_calm = True
        for _ in range(TURNS_MAX):
            self.read(0)
            while self.in_flight:
                self.reply(1)
            self.read(0)
            following = self.decide()
            if self.in_flight:
                continue
            is_hidden = any(self.exchange.find(name) is None for name in self.exchange.orders)
            waits = is_hidden or any(is_unresolved(order) for order in self._orders())
            if following.wake_ms is None and not waits:
                self._check_end()
                return
            self.ledger.now_ms = max(following.wake_ms or 0, self.ledger.now_ms + 500)
        self._check_endless()

    def _check_endless(self) -> None:
        """Only where each stop is refused: a close is not allowed, or a stop is too large."""
        entry, exchange = self.ledger.situation().entry, self.exchange
        standing = sum((stop.open_qty for stop in exchange.live_stops()), ZERO)
        if exchange.stop_refusal is not None and standing > exchange.held() > 0:
            return
        alarm_only = self.ledger.spec.on_unprotected is OnUnprotected.ALARM
        if not alarm_only or exchange.stop_refusal is None:
            raise ViolationError("it never comes to rest")
        if not entry.alarmed_ms or entry.status is not EntryStatus.UNPROTECTED:
            raise ViolationError("nothing is protected, and there is no alarm")

    def _check_end(self) -> None:
        entry, exchange = self.ledger.situation().entry, self.exchange
        picture = entry.picture
        if picture is None:
            raise ViolationError("there is no picture")
        if exchange.orders.get(ENTRY_ORDER) and exchange.orders[ENTRY_ORDER].is_live:
            raise ViolationError("the entry order is still open")
        standing = sum((stop.open_qty for stop in exchange.live_stops()), ZERO)
        if picture.status is EntryStatus.CANCELED and entry.cancel and entry.cancel.disarm:
            if standing:
                raise ViolationError("disarmed, and a stop is left")
            return
        if standing != exchange.held():
            raise ViolationError(f"{standing} protected of {exchange.held()} that is held")
        if (picture.status in ENDED) is bool(exchange.held()):
            raise ViolationError(f"{picture.status} with {exchange.held()} held")
        self._check_numbers(picture)

    def _check_numbers(self, picture: EntryChanged) -> None:
        filled, held = self.exchange.filled(), self.exchange.held()
        found = (picture.filled_qty, picture.protected_qty, picture.closed_qty)
        if found != (filled, held, filled - held):
            raise ViolationError(f"{found} reported of {filled} filled, {held} held")


def quantity(order: TrackedOrder) -> Decimal:
    assert isinstance(order.request, PerpOrder | PerpAlgoOrder)
    return order.request.body.qty


def run(machine: Machine, draw: int, actions: Sequence[Action]) -> None:
    World(machine, draw).run(actions)
