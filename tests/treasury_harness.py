"""The treasury on stores and an exchange in memory; instances can be killed and restarted."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.installation_store import MemoryInstallationStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.capabilities.treasury.accept_transfers import AcceptTransfers, TransferRequest
from chimera_s1.app.capabilities.treasury.account_evidence import GatherAccountEvidence
from chimera_s1.app.capabilities.treasury.execute_transfers import (
    ExecuteTransfers,
    SubmissionPolicy,
)
from chimera_s1.app.capabilities.treasury.guard_account import GuardAccount
from chimera_s1.app.capabilities.treasury.log_transfers import log_events
from chimera_s1.app.capabilities.treasury.project_transfers import build_transfer_projector
from chimera_s1.app.capabilities.treasury.reconcile_transfers import ReconcileTransfers
from chimera_s1.app.capabilities.treasury.reconciliation_schedule import ReconciliationPace
from chimera_s1.app.capabilities.treasury.relay_transfers import (
    RELAY_CURSOR,
    build_transfer_relay,
)
from chimera_s1.app.capabilities.treasury.report_treasury import ReportTreasury
from chimera_s1.app.capabilities.treasury.resolve_transfers import ResolveTransfers
from chimera_s1.app.capabilities.treasury.transfer_admission import TransferAdmission
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.account_claims import AccountClaims
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.operations_log import OperationsLog
from chimera_s1.domain.ports.transfer_projection import TransferProjection
from chimera_s1.domain.ports.treasury_gateway import TreasuryGateway
from chimera_s1.domain.treasury.account_claim import AccountVerdict, Own
from chimera_s1.domain.treasury.event_records import decode_event
from chimera_s1.domain.treasury.events import (
    TransferRejected,
    TransferRequested,
    TreasuryEvent,
    TreasuryMode,
)
from chimera_s1.domain.treasury.health import TreasuryReport
from chimera_s1.domain.treasury.limits import Direction, TransferLimits
from chimera_s1.domain.treasury.reconciliation import (
    MovementStatus,
    ReconciliationTiming,
    client_id_of,
)
from chimera_s1.domain.treasury.transfer import Transfer
from tests.fakes.account_claims import MemoryAccountClaims
from tests.fakes.ledger_stores import FaultyEventStore, FaultyTransferProjection
from tests.fakes.operations_log import MemoryOperationsLog
from tests.fakes.treasury_gateway import ScriptedTreasuryGateway
from tests.treasury_invariants import ExecutedMovement, read_all, violations_of
from tests.virtual_time import LoopClock

TO_FUT = Direction.SPOT_TO_FUT
TO_SPOT = Direction.FUT_TO_SPOT
LIMITS = TransferLimits(
    directions=(TO_FUT, TO_SPOT), min=Decimal(1), max=Decimal(1000), daily_cap=Decimal(10_000)
)
RETRY_BACKOFF = Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=0)
ATTEMPTS_MAX = 50
RequestedOrRejected = TransferRequested | TransferRejected


class OperatorSwitches:
    """What an operator or the process may switch."""

    def __init__(self) -> None:
        self.kill = False
        self.mode = TradingMode.NORMAL
        self.mode_known = True
        self.stopping = False
        self.account: AccountVerdict = Own()
        self.enabled = True
        self.maintenance = ""
        self.maintenance_checked = True
        self.limits = LIMITS

    def admission(self, guard: GuardAccount | None) -> TransferAdmission:
        """Without a guard, `account` is the verdict."""
        return TransferAdmission(
            enabled=self.enabled,
            gate=TradingGate(
                kill_switch_on=lambda: self.kill,
                mode=lambda: self.mode,
                mode_known=lambda: self.mode_known,
            ),
            account_problem=guard.reason_to_hold if guard else lambda: self.account.reason_to_hold,
            wait_for_account=guard.wait_for_first_check if guard else _at_once,
            is_stopping=lambda: self.stopping,
            maintenance=lambda: self.maintenance,
            has_checked_maintenance=lambda: self.maintenance_checked,
        )


class TreasuryHarness:
    """What outlives an instance: stores, exchange, switches."""

    def __init__(
        self, mode: TreasuryMode = TreasuryMode.WALLET, seed: int = 1, poll_interval_ms: int = 2_000
    ) -> None:
        self.clock = LoopClock()
        self.random = random.Random(seed)
        self.store = FaultyEventStore("treasury")
        self.leases = MemoryLeaseStore(self.clock)
        self.cursors = MemoryCursorStore()
        self.installation = MemoryInstallationStore()
        self.projection = FaultyTransferProjection()
        self.operations = MemoryOperationsLog()
        self.gateway = ScriptedTreasuryGateway(self.clock, mode)
        self.switches = OperatorSwitches()
        self.timing = ReconciliationTiming()
        self.policy = SubmissionPolicy(poll_interval_ms=poll_interval_ms)
        self.pace = ReconciliationPace()
        self.mode = mode
        self.instances = 0
        self.operational_events: list[tuple[str, dict[str, Any]]] = []

    def new_id(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    async def events(self) -> list[TreasuryEvent | UnknownEvent]:
        """All events of the ledger, in order."""
        entries = await read_all(self.store)
        return [decode_event(record) for entry in entries for record in entry.commit.events]

    async def count(self, kind: type[TreasuryEvent]) -> int:
        return sum(isinstance(event, kind) for event in await self.events())

    async def executed_movements(self) -> list[ExecutedMovement]:
        """The movements of the exchange, each with the transfer that caused it."""
        transfer_ids = {
            event.transfer_id
            for event in await self.events()
            if isinstance(event, RequestedOrRejected)
        }
        transfer_of = {
            client_id_of(name, n): name for name in transfer_ids for n in range(ATTEMPTS_MAX)
        }
        orders = self.gateway.orders_by_tran_id
        return [
            ExecutedMovement(row.tran_id, transfer_of[orders[row.tran_id].client_id], row.amount)
            if row.tran_id in orders
            else ExecutedMovement(row.tran_id, "", row.amount)
            for row in self.gateway.movements_made
            if row.status is not MovementStatus.FAILED
        ]

    async def violations(self) -> list[str]:
        """Every broken invariant, after relay and projector have caught up."""
        last = TreasuryInstance(self)
        while await last.relay.advance() + await last.projector.advance():
            pass
        return await self.violations_now()

    async def violations_now(self) -> list[str]:
        """Every broken invariant as of now."""
        return await violations_of(
            self.store,
            executed=await self.executed_movements(),
            relayed=[event.event_id for event in self.operations.events],
            projection=self.projection,
        )


class TreasuryInstance:
    """The treasury of one process; its ports may be replaced by faulty ones.

    With *claims*, `guard` decides whether money may move.
    """

    clock_known = True

    def __init__(
        self,
        world: TreasuryHarness,
        *,
        store: EventStore | None = None,
        gateway: TreasuryGateway | None = None,
        leases: LeaseStore | None = None,
        cursors: CursorStore | None = None,
        projection: TransferProjection | None = None,
        operations: OperationsLog | None = None,
        claims: AccountClaims | None = None,
        skew_ms: float = 0.0,
        resyncs: bool = False,
        executor: type[ExecuteTransfers] = ExecuteTransfers,
        reconciler: type[ReconcileTransfers] = ReconcileTransfers,
    ) -> None:
        world.instances += 1
        self.world = world
        self.skew_ms = skew_ms
        self.resyncs = resyncs
        name = f"instance-{world.instances}"
        store = store or world.store
        gateway = gateway or world.gateway
        leases = leases or world.leases
        clock = world.clock
        switches = world.switches
        cursors = cursors or world.cursors
        self.ledger = _ledger(world, store, cursors)
        self.guard = self._guard(gateway, claims or MemoryAccountClaims())
        self.admission = switches.admission(self.guard if claims is not None else None)
        self.resolutions = ResolveTransfers(
            self.ledger, clock, exchange_ms=self.earliest_exchange_ms, timing=world.timing
        )
        self.requests = self._requests()
        self.clock_refreshes = 0
        self.executor = executor(
            self.ledger,
            gateway,
            JobLease("treasury.executor", leases, name, clock),
            self.admission,
            clock=clock,
            exchange_ms=self.exchange_ms,
            confirm_account=self.guard.confirm if claims is not None else _at_once,
            on_clock_suspect=self._on_clock_suspect,
            draw=world.random.random,
            policy=world.policy,
        )
        self.reconciler = reconciler(
            self.ledger,
            gateway,
            JobLease("treasury.reconciler", leases, name, clock),
            clock=clock,
            exchange_ms=self.earliest_exchange_ms,
            is_in_flight=self.executor.is_in_flight,
            histories_problem=self.guard.histories_problem if claims is not None else _no_problem,
            timing=world.timing,
            pace=world.pace,
            poll_interval_ms=world.policy.poll_interval_ms,
        )
        operations = operations or world.operations
        self.relay = build_transfer_relay(
            store, cursors, operations, self.ledger, clock=clock, retries=RETRY_BACKOFF
        )
        projection = projection or world.projection
        self.projector = build_transfer_projector(
            store, projection, cursors, self.ledger.changes, clock
        )

    def _requests(self) -> AcceptTransfers:
        world = self.world
        return AcceptTransfers(
            self.ledger,
            self.admission,
            clock=world.clock,
            limits=lambda: world.switches.limits,
            mode=world.mode,
            record_event=lambda kind, detail: world.operational_events.append((kind, detail)),
        )

    def _guard(self, gateway: TreasuryGateway, claims: AccountClaims) -> GuardAccount:
        world = self.world
        evidence = GatherAccountEvidence(
            self.ledger,
            gateway,
            claims,
            world.installation,
            clock=world.clock,
            exchange_ms=self.exchange_ms,
            new_id=world.new_id,
        )
        return GuardAccount(
            self.ledger,
            evidence,
            world.gateway,
            environment="live",
            clock=world.clock,
            record_event=lambda kind, detail: world.operational_events.append((kind, detail)),
        )

    def exchange_ms(self) -> float:
        if not self.clock_known:
            raise ClockUncertainError("the clock of spot is known to 2500 ms only")
        return self.world.gateway.exchange_ms + self.skew_ms

    def earliest_exchange_ms(self) -> float:
        return self.world.gateway.exchange_ms + self.skew_ms if self.clock_known else 0.0

    def _on_clock_suspect(self) -> None:
        self.clock_refreshes += 1
        if self.resyncs:
            self.skew_ms = 0.0

    def start(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self.executor.run)
        tasks.start_soon(self.reconciler.run)

    def start_all(self, tasks: TaskGroup) -> None:
        self.start(tasks)
        tasks.start_soon(self.relay.run)
        tasks.start_soon(self.projector.run)

    async def transfer(self, name: str) -> Transfer:
        found = await self.ledger.find(parse_transfer_id(name))
        assert found is not None
        return found

    def level(self) -> Level:
        """The treasury's level in `/health`."""
        return self.report().level

    def report(self) -> TreasuryReport:
        return ReportTreasury(
            self.ledger,
            self.world.clock,
            store_errors=[lambda: self.executor.last_error, lambda: self.reconciler.last_error],
            relay_error=lambda: self.relay.last_error,
            account=lambda: self.world.switches.account,
            account_error=lambda: "",
            key_problem=lambda: "",
            clock_problem=self.executor.clock_problem,
            maintenance=lambda: self.world.switches.maintenance,
            status_problem=lambda: "",
        ).report()


async def _no_problem() -> str:
    return ""


async def _at_once() -> None:
    """Without a checkpoint, which the tests of crash points count."""


def _ledger(world: TreasuryHarness, store: EventStore, cursors: CursorStore) -> TreasuryLedger:
    ledger = TreasuryLedger(
        store,
        clock=world.clock,
        new_id=world.new_id,
        draw=world.random.random,
        read_relayed_seq=partial(cursors.read, RELAY_CURSOR),
    )
    ledger.subscribe(log_events)
    return ledger


@asynccontextmanager
async def running(instance: TreasuryInstance) -> AsyncIterator[TreasuryInstance]:
    """Run executor and reconciler; killed at the end, as a process is."""
    async with anyio.create_task_group() as tasks:
        instance.start(tasks)
        yield instance
        tasks.cancel_scope.cancel()


def transfer_request(
    name: str, amount: str | int = 10, direction: Direction = TO_FUT, why: str = ""
) -> TransferRequest:
    return TransferRequest(parse_transfer_id(name), direction, Decimal(amount), why)


def untyped(port: Any) -> Any:
    """*port* as `Any`, for a wrapper without its type."""
    return cast(Any, port)
