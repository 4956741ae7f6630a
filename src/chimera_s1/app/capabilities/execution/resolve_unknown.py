"""Look up orders whose placement has an unknown outcome, until it is certain."""

import logging
from collections import Counter
from collections.abc import Callable, Container
from typing import Final, assert_never

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.orders_in_flight import OrdersInFlight
from chimera_s1.app.capabilities.execution.record_replies import LEDGER_ERRORS
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.execution.events import OrderAbsent
from chimera_s1.domain.execution.order_lookup import OrderLookup
from chimera_s1.domain.execution.order_request import ref_of
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import OrderFound, OrderGateway, OrderNotFound

ACTOR = "s1/resolver"
POLL_INTERVAL_MS = 250.0
LOOKUPS_AT_ONCE = 8
PLANNED_GRACE_MS = 3_000
"""A planned order that this instance does not send may be in flight at another one for so long."""

LATE_WATCH_MS = 300_000
"""An absent order is looked up until a lookup begins so long after it was signed, also after a
restart: an overloaded exchange has executed orders a minute after its 503.
"""

LATE_INTERVAL_MS = 30_000.0
LATE_KEPT_MS = 86_400_000
"""After a longer outage an absent order is not looked up any more."""

EXCHANGE_ERRORS = (ExchangeUnavailableError, ExchangeRefusedError)
_UNKNOWN: Final = frozenset({OrderPhase.PLANNED, OrderPhase.UNKNOWN})

_log = logging.getLogger(__name__)


class _Task(Struct):
    """Attributes:
    due_ms: Of the next lookup, monotonic.
    """

    lookup: OrderLookup
    due_ms: float


