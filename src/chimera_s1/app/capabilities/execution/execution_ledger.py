"""The execution ledger: orders of ours, and every trade of the account."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.execution.unknown_reports import UnknownReports
from chimera_s1.app.capabilities.ledger.engine import Decision, LedgerEngine
from chimera_s1.domain.errors import (
    AppendUncertainError,
    ClientIdUsedError,
    InvalidValueError,
    LedgerDamagedError,
    LedgerTooNewError,
    OrderNotPlannedError,
    OtherAccountError,
    StoreUnavailableError,
)
from chimera_s1.domain.execution.client_ids import PREFIX, check_client_id, has_our_prefix
from chimera_s1.domain.execution.entries.events import EntryAccepted, EntryEvent
from chimera_s1.domain.execution.event_records import (
    decode_event,
    fill_stream,
    order_stream,
    stream_of,
    to_new_event,
)
from chimera_s1.domain.execution.events import (
    AccountBound,
    ExecutionEvent,
    FillEvent,
    FillRecorded,
    OrderConclusion,
    OrderEvent,
    OrderNotSent,
    OrderPlanned,
    PositionAdopted,
)
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.observation import Tracked, conclude, observe
from chimera_s1.domain.execution.order_index import OrderKey
from chimera_s1.domain.execution.position_check import KnownPosition, PositionKey
from chimera_s1.domain.execution.reports import (
    AccountReport,
    FillReport,
    OrderReport,
    ReportSource,
)
from chimera_s1.domain.execution.tracked_order import TrackedOrder, client_ids_of, evolve
from chimera_s1.domain.ledger.commit import EVENTS_MAX, LedgerHead
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.operations_log import EventDetail

EXECUTION_LEDGER = "execution"
"""The ledger's name in its store; it never changes."""

POLL_INTERVAL_MS = 1_000.0
"""Commits of other instances are read at least this often."""

COMMIT_EVENTS_MAX = EVENTS_MAX // 2
"""So that one commit stays far below its limit of bytes."""

FILL_TIME_MARGIN_MS = 60_000
"""The sources of one trade may differ so much in its time."""

UNCERTAIN_PLANS_MAX = 1_000

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class _Batch(Struct, eq=False):
    """Reports of concurrent callers, for the same commits."""

    reports: list[Tracked]
    written: bool = False


class Opening(Struct, frozen=True):
    """An entry that is stored in one commit with the intent of its order.

    Attributes:
        require: Raises what stands in the way by the state as it is. Without effects of its own:
            it is called again if the state was old.
    """

    accepted: EntryAccepted
    require: Callable[[], None]


