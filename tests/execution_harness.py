"""Orders over a ledger and an exchange in memory; instances can be killed and restarted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count

import anyio

from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.app.capabilities.execution.cancel_orders import Cancellation, CancelOrders
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.follow_account import WAITING_MAX, FollowAccount
from chimera_s1.app.capabilities.execution.orders_in_flight import OrdersInFlight
from chimera_s1.app.capabilities.execution.place_orders import Placement, PlaceOrders
from chimera_s1.app.capabilities.execution.query_working import QueryWorking
from chimera_s1.app.capabilities.execution.record_replies import RecordReplies
from chimera_s1.app.capabilities.execution.report_orders import ReportOrders, ReportPrivateStream
from chimera_s1.app.capabilities.execution.resolve_unknown import ResolveUnknown
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.execution.deaf_stream_check import DeafStreamCheck
from chimera_s1.domain.execution.events import CancelCause
from chimera_s1.domain.execution.order_request import (
    Limit,
    OneWay,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    Stop,
    TimeInForce,
    WorkingType,
)
from chimera_s1.domain.execution.position_effect import Purpose
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ledger.commit import Commit
from chimera_s1.domain.ports.account_stream import StreamEvent
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import AppendResult, EventStore
from chimera_s1.domain.ports.order_gateway import OrderGateway
from tests.fakes.account_stream import FakeAccountStream
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.order_exchange import FakeOrderExchange
from tests.treasury_harness import OperatorSwitches
from tests.virtual_time import LoopClock

BTC = Symbol("BTCUSDT")
ACTOR = "tester"
ENTRY, STOP = "s1-entry-e", "s1-entry-sl1"


def entry(client_id: str = ENTRY, qty: str = "2") -> PerpOrder:
    """It opens a position."""
    return PerpOrder(
        client_id=client_id,
        symbol=BTC,
        side=Side.BUY,
        scope=OneWay(reduce_only=False),
        body=Limit(qty=Decimal(qty), price=Decimal(100), time_in_force=TimeInForce.GTX),
    )


def stop(client_id: str = STOP) -> PerpAlgoOrder:
    """It protects a position."""
    return PerpAlgoOrder(
        client_id=client_id,
        symbol=BTC,
        side=Side.SELL,
        scope=OneWay(reduce_only=True),
        working_type=WorkingType.CONTRACT_PRICE,
        body=Stop(qty=Decimal(2), trigger=Decimal(90)),
    )


class ProcessKilledError(BaseException):
    """kill -9: nothing catches it, and nothing of the instance is used again."""


class KillingStore(MemoryEventStore):
    """The process dies at an append.

    Attributes:
        kill_before, kill_after: Its sequence number; 0 for none.
        killed: It has died there.
    """

    def __init__(self, source: MemoryEventStore) -> None:
        super().__init__(source.ledger)
        self.contents = source.contents
        self.kill_before = 0
        self.kill_after = 0
        self.killed = False

    async def append(self, commit: Commit) -> AppendResult:
        if commit.seq == self.kill_before:
            self.killed = True
            raise ProcessKilledError
        result = await super().append(commit)
        if commit.seq == self.kill_after:
            self.killed = True
            raise ProcessKilledError
        return result


class SlowStore(MemoryEventStore):
    """Attributes:
    append_ms: Of the next appends.
    """

    def __init__(self, source: MemoryEventStore, clock: Clock) -> None:
        super().__init__(source.ledger)
        self.contents = source.contents
        self.append_ms = 0.0
        self._clock = clock

    async def append(self, commit: Commit) -> AppendResult:
        await self._clock.sleep_ms(self.append_ms)
        return await super().append(commit)


class Hold:
    """Implements `domain.ports.account_hold.AccountHold`."""

    def __init__(self) -> None:
        self.why = ""

    def reason(self) -> str:
        return self.why


class ExecutionHarness:
    """What outlives an instance: the store, the exchange, its streams, and the switches."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.store = FaultyEventStore("execution")
        self.exchange = FakeOrderExchange(self.clock)
        self.switches = OperatorSwitches()
        self.hold = Hold()
        self.exchange_clock_known = True
        self.rule_error: Exception | None = None
        self._ids = count()

    def new_id(self) -> str:
        return f"commit-{next(self._ids)}"

    def exchange_ms(self, venue: Venue) -> float:
        if not self.exchange_clock_known:
            raise ClockUncertainError(f"the clock of {venue.value} is not measured yet")
        return self.exchange.now_ms()

    def check_rules(self, request: OrderRequest, *, opens: bool) -> None:
        del request, opens
        if self.rule_error is not None:
            raise self.rule_error

    async def event_types(self) -> list[str]:
        entries = await self.store.read(0, 1_000)
        return [record.type for each in entries for record in each.commit.events]


