"""Report the health of orders and of the private streams. Reads memory only."""

from collections.abc import Callable, Iterable

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.follow_account import FollowAccount
from chimera_s1.app.capabilities.execution.query_working import QueryWorking
from chimera_s1.app.capabilities.execution.record_replies import RecordReplies
from chimera_s1.app.capabilities.execution.resolve_unknown import ResolveUnknown
from chimera_s1.domain.execution.order_health import OrdersReport, PrivateStreamReport
from chimera_s1.domain.execution.order_lookup import KEPT_MS
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.ports.account_stream import AccountStream, StreamCondition
from chimera_s1.domain.ports.clock import Clock


class ReportOrders:
    """Args:
    store_errors: Errors of other users of the ledger's store; the first one is reported.
    relay_error: Why events do not reach `orders:executed`; empty while they do.
    """

    def __init__(
        self,
        ledger: ExecutionLedger,
        resolver: ResolveUnknown,
        queries: QueryWorking,
        recorder: RecordReplies,
        clock: Clock,
        *,
        store_errors: Iterable[Callable[[], str]] = (),
        relay_error: Callable[[], str] = lambda: "",
    ) -> None:
        self._ledger = ledger
        self._resolver = resolver
        self._queries = queries
        self._recorder = recorder
        self._clock = clock
        self._store_errors = tuple(store_errors)
        self._relay_error = relay_error

    def report(self) -> OrdersReport:
        unresolved = self._resolver.unresolved()
        working = [
            order
            for order in self._ledger.state.open_orders()
            if order.phase is OrderPhase.ACKNOWLEDGED
        ]
        other_error = next((error for read in self._store_errors if (error := read())), "")
        return OrdersReport(
            ledger_damage=self._ledger.damage,
            store_error=self._ledger.last_error or other_error,
            unrecorded=self._recorder.last_error,
            working=len(working),
            unknown=len(unresolved),
            oldest_unknown_ms=self._age_ms(unresolved[0]) if unresolved else 0,
            oldest_unknown=unresolved[0].client_id if unresolved else "",
            unprovable=sum(self._age_ms(order) > KEPT_MS for order in unresolved),
            lookup_error=self._resolver.last_error if unresolved else "",
            query_error=self._queries.last_error if working else "",
            late_queries=self._queries.late,
            relay_error=self._relay_error(),
            account_problem=self._ledger.account_problem,
        )

    def _age_ms(self, order: TrackedOrder) -> int:
        return max(0, self._clock.now_ms() - order.signed_at_ms)


class ReportPrivateStream:
    """Of one venue."""

    def __init__(
        self,
        stream: AccountStream,
        following: FollowAccount,
        queries: QueryWorking,
        clock: Clock,
    ) -> None:
        self._stream = stream
        self._following = following
        self._queries = queries
        self._clock = clock

    def report(self) -> PrivateStreamReport:
        now = self._stream.report()
        last_ms = now.last_event_ms
        return PrivateStreamReport(
            connected=now.condition is not StreamCondition.DISCONNECTED,
            proven=now.condition is StreamCondition.PROVEN,
            problem=now.problem,
            silent_ms=max(0, self._clock.now_ms() - last_ms) if last_ms else None,
            reconnects=now.reconnects,
            renewals=self._queries.renewals[self._stream.venue],
            record_error=self._following.last_error,
            waiting=self._following.waiting,
            dropped=self._following.dropped,
            overflowing=self._following.overflowing,
        )
