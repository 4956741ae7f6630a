"""A spot entry through seeded faults: lost and late requests, refusals, restarts, moving prices.

Every decision is checked against the books of the exchange. At the end the faults stop, and what is
left must be stable and accounted for.
"""

from collections.abc import Callable
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from chimera_s1.domain.execution.entries.events import ENDED, EntryStatus
from chimera_s1.domain.execution.entries.specs import SpotEntrySpec, exit_side
from chimera_s1.domain.execution.entries.spot_holding import SpotHolding, spot_holding
from chimera_s1.domain.execution.entries.steps import Cancel, LookUp, NextSteps, Place
from chimera_s1.domain.execution.events import (
    CancelRequested,
    OrderAbsent,
    OrderNotSent,
    OrderRefused,
    OrderUnknown,
    RefusalReason,
)
from chimera_s1.domain.execution.order_request import OrderRequest, Side, SpotOco
from chimera_s1.domain.execution.reports import ReportSource
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from tests.unit.domain.execution.entries.spot_desk import ENTRY_ORDER, SpotDesk
from tests.unit.domain.execution.entries.spot_exchange import INSTRUMENT, STEP, ZERO, OrderList

ACTIONS = 40
SETTLING_ROUNDS = 120
ABSENT_MS = 7_000
REFUSALS = (
    RefusalReason.TURNED_AWAY,
    RefusalReason.TURNED_AWAY,
    RefusalReason.UNSUPPORTED,
    RefusalReason.ORDERS_MAX,
    RefusalReason.BALANCE,
)
PRICES = ("85", "89", "95", "100", "105", "111")