class ExecutionLedger:
    """Args:
    report_unknown: Gets what is not known here, once each: see `UnknownReports`.
    read_relayed_seq: See `LedgerEngine`.

    Attributes:
        state: As of the last commit that was read or written; read only.
        last_error: Why `state` may be old; empty if the last read succeeded.
        is_read: `state` has been read once.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        report_unknown: Callable[[str, EventDetail], None],
        read_relayed_seq: Callable[[], Awaitable[int]] | None = None,
        state: ExecutionState | None = None,
    ) -> None:
        self.state = ExecutionState() if state is None else state
        self.engine = LedgerEngine(
            store,
            self.state.fold_commit,
            clock=clock,
            new_id=new_id,
            draw=draw,
            read_relayed_seq=read_relayed_seq,
        )
        self.changes = self.engine.changes
        self.last_error = ""
        self.is_read = False
        self.unknown = UnknownReports(report_unknown)
        self._clock = clock
        self._lock = anyio.Lock()
        self._pending: _Batch | None = None
        self._uncertain_plans: dict[str, str] = {}
        self._account = ""

    @property
    def damage(self) -> str:
        return self.engine.damage

    @property
    def head(self) -> LedgerHead:
        return self.engine.head

    async def run(self) -> None:
        """Follow the ledger until cancelled."""
        while True:
            await self.refresh()
            # Own commits are folded as they are written: a read after each would slow the next.
            await self._clock.sleep_ms(POLL_INTERVAL_MS)

    async def refresh(self) -> None:
        """Read what other instances have written; an error is kept in `last_error`."""
        try:
            await self.engine.catch_up()
            await self.retract_uncertain()
        except (StoreUnavailableError, LedgerDamagedError, LedgerTooNewError) as error:
            if not self.last_error:
                _log.warning("cannot read the execution ledger: %s; retrying", error)
            self.last_error = str(error)
        else:
            if self.last_error:
                _log.info("the execution ledger can be read again")
            self.last_error = ""
            self.is_read = True

    def use_account(self, account: str) -> None:
        """What is sent, read and recorded from now on is of *account*. With the first event, the
        ledger becomes that account's.

        Raises:
            OtherAccountError: The ledger belongs to another one: there its orders would seem
                absent, and what happens there is none of its business.
        """
        self._account = account
        if problem := self.account_problem:
            raise OtherAccountError(problem)

    @property
    def account_problem(self) -> str:
        """Why nothing can be sent or recorded with the key in use; empty if it can."""
        if not self._account or self.state.account in {"", self._account}:
            return ""
        return (
            f"the execution ledger belongs to account {self.state.account}, and the exchange key "
            f"to account {self._account}: nothing is sent, looked up or recorded; correct "
            "S1_BINANCE_KEY, or set S1_DB_SQLITE_PATH or S1_DB_ARANGO_DATABASE to a ledger of that "
            "account"
        )

    async def plan(
        self, event: OrderPlanned, actor: str, opening: Opening | None = None
    ) -> TrackedOrder:
        """Store the intent to place an order; with *opening* also the entry that it opens.

        Raises:
            ChimeraError: What `opening.require` raises.
            InvalidValueError: A client id lacks our prefix, or the exchange would refuse it.
            ClientIdUsedError: It was planned before, whatever became of that order.
            AppendUncertainError: It may be stored. Send nothing: if it is, the order is recorded
                as not sent.
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Nothing is stored.
        """
        for client_id in client_ids_of(event.request):
            if not has_our_prefix(check_client_id(client_id)):
                raise InvalidValueError(f"{client_id!r} does not begin with {PREFIX}")
        try:
            return await self.engine.execute(
                partial(self._decide_plan, event, opening), actor, read_first=False
            )
        except AppendUncertainError as error:
            self._remember_uncertain(event.client_id, error.commit_id)
            raise

    async def conclude(self, event: OrderConclusion, actor: str) -> TrackedOrder:
        """Record *event*, unless the exchange has said more about its order meanwhile; returns the
        order as it is then.

        Raises:
            OrderNotPlannedError: The order is not in the ledger.
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Call again.
        """
        return await self.engine.execute(partial(self._decide_conclusion, event), actor)

    async def record(self, actor: str, *reports: AccountReport) -> None:
        """Record what is new in *reports*; positions and balances are not kept here. Concurrent
        calls share commits, with the *actor* of one of them.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Call again; nothing is
                recorded twice.
        """
        tracked = [report for report in reports if isinstance(report, Tracked)]
        if not tracked:
            return
        if self._pending is None:
            self._pending = _Batch([])
        batch = self._pending
        batch.reports += tracked
        async with self._lock:
            if batch.written:
                return
            if self._pending is batch:
                self._pending = None
            await self._write(batch.reports, actor)
            batch.written = True

    async def adopt(self, event: PositionAdopted, judged: KnownPosition, actor: str) -> bool:
        """Move the known quantity of a position to the exchange's. *judged* is what was compared;
        False where another instance has adopted a quantity meanwhile, and nothing is recorded.

        Raises:
            AppendUncertainError: It may be recorded: compare again before another call.
            StoreUnavailableError, LedgerDamagedError: Nothing is recorded.
        """
        key = PositionKey(event.symbol, event.position_side)

        async def decide() -> Decision[bool]:
            known = self.state.positions.positions.get(key, KnownPosition())
            if known.adoptions != judged.adoptions:
                return Decision(False)  # noqa: FBT003 (the result)
            return self.decision(True, (event,), "")  # noqa: FBT003

        return await self.engine.execute(decide, actor)

    async def find(self, client_id: str) -> TrackedOrder | None:
        """The order as known here; read from its stream if it has left memory. Trades of such an
        order are not counted again: its `fills` are empty.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: It cannot be read.
        """
        order = self.state.orders.get(client_id)
        if order is not None or not self.state.orders_forgotten:
            return order
        stream = order_stream(client_id)
        for entry in await self.engine.read_stream(stream):
            for record in entry.commit.events:
                if record.stream == stream:
                    event = decode_event(record)
                    if isinstance(event, UnknownEvent):
                        raise LedgerTooNewError(_too_new(event))
                    assert isinstance(event, OrderEvent)
                    order = evolve(order, event)
        return order

    async def wait_changed(
        self, client_id: str, seen: TrackedOrder | None, timeout_ms: float
    ) -> TrackedOrder | None:
        """The order as soon as it is not *seen* any more, or after *timeout_ms*."""

        def changed() -> bool:
            return self.state.orders.get(client_id) is not seen

        if not changed():
            version = self.changes.version
            await self.changes.wait_after(
                self._clock, timeout_ms, version=version, relevant=changed
            )
        return self.state.orders.get(client_id)

    async def retract_uncertain(self, actor: str = "s1/execution") -> None:
        """Record each order as not sent whose plan was stored although its append failed.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Call again.
        """
        for commit_id, client_id in tuple(self._uncertain_plans.items()):
            if client_id not in self.state.orders:
                continue  # the append may still arrive
            if await self.engine.contains_commit(order_stream(client_id), (commit_id,)):
                cause = "the store confirmed the intent too late"
                await self.conclude(OrderNotSent(client_id=client_id, cause=cause), actor)
            self._uncertain_plans.pop(commit_id, None)

    def _remember_uncertain(self, client_id: str, commit_id: str) -> None:
        self._uncertain_plans[commit_id] = client_id
        if len(self._uncertain_plans) > UNCERTAIN_PLANS_MAX:
            del self._uncertain_plans[next(iter(self._uncertain_plans))]

    async def _decide_plan(
        self, event: OrderPlanned, opening: Opening | None
    ) -> Decision[TrackedOrder]:
        self._require_understood((order_stream(event.client_id),))
        for client_id in client_ids_of(event.request):
            if client_id in self.state.index.lists or await self.find(client_id) is not None:
                raise ClientIdUsedError(
                    f"client order id {client_id} was used before; derive another one"
                )
        if opening is None:
            return self.decision(evolve(None, event), (event,), event.entry_id)
        opening.require()
        return self.decision(evolve(None, event), (opening.accepted, event), event.entry_id)

    async def _decide_conclusion(self, event: OrderConclusion) -> Decision[TrackedOrder]:
        self._require_understood((order_stream(event.client_id),))
        order = await self.find(event.client_id)
        if order is None:
            raise OrderNotPlannedError(f"order {event.client_id} is not in the execution ledger")
        concluded = conclude(order, event)
        if concluded is None:
            return Decision(order)
        return self.decision(evolve(order, concluded), (concluded,), order.entry_id)

    async def _write(self, reports: list[Tracked], actor: str) -> None:
        # Orders before trades: a trade of an order whose id is in the same batch is ours.
        waiting = sorted(reports, key=lambda report: isinstance(report, FillReport))
        at_once = len(waiting)
        while waiting:
            decide = partial(self._decide_reports, waiting[:at_once])
            try:
                done = await self.engine.execute(decide, actor)
            except InvalidValueError as error:
                # A number or a text that no store keeps: it must not take the others with it.
                done = int(at_once == 1)
                at_once = 1
                if done:
                    self.unknown.refuse(waiting[0], str(error))
            del waiting[:done]

    async def _decide_reports(self, reports: list[Tracked]) -> Decision[int]:
        """As many of *reports* as fit into one commit."""
        state = self.state.scratch()
        said = _reported_orders(reports)
        events: list[ExecutionEvent] = []
        for done, report in enumerate(reports):
            await self._restore(state, report)
            self.unknown.notice(report, state.owner_of(report))
            if await self._recorded_before(state, report):
                continue
            new = observe(state, report, said)
            room = COMMIT_EVENTS_MAX - len(events)
            if newer := self.state.find_unknown_event(map(stream_of, new)):
                # It must not hold up the other reports; the newer service reads it again.
                self.unknown.refuse(report, _too_new(newer))
                continue
            for event in new[:room]:
                events.append(event)
                state.apply(event)
            if len(new) > room:
                return self.decision(done, tuple(events), "")
        return self.decision(len(reports), tuple(events), "")

    async def _restore(self, state: ExecutionState, report: Tracked) -> None:
        """Bring the order of ours that *report* names back into *state* if it has left memory."""
        if not state.orders_forgotten or not has_our_prefix(report.client_id):
            return
        if state.owner_of(report) is None and report.client_id not in state.orders:
            order = await self.find(report.client_id)
            if order is not None:
                state.restore(order)

    async def _recorded_before(self, state: ExecutionState, report: Tracked) -> bool:
        """Whether *report* is a trade that is recorded and has left memory."""
        if not isinstance(report, FillReport):
            return False
        if not self.state.fill_may_be_forgotten(report, FILL_TIME_MARGIN_MS):
            return False
        if report.key in state.fills:
            return False
        return bool(await self.engine.read_stream(fill_stream(report.key)))

    def decision(
        self, result: _Result, events: tuple[ExecutionEvent, ...], correlation_id: str
    ) -> Decision[_Result]:
        if problem := self.account_problem:
            raise OtherAccountError(problem)  # another instance, with another key, was first
        if self._account and not self.state.account:
            events = (AccountBound(account=self._account), *events)
        streams = {stream_of(event): self._version(event) for event in events}
        versions = {name: version for name, version in streams.items() if version is not None}
        return Decision(result, tuple(map(to_new_event, events)), versions, correlation_id)

    def _version(self, event: ExecutionEvent) -> int | None:
        """Of its stream before this commit; None where the engine must read it."""
        if isinstance(event, FillEvent):
            key = event.fill.key if isinstance(event, FillRecorded) else event.key
            fill = self.state.fills.get(key)
            return 0 if fill is None else fill.version
        if isinstance(event, PositionAdopted | AccountBound):
            return None
        if isinstance(event, EntryEvent):
            entry = self.state.entries.entries.get(event.entry_id)
            if entry is not None:
                return entry.version
            return None if self.state.entries.forgotten else 0
        order = self.state.orders.get(event.client_id)
        if order is not None:
            return order.version
        return None if self.state.orders_forgotten else 0

    def _require_understood(self, streams: Iterable[str]) -> None:
        unknown = self.state.find_unknown_event(streams)
        if unknown is not None:
            raise LedgerTooNewError(_too_new(unknown))


def _reported_orders(reports: Iterable[Tracked]) -> Mapping[OrderKey, OrderReport]:
    return {
        (report.family, report.symbol, report.exchange_id): report
        for report in reports
        if isinstance(report, OrderReport) and report.source is not ReportSource.REPLY
    }


def _too_new(event: UnknownEvent) -> str:
    return (
        f"{event.stream} has {event.type} version {event.v}, which this version does not know; "
        "run the newer chimera-s1"
    )
