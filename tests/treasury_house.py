"""
The treasury on stores in memory and an exchange in memory: instances that can be started, killed
and started again on the same ledger.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.memory.transfer_projection import MemoryTransferProjection
from chimera_s1.adapters.memory.treasury_gateway import ScriptedTreasuryGateway
from chimera_s1.app.use_cases.treasury.admission import Admission
from chimera_s1.app.use_cases.treasury.execute_transfers import ExecuteTransfers, SubmissionPolicy
from chimera_s1.app.use_cases.treasury.job_lease import JobLease
from chimera_s1.app.use_cases.treasury.ledger import TreasuryLedger
from chimera_s1.app.use_cases.treasury.reconcile_transfers import ReconcileTransfers
from chimera_s1.app.use_cases.treasury.request_transfer import RequestTransfers, TransferWish
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.treasury_gateway import TreasuryGateway
from chimera_s1.domain.resilience.backoff import Backoff
from chimera_s1.domain.resilience.trading_mode import TradingMode
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction, Limits
from chimera_s1.domain.treasury.reconciliation import Patience
from tests.virtual_time import LoopClock

IN = Direction.SPOT_TO_FUTURES
OUT = Direction.FUTURES_TO_SPOT
LIMITS = Limits(directions=(IN, OUT), min=Decimal(1), max=Decimal(1000), daily_cap=Decimal(10_000))
LOOKS = Backoff(base_ms=2_000, max_wait_ms=60_000, jitter_ms=0)


class Switches:
    """What an operator may throw."""

    def __init__(self) -> None:
        self.kill = False
        self.mode = TradingMode.NORMAL
        self.stopping = False
        self.enabled = True
        self.limits = LIMITS


class World:
    """What outlives an instance: the stores, the exchange, the switches."""

    def __init__(self, mode: TreasuryMode = TreasuryMode.WALLET, seed: int = 1) -> None:
        self.clock = LoopClock()
        self.random = random.Random(seed)
        self.store = MemoryEventStore("treasury")
        self.leases = MemoryLeaseStore(self.clock)
        self.cursors = MemoryCursorStore()
        self.projection = MemoryTransferProjection()
        self.exchange = ScriptedTreasuryGateway(self.clock, mode)
        self.switches = Switches()
        self.patience = Patience()
        self.policy = SubmissionPolicy()
        self.mode = mode
        self.instances = 0

    def new_id(self) -> str:
        return f"{self.random.getrandbits(64):016x}"


class Instance:
    """One process's worth of treasury; its ports may be wrapped to fail."""

    def __init__(
        self,
        world: World,
        *,
        store: EventStore | None = None,
        gateway: TreasuryGateway | None = None,
        leases: LeaseStore | None = None,
        skew_ms: float = 0.0,
        look_ms: int = 500,
        executor: type[ExecuteTransfers] = ExecuteTransfers,
        reconciler: type[ReconcileTransfers] = ReconcileTransfers,
    ) -> None:
        world.instances += 1
        name = f"instance-{world.instances}"
        store = store or world.store
        gateway = gateway or world.exchange
        leases = leases or world.leases
        clock = world.clock

        def exchange_ms() -> float:
            return world.exchange.exchange_ms + skew_ms

        draw = world.random.random
        switches = world.switches
        self.ledger = TreasuryLedger(store, clock=clock, new_id=world.new_id, draw=draw)
        self.admission = Admission(
            enabled=switches.enabled,
            kill_switch=lambda: switches.kill,
            mode=lambda: switches.mode,
            stopping=lambda: switches.stopping,
        )
        self.requests = RequestTransfers(
            self.ledger,
            self.admission,
            clock=clock,
            limits=lambda: switches.limits,
            mode=world.mode,
        )
        self.doubts = 0
        self.executor = executor(
            self.ledger,
            gateway,
            JobLease("treasury.executor", leases, name, clock),
            self.admission,
            clock=clock,
            exchange_ms=exchange_ms,
            doubt_clock=self._doubt,
            draw=draw,
            policy=world.policy,
        )
        self.reconciler = reconciler(
            self.ledger,
            gateway,
            JobLease("treasury.reconciler", leases, name, clock),
            clock=clock,
            exchange_ms=exchange_ms,
            is_in_flight=self.executor.is_in_flight,
            patience=world.patience,
            looks=LOOKS,
            look_ms=look_ms,
        )

    def _doubt(self) -> None:
        self.doubts += 1

    def start(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self.executor.run)
        tasks.start_soon(self.reconciler.run)


@asynccontextmanager
async def running(instance: Instance) -> AsyncIterator[Instance]:
    """*instance* at work; killed at the end, as a process is, without a word."""
    async with anyio.create_task_group() as tasks:
        instance.start(tasks)
        yield instance
        tasks.cancel_scope.cancel()


def wish(
    name: str, amount: str | int = 10, direction: Direction = IN, why: str = ""
) -> TransferWish:
    return TransferWish(parse_transfer_id(name), direction, Decimal(amount), why)


def loose(port: Any) -> Any:
    """*port*, for a test that reaches around its types."""
    return cast(Any, port)