class SpotRun:
    """Attributes:
    late: Requests that reach the exchange later.
    replies: Of requests that are under way: what they will bring.
    missed: Orders that a lookup has not found.
    had_late_list: A list came to the exchange after a lookup had missed it, or after the next one
        was planned: both may trade.
    faults: Which of them have happened.
    """

    def __init__(self, seed: int, spec: SpotEntrySpec) -> None:
        self.random = Random(seed)
        self.desk = SpotDesk(spec)
        self.late: list[OrderRequest] = []
        self.replies: dict[str, Callable[[], None]] = {}
        self.missed: set[str] = set()
        self.had_late_list = False
        self.faults: set[str] = set()
        self.is_calm = False
        self.budget: Decimal | None = None
        self._actions: dict[Callable[[], None], float] = {
            self._decide: 12,
            self._deliver: 6,
            self._reply: 4,
            self._arrive: 2,
            self._move: 2,
            self._pass_time: 4,
            self._resolve: 2,
            self._restart: 1,
            self._hide_prices: 1,
            self._request_cancel: 0.2,
            self.desk.exchange.say_commissions: 1,
        }

    def run(self) -> None:
        desk = self.desk
        desk.exchange.commission_asset = self.random.choice(("BTC", "BTC", "BNB", None))
        if desk.spec.side is Side.SELL:
            desk.exchange.commission_asset = "BNB"
            self.budget = self.random.choice((None, None, Decimal(60)))
        if self.random.random() < 0.3:
            desk.instrument = replace(INSTRUMENT, order_types=("LIMIT_MAKER", "STOP_LOSS_LIMIT"))
        if self.random.random() < 0.3:
            desk.exchange.fill_limit = Decimal("0.7")
        desk.accept()
        desk.exchange.place(desk.entry_request)
        desk.exchange.fill_limit = None
        for _ in range(ACTIONS):
            self._act()
            self._check_books()
            self._spend()
        self._settle()

    def _act(self) -> None:
        (action,) = self.random.choices(list(self._actions), list(self._actions.values()))
        action()

    def _spend(self) -> None:
        """Lists that buy lock their part of the quote balance."""
        if self.budget is not None:
            stop = self.desk.spec.sl_trigger_price
            locked = sum((listed.rest for listed in self.desk.exchange.lists.values()), ZERO) * stop
            self.desk.free_quote = max(self.budget - locked, ZERO)

    def _decide(self) -> None:
        decided = self.desk.decide()
        self._check_timer(decided)
        self._check_guard()
        for step in decided.steps:
            if isinstance(step, Place):
                self._check_place(step.request)
                self._place(step.request)
            elif isinstance(step, LookUp):
                self._look_up(step.client_id)
            elif isinstance(step, Cancel):
                self._cancel(step.client_id)

    def _place(self, request: OrderRequest) -> None:
        self.desk.plan(request)
        client_id = request.client_id
        outcomes: dict[str, Callable[[], None]] = {
            "accepted": lambda: self._accept(request),
            "refused": lambda: self._refuse(client_id),
            "not sent": lambda: self.desk.conclude(OrderNotSent(client_id=client_id, cause="late")),
            "reply lost": lambda: self._lose(request, placed=True),
            "request lost": lambda: self._lose(request, placed=False),
            "late": lambda: self._delay(request),
        }
        weights = (1, 0, 0, 0, 0, 0) if self.is_calm else (8, 3, 1, 2, 2, 2)
        ((name, outcome),) = self.random.choices(list(outcomes.items()), weights)
        self.faults.add(name)
        if not self.is_calm and self.random.random() < 0.5:
            self.desk.busy.add(client_id)
            self.replies[client_id] = outcome
        else:
            outcome()

    def _reply(self) -> None:
        if self.replies:
            client_id = self.random.choice(sorted(self.replies))
            self.desk.busy.discard(client_id)
            self.replies.pop(client_id)()

    def _accept(self, request: OrderRequest) -> None:
        if (reason := self._put(request)) is not None:
            self.desk.conclude(
                OrderRefused(client_id=request.client_id, reason=reason, code=-2010, message="no")
            )
        else:
            self.desk.observe(self.desk.exchange.reports_of(request.client_id, ReportSource.REPLY))

    def _put(self, request: OrderRequest) -> RefusalReason | None:
        """Place it at the exchange, unless the price has passed a leg."""
        exchange = self.desk.exchange
        if isinstance(request, SpotOco):
            leg = self._passed(request)
            if leg is not None:
                return RefusalReason.WOULD_TRIGGER if leg == "stop" else RefusalReason.POST_ONLY
            lists = [o for o in self.desk.state.orders.values() if isinstance(o.request, SpotOco)]
            is_newest = lists[-1].client_id == request.client_id
            self.had_late_list |= request.client_id in self.missed or not is_newest
        elif not self.is_calm and self.random.random() < 0.3:
            exchange.fill_limit = Decimal("0.2")
        exchange.place(request)
        exchange.fill_limit = None
        return None

    def _refuse(self, client_id: str) -> None:
        reason = self.random.choice(REFUSALS)
        self.faults.add(reason)
        self.desk.conclude(OrderRefused(client_id=client_id, reason=reason, code=-1, message="no"))

    def _lose(self, request: OrderRequest, *, placed: bool) -> None:
        if placed:
            self._put(request)
        self.desk.conclude(OrderUnknown(client_id=request.client_id, cause="time-out"))

    def _delay(self, request: OrderRequest) -> None:
        self.late.append(request)
        self.desk.conclude(OrderUnknown(client_id=request.client_id, cause="time-out"))

    def _arrive(self) -> None:
        """A request reaches the exchange late. It does before the order is known to be absent; an
        overloaded exchange may still place a list after that.
        """
        if self.late:
            request = self.late.pop(self.random.randrange(len(self.late)))
            known = self.desk.state.orders[request.client_id]
            if isinstance(request, SpotOco) or known.phase is OrderPhase.UNKNOWN:
                self._put(request)

    def _look_up(self, client_id: str) -> None:
        if not self.desk.exchange.has(client_id):
            self.desk.not_found.add(client_id)
            self.missed.add(client_id)
        self.desk.observe(self.desk.exchange.reports_of(client_id, ReportSource.READ))

    def _cancel(self, client_id: str) -> None:
        self.desk.conclude(CancelRequested(client_id=client_id, signed_at_ms=self.desk.now_ms))
        if self.is_calm or self.random.random() < 0.7:
            self.desk.exchange.cancel(client_id)
        else:
            self.faults.add("cancel lost")

    def _deliver(self) -> None:
        """A late report, the same one again, or nothing new."""
        exchange = self.desk.exchange
        name = self.random.choice([*exchange.orders, *exchange.lists])
        reports = list(exchange.reports_of(name, ReportSource.STREAM))
        self.desk.observe(self.random.sample(reports, self.random.randint(1, len(reports))))

    def _move(self) -> None:
        self.desk.move(self.random.choice(PRICES))
        for client_id, listed in self.desk.exchange.lists.items():
            if listed.take_profit.is_open and (leg := self._passed(listed.request)) is not None:
                self._trade(client_id, listed, leg)

    def _trade(self, client_id: str, listed: OrderList, leg: str) -> None:
        is_partial = self.random.random() < 0.4
        if is_partial:
            self.faults.add(f"partial {leg}")
        qty = max(listed.rest / 2 // STEP * STEP, STEP) if is_partial else listed.rest
        has_limit = listed.request.stop.limit is not None
        if leg == "stop" and has_limit and self.random.random() < 0.3:
            self.faults.add("limit passed")
            self.desk.exchange.trigger_stop(client_id)
        elif leg == "stop":
            self.desk.exchange.fire_stop(client_id, qty)
        else:
            self.desk.exchange.take_profit(client_id, qty)

    def _passed(self, request: SpotOco) -> str | None:
        exchange = self.desk.exchange
        stop, profit = request.stop.trigger, request.take_profit.price
        if request.side is Side.SELL:
            return "stop" if exchange.bid <= stop else "profit" if exchange.bid >= profit else None
        return "stop" if exchange.ask >= stop else "profit" if exchange.ask <= profit else None

    def _pass_time(self) -> None:
        self.desk.pass_ms(self.random.choice((50, 300, 2_000, 8_000)))

    def _resolve(self) -> None:
        for order in self._unresolved():
            client_id, late = order.client_id, {request.client_id for request in self.late}
            old = self.desk.now_ms - order.signed_at_ms >= ABSENT_MS
            if client_id in self.desk.busy or self.desk.exchange.has(client_id) or not old:
                continue
            if client_id in late and not isinstance(order.request, SpotOco):
                continue
            self.desk.conclude(
                OrderAbsent(client_id=client_id, lookups=3, last_lookup_ms=self.desk.now_ms)
            )

    def _restart(self) -> None:
        """Replies to requests that are under way are lost, whether or not they have arrived."""
        for client_id in sorted(self.replies):
            request = self.desk.state.orders[client_id].request
            if self.random.random() < 0.5:
                self._put(request)
        self.replies.clear()
        self.desk.busy.clear()
        self.desk.not_found.clear()
        self.faults.add("restart")

    def _hide_prices(self) -> None:
        self.desk.sees_prices = not self.desk.sees_prices
        self.desk.blind_since_ms = self.desk.now_ms

    def _request_cancel(self) -> None:
        self.desk.request_cancel(disarm=self.random.random() < 0.5)

    def _settle(self) -> None:
        """No more faults: everything arrives, and the entry is left alone until it is at rest."""
        self.is_calm, self.desk.sees_prices = True, True
        self.desk.exchange.say_commissions()
        while self.replies:
            self._reply()
        while self.late:
            self._arrive()
        for _ in range(SETTLING_ROUNDS):
            for name in (*self.desk.exchange.orders, *self.desk.exchange.lists):
                self.desk.observe(self.desk.exchange.reports_of(name, ReportSource.READ))
            self._spend()
            decided = self.desk.decide()
            version = self.desk.entry.version
            self._decide()
            self._check_books()
            if not decided.steps and decided.wake_ms is None and not self._unresolved():
                assert self.desk.entry.version == version, "the picture is not stable"
                self._check_end()
                return
            self.desk.pass_ms(max((decided.wake_ms or 0) - self.desk.now_ms, 100))
            self._resolve()
        raise AssertionError(f"not at rest: {decided}")

    def _unresolved(self) -> list[TrackedOrder]:
        phases = {OrderPhase.PLANNED, OrderPhase.UNKNOWN}
        return [order for order in self.desk.state.orders.values() if order.phase in phases]

    def _held(self) -> Decimal:
        """By the books of the exchange; negative if more was ended than held."""
        change = self.desk.exchange.base_change()
        return change if self.desk.spec.side is Side.BUY else -change

    def _check_place(self, request: OrderRequest) -> None:
        assert request.client_id not in self.desk.state.orders
        assert request.side is exit_side(self.desk.spec.side), "it opens"
        orders = self.desk.state.orders.values()
        lists = [order for order in orders if isinstance(order.request, SpotOco)]
        exits = [o for o in orders if o not in lists and o.client_id != ENTRY_ORDER]
        assert not any(order.is_open for order in exits), "beside an exit that may still trade"
        unresolved = [order for order in lists if order in self._unresolved()]
        if isinstance(request, SpotOco):
            qty = request.qty
            for order in unresolved:
                assert order.client_id in self.desk.not_found, "not looked up"
                assert order.client_id not in self.desk.busy, "under way"
        else:
            assert not unresolved, "an exit beside a list that may be there"
            qty = getattr(request.body, "qty", ZERO)
        known = self.desk.state.orders[ENTRY_ORDER].filled_qty
        assert qty <= known, "more than filled"
        if not self.had_late_list:
            assert qty <= self._held(), "more than held"

    def _check_books(self) -> None:
        """What lists can still end, and have ended, is held; a late one is a replacement more."""
        lists = self.desk.exchange.lists.values()
        replacement = max((listed.request.qty for listed in lists), default=ZERO)
        allowed = self._held() + (replacement if self.had_late_list else ZERO)
        assert sum((listed.rest for listed in lists), ZERO) <= allowed, "lists for more than held"

    def _check_guard(self) -> None:
        """Only a refusal makes a guard: an unknown outcome is none."""
        lists = [o for o in self.desk.state.orders.values() if isinstance(o.request, SpotOco)]
        refused = any(order.phase is OrderPhase.REFUSED for order in lists)
        is_guarded = self.desk.entry.guard is not None or self.desk.entry.triggered is not None
        assert refused or not is_guarded, "a guard, and no refusal"

    def _check_timer(self, decided: NextSteps) -> None:
        """What is exposed has a step, or a timer, or had its alarm, or is watched."""
        holding, entry = self._holding(), self.desk.entry
        if not holding.exposed or (entry.cancel is not None and entry.cancel.disarm):
            return
        is_watched = entry.guard is not None and self.desk.sees_prices
        assert decided.steps or decided.wake_ms or entry.alarmed_ms or is_watched, "no timer"

    def _holding(self) -> SpotHolding:
        return spot_holding(self.desk.situation(), self.desk.spec)

    def _check_end(self) -> None:
        holding, entry, exchange = self._holding(), self.desk.entry, self.desk.exchange
        resting = sum((listed.rest for listed in exchange.lists.values()), ZERO)
        assert holding.held == max(self._held(), ZERO), "the books differ"
        assert holding.covered == resting, "lists that are not needed, or not known"
        if entry.cancel is not None and entry.cancel.disarm:
            assert not resting
        elif holding.exposed and self.budget is not None:
            assert entry.alarmed_ms or entry.status is EntryStatus.GUARD, "no alarm"
        elif holding.exposed:
            assert entry.status is EntryStatus.GUARD, f"unprotected: {entry.picture}"
        if holding.covered and not holding.exposed:
            assert entry.status is EntryStatus.ARMED
        if not holding.covered and not holding.exposed:
            assert entry.status in ENDED, entry.picture
