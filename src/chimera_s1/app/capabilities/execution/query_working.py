"""Query working orders, more often while their private stream is not proven, and find out whether
it is deaf.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping

import anyio
from anyio.abc import TaskGroup

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.record_replies import LEDGER_ERRORS
from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.execution.deaf_stream_check import EVENT_DUE_MS, DeafStreamCheck
from chimera_s1.domain.execution.order_request import OrderRef
from chimera_s1.domain.execution.query_schedule import (
    TRUSTED_INTERVAL_MS,
    UNPROVEN_INTERVAL_MS,
    QuerySchedule,
)
from chimera_s1.domain.execution.reports import OrderReport
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder, client_ids_of
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.account_stream import AccountStream, StreamCondition
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import OrderFound, OrderGateway

ACTOR = "s1/queries"
TICK_MS = 250.0
REQUESTS_PER_TICK = 3
"""12 a second: spot counts 4 of its 6,000 a minute for each, so this is less than half of it."""

QUERIES_AT_ONCE = 12
UNJUDGED_MAX = 1_000

_log = logging.getLogger(__name__)


class QueryWorking:
    """Args:
    streams, deaf_checks: By venue that is served; *deaf_checks* are fed by `FollowAccount`.
    exchange_ms: The exchange's clock, epoch ms; raises ClockUncertainError.

    Attributes:
        queries, not_found, failures: So many since the start.
        renewals: Of deaf streams, by venue.
        late: Queries that are due and wait for their turn.
        last_error: Of the last query; empty if it succeeded.
    """

    def __init__(
        self,
        ledger: ExecutionLedger,
        gateway: OrderGateway,
        streams: Mapping[Venue, AccountStream],
        deaf_checks: Mapping[Venue, DeafStreamCheck],
        *,
        clock: Clock,
        exchange_ms: Callable[[Venue], float],
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._streams = streams
        self._deaf_checks = deaf_checks
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._schedule = QuerySchedule(REQUESTS_PER_TICK)
        self._querying: set[str] = set()
        self._unjudged: deque[OrderReport] = deque(maxlen=UNJUDGED_MAX)
        self.queries = 0
        self.not_found = 0
        self.failures = 0
        self.renewals = dict.fromkeys(streams, 0)
        self.late = 0
        self.last_error = ""

    async def run(self) -> None:
        """Query until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._judge_streams()
                self._start_queries(tasks)
                await self._clock.sleep_ms(TICK_MS)

    def _start_queries(self, tasks: TaskGroup) -> None:
        orders = [
            order for order in self._ledger.state.open_orders() if self._can_be_queried(order)
        ]
        intervals = {order.client_id: self._interval_ms(order.venue) for order in orders}
        if len(self._querying) >= QUERIES_AT_ONCE:
            self.late = len(intervals)
            return
        requests = {order.client_id: _requests_of(order) for order in orders}
        now = self._schedule.next_round(intervals, self._clock.monotonic_ms(), requests)
        self.late = now.late
        for client_id in now.due:
            self._querying.add(client_id)
            tasks.start_soon(self._query, self._ledger.state.orders[client_id])

    def _can_be_queried(self, order: TrackedOrder) -> bool:
        """Not of a venue that this instance does not serve any more."""
        return (
            order.phase is OrderPhase.ACKNOWLEDGED
            and order.client_id not in self._querying
            and order.venue in self._streams
        )

    def _interval_ms(self, venue: Venue) -> float:
        proven = self._streams[venue].report().condition is StreamCondition.PROVEN
        return TRUSTED_INTERVAL_MS if proven else UNPROVEN_INTERVAL_MS

    async def _query(self, order: TrackedOrder) -> None:
        try:
            for ref in order.lookup_refs():
                await self._query_one(ref)
        except (ExchangeUnavailableError, ExchangeRefusedError, *LEDGER_ERRORS) as error:
            self.failures += 1
            if str(error) != self.last_error:
                _log.warning("cannot query order %s: %s; retrying", order.client_id, error)
            self.last_error = str(error)
        else:
            self.last_error = ""
        finally:
            self._querying.discard(order.client_id)

    async def _query_one(self, ref: OrderRef) -> None:
        """An order that is not found proves nothing: queries lag, and forget old orders."""
        self.queries += 1
        result = await self._gateway.find(ref)
        if not isinstance(result, OrderFound):
            self.not_found += 1
            return
        self._unjudged += (each for each in result.reports if isinstance(each, OrderReport))
        await self._ledger.record(ACTOR, *result.reports)

    def _judge_streams(self) -> None:
        """What ended is not queried again: a report waits until the stream has had its time."""
        for _ in range(len(self._unjudged)):
            report = self._unjudged.popleft()
            now_ms = self._exchange_ms_of(report.family.venue)
            if now_ms is None or report.at_ms > now_ms - EVENT_DUE_MS:
                self._unjudged.append(report)
            elif self._deaf_checks[report.family.venue].missed(report, now_ms):
                self._renew(report, now_ms)

    def _renew(self, read: OrderReport, at_ms: float) -> None:
        venue, now_ms = read.family.venue, self._clock.monotonic_ms()
        if not self._deaf_checks[venue].may_renew(now_ms):
            return
        cause = (
            f"order {read.exchange_id} of {read.symbol} has been {read.status}, "
            f"{read.filled_qty} filled, for {at_ms - read.at_ms:.0f} ms, and no event of the "
            "stream says so"
        )
        _log.warning("the private stream of %s is deaf: %s; connecting again", venue.value, cause)
        self._deaf_checks[venue].renew(now_ms)
        self.renewals[venue] += 1
        self._streams[venue].renew(cause)

    def _exchange_ms_of(self, venue: Venue) -> float | None:
        try:
            return self._exchange_ms(venue)
        except ClockUncertainError:
            return None


def _requests_of(order: TrackedOrder) -> int:
    """Of one query: the legs of a list are read one by one."""
    return len(order.lookup_refs()) + len(client_ids_of(order.request)) - 1