class ExecutionInstance:
    """The order use cases of one process."""

    def __init__(
        self,
        world: ExecutionHarness,
        *,
        store: EventStore | None = None,
        gateway: OrderGateway | None = None,
        waiting_max: int = WAITING_MAX,
        venues: tuple[Venue, ...] = tuple(Venue),
    ) -> None:
        clock = world.clock
        gateway = gateway or world.exchange
        self.world = world
        self.clock_suspected: list[Venue] = []
        self.reconciliations: list[str] = []
        self.notified: list[StreamEvent] = []
        self.ledger = ExecutionLedger(
            store or world.store,
            clock=clock,
            new_id=world.new_id,
            draw=lambda: 0.5,
            report_unknown=lambda _, __: None,
        )
        self.in_flight = OrdersInFlight()
        self.recorder = RecordReplies(clock, lambda: 0.5)
        self.streams = {venue: FakeAccountStream(venue, clock.now_ms) for venue in venues}
        deaf_checks = {venue: DeafStreamCheck() for venue in venues}
        self.resolver = ResolveUnknown(
            self.ledger,
            gateway,
            clock=clock,
            exchange_ms=world.exchange_ms,
            in_flight=self.in_flight,
            draw=lambda: 0.5,
            venues=venues,
        )
        self.placing = self._placing(gateway, venues)
        self.cancelling = CancelOrders(
            self.ledger,
            gateway,
            clock=clock,
            exchange_ms=world.exchange_ms,
            hurry=self.resolver.hurry,
            on_clock_suspect=self.clock_suspected.append,
            recorder=self.recorder,
        )
        self.queries = QueryWorking(
            self.ledger,
            gateway,
            self.streams,
            deaf_checks,
            clock=clock,
            exchange_ms=world.exchange_ms,
        )
        self.following = FollowAccount(
            self.ledger,
            self.streams,
            deaf_checks,
            clock=clock,
            exchange_ms=world.exchange_ms,
            notify=lambda _, event: self.notified.append(event),
            request_reconciliation=self.reconciliations.append,
            waiting_max=waiting_max,
        )
        self.health = ReportOrders(self.ledger, self.resolver, self.queries, self.recorder, clock)
        self.stream_health = ReportPrivateStream(
            self.streams[venues[-1]], self.following, self.queries, clock
        )

    def _placing(self, gateway: OrderGateway, venues: tuple[Venue, ...]) -> PlaceOrders:
        world = self.world
        return PlaceOrders(
            self.ledger,
            gateway,
            TradingGate(
                kill_switch_on=lambda: world.switches.kill,
                mode=lambda: world.switches.mode,
                mode_known=lambda: world.switches.mode_known,
            ),
            world.hold,
            clock=world.clock,
            exchange_ms=world.exchange_ms,
            check_rules=world.check_rules,
            is_stopping=lambda: world.switches.stopping,
            on_clock_suspect=self.clock_suspected.append,
            in_flight=self.in_flight,
            recorder=self.recorder,
            venues=venues,
        )

    async def place(self, request: OrderRequest, purpose: Purpose = Purpose.ENTRY) -> Placement:
        return await self.placing.place(request, "entry", purpose, ACTOR)

    async def cancel(self, client_id: str = ENTRY) -> Cancellation:
        return await self.cancelling.cancel(client_id, CancelCause.REQUESTED, ACTOR)

    def order(self, client_id: str = ENTRY) -> TrackedOrder:
        return self.ledger.state.orders[client_id]


@asynccontextmanager
async def running(instance: ExecutionInstance) -> AsyncIterator[ExecutionInstance]:
    """All its workers."""
    async with anyio.create_task_group() as tasks:
        await instance.ledger.refresh()
        tasks.start_soon(instance.ledger.run)
        tasks.start_soon(instance.resolver.run)
        tasks.start_soon(instance.queries.run)
        tasks.start_soon(instance.following.run)
        await anyio.wait_all_tasks_blocked()
        yield instance
        tasks.cancel_scope.cancel()