class ResolveUnknown:
    """Needs no memory of its own: after a restart the lookups of an unknown order begin again.

    Args:
        exchange_ms: The exchange's clock, epoch ms; raises ClockUncertainError.
        draw: Uniform in [0, 1).
        venues: Those that are served; nothing can be looked up at another one.

    Attributes:
        lookups: By result: `found`, `not_found`, `failed`.
        last_error: Of the last lookup, or of the record of its result; empty if it succeeded.
    """

    def __init__(
        self,
        ledger: ExecutionLedger,
        gateway: OrderGateway,
        *,
        clock: Clock,
        exchange_ms: Callable[[Venue], float],
        in_flight: OrdersInFlight,
        draw: Callable[[], float],
        venues: Container[Venue] = tuple(Venue),
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._in_flight = in_flight
        self._draw = draw
        self._venues = venues
        self._tasks: dict[str, _Task] = {}
        self._looking: set[str] = set()
        self._late: set[str] = set()
        self._late_due_ms = 0.0
        self._watched_to_end: set[str] = set()
        self._wake = ChangeSignal()
        self.lookups: Counter[str] = Counter()
        self.last_error = ""

    def unresolved(self) -> tuple[TrackedOrder, ...]:
        """Orders that may have been placed, oldest first; without those that are being sent."""
        unknown = self._ledger.state.unknown_orders()
        waiting = [order for order in unknown if order.client_id not in self._in_flight]
        return tuple(sorted(waiting, key=lambda order: order.signed_at_ms))

    def hurry(self, client_id: str) -> None:
        """Look the order up now, if it is unresolved."""
        task = self._tasks.get(client_id)
        if task is not None:
            task.due_ms = self._clock.monotonic_ms()
        self._wake.notify()

    async def run(self) -> None:
        """Look orders up until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                version = self._wake.version
                self._start_lookups(tasks)
                await self._wake.wait_after(self._clock, POLL_INTERVAL_MS, version=version)

    def _start_lookups(self, tasks: TaskGroup) -> None:
        now_ms = self._clock.monotonic_ms()
        unresolved = self.unresolved()
        waiting = {order.client_id for order in unresolved}
        self._tasks = {name: task for name, task in self._tasks.items() if name in waiting}
        due = [order for order in unresolved if self._task_of(order, now_ms).due_ms <= now_ms]
        for order in (*due, *self._absent_but_watched(now_ms)):
            if len(self._looking) < LOOKUPS_AT_ONCE and self._can_be_looked_up(order):
                self._looking.add(order.client_id)
                self._late.discard(order.client_id)
                tasks.start_soon(self._look_up, order)

    def _can_be_looked_up(self, order: TrackedOrder) -> bool:
        return order.client_id not in self._looking and order.venue in self._venues

    def _task_of(self, order: TrackedOrder, now_ms: float) -> _Task:
        task = self._tasks.get(order.client_id)
        if task is None:
            lookup = OrderLookup(
                signed_at_ms=order.signed_at_ms, recv_window_ms=order.recv_window_ms
            )
            task = _Task(lookup, now_ms + self._grace_ms(order))
            self._tasks[order.client_id] = task
        return task

    def _grace_ms(self, order: TrackedOrder) -> float:
        exchange_ms = self._exchange_ms_of(order.venue)
        if order.phase is not OrderPhase.PLANNED:
            return 0.0
        if exchange_ms is None:
            return PLANNED_GRACE_MS
        return max(0.0, order.signed_at_ms + PLANNED_GRACE_MS - exchange_ms)

    def _absent_but_watched(self, now_ms: float) -> list[TrackedOrder]:
        """Those that are due and wait for their lookup."""
        orders = self._ledger.state.orders
        if now_ms >= self._late_due_ms:
            self._late_due_ms = now_ms + LATE_INTERVAL_MS
            absent = {name for name, each in orders.items() if each.phase is OrderPhase.ABSENT}
            self._watched_to_end &= absent
            waiting = absent - self._watched_to_end
            self._late = {name for name in waiting if self._is_watched(orders[name])}
        found = [orders[name] for name in self._late if name in orders]
        return [order for order in found if order.phase is OrderPhase.ABSENT]

    def _is_watched(self, order: TrackedOrder) -> bool:
        exchange_ms = self._exchange_ms_of(order.venue)
        return exchange_ms is not None and exchange_ms <= order.signed_at_ms + LATE_KEPT_MS

    async def _look_up(self, order: TrackedOrder) -> None:
        try:
            await self._look_up_once(order)
        except EXCHANGE_ERRORS as error:
            self.lookups["failed"] += 1
            self._report_error(order, str(error))
            self._advance(order, OrderLookup.after_failure)
        except LEDGER_ERRORS as error:
            self._report_error(order, str(error))
            self._advance(order, OrderLookup.after_failure)
        else:
            self.last_error = ""
        finally:
            self._looking.discard(order.client_id)

    async def _look_up_once(self, order: TrackedOrder) -> None:
        begun_ms = self._exchange_ms_of(order.venue)
        result = await self._gateway.find(ref_of(order.request))
        match result:
            case OrderFound(reports=reports):
                self.lookups["found"] += 1
                await self._ledger.record(ACTOR, *reports)
                # Still unresolved if the reports do not name it: look again, more slowly.
                self._advance(order, OrderLookup.after_failure)
            case OrderNotFound():
                self.lookups["not_found"] += 1
                await self._conclude_absence(order, begun_ms)
            case _:
                assert_never(result)

    async def _conclude_absence(self, order: TrackedOrder, begun_ms: float | None) -> None:
        task = self._tasks.get(order.client_id)
        if task is None:  # resolved meanwhile, or absent already
            if begun_ms is not None and begun_ms > order.signed_at_ms + LATE_WATCH_MS:
                self._watched_to_end.add(order.client_id)
            return
        lookup = task.lookup.after_not_found()
        if lookup.proves_absence(begun_ms):
            assert begun_ms is not None
            absent = OrderAbsent(
                client_id=order.client_id,
                lookups=lookup.not_found,
                last_lookup_ms=round(begun_ms),
            )
            await self._ledger.conclude(absent, ACTOR)
            _log.warning(
                "order %s of %s is absent after %d lookups: it was not placed",
                order.client_id,
                order.request.symbol,
                lookup.not_found,
            )
            return
        self._advance(order, OrderLookup.after_not_found)

    def _advance(self, order: TrackedOrder, after: Callable[[OrderLookup], OrderLookup]) -> None:
        task = self._tasks.get(order.client_id)
        if task is None:
            return
        task.lookup = after(task.lookup)
        wait_ms = task.lookup.wait_ms(self._exchange_ms_of(order.venue), self._draw())
        task.due_ms = self._clock.monotonic_ms() + wait_ms

    def _exchange_ms_of(self, venue: Venue) -> float | None:
        try:
            return self._exchange_ms(venue)
        except ClockUncertainError:
            return None

    def _report_error(self, order: TrackedOrder, error: str) -> None:
        if error != self.last_error:
            _log.warning("cannot look up order %s: %s; retrying", order.client_id, error)
        self.last_error = error
