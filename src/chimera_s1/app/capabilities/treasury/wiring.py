"""The parts of the service that move money, from the settings that choose them."""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import assert_never
from uuid import uuid4

from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import Credentials, Secret
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.treasury.gateway import (
    BinanceSubaccountGateway,
    BinanceWalletGateway,
    GatewayConfig,
)
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.app.capabilities.ledger.job_lease import JobLease
from chimera_s1.app.capabilities.ledger.relay import RELAY_CURSOR as RELAYED
from chimera_s1.app.capabilities.ledger.relay import RelayLedger
from chimera_s1.app.capabilities.ledger.stores import LedgerStores, memory_stores
from chimera_s1.app.capabilities.market.wiring import endpoints_for
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capabilities.operations.patrol_clock import PatrolClock
from chimera_s1.app.capabilities.operations.report_health import ReportHealth
from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.app.capabilities.treasury.accept_transfers import AcceptTransfers
from chimera_s1.app.capabilities.treasury.execute_transfers import (
    ExecuteTransfers,
    SubmissionPolicy,
)
from chimera_s1.app.capabilities.treasury.project_transfers import ProjectTransfers
from chimera_s1.app.capabilities.treasury.read_transfers import ReadTransfers
from chimera_s1.app.capabilities.treasury.reconcile_transfers import ReconcileTransfers
from chimera_s1.app.capabilities.treasury.report_treasury import ReportTreasury
from chimera_s1.app.capabilities.treasury.resolve_transfers import ResolveTransfers
from chimera_s1.app.capabilities.treasury.transfer_admission import SpendingAdmission
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.app.capabilities.treasury.watch_key import WatchKey
from chimera_s1.app.settings.settings import Settings
from chimera_s1.app.settings.types import BinanceEnvironment
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.kill_switch import KillSwitch
from chimera_s1.domain.ports.operations_log import OperationsLog
from chimera_s1.domain.treasury.events import TreasuryMode

BinanceGateway = BinanceWalletGateway | BinanceSubaccountGateway


class TreasuryWorkers(Struct, frozen=True):
    """What runs all the time where there is a key."""

    executor: ExecuteTransfers
    reconciler: ReconcileTransfers
    relay: RelayLedger
    projection: ProjectTransfers
    switch: WatchKillSwitch
    key: WatchKey


class Treasury(Struct, frozen=True):
    """Everything that moves money.

    Attributes:
        workers: None where there is no key: then nothing is accepted either.
    """

    ledger: TreasuryLedger
    transfer_intake: AcceptTransfers
    transfer_reader: ReadTransfers
    transfer_resolver: ResolveTransfers
    workers: TreasuryWorkers | None

    def events_relayed(self) -> int:
        """Events written to `ops:events` since the start."""
        return self.workers.relay.events_relayed if self.workers is not None else 0


class TreasuryAccess(Struct, frozen=True):
    """What is opened for the treasury before anything is made: one of the two below."""


class TreasuryResources(TreasuryAccess, frozen=True):
    """There is a key to move money with.

    Attributes:
        client: For the kill switch alone.
    """

    stores: LedgerStores
    client: ClusterClient


class NoTreasury(TreasuryAccess, frozen=True):
    """There is no key, so nothing is opened."""


class TreasuryPorts(Struct, frozen=True):
    """What the treasury stands on."""

    stores: LedgerStores
    gateway: BinanceGateway
    switch: KillSwitch
    operations: OperationsLog


class StopFlag:
    """Whether SIGTERM has arrived; asked before anything new is accepted or sent."""

    def __init__(self) -> None:
        self._begun = False

    def set(self) -> None:
        """From now on."""
        self._begun = True

    def is_set(self) -> bool:
        """Whether it has arrived."""
        return self._begun


def treasury_enabled(settings: Settings) -> bool:
    """There is a key, and wallets that it opens: Binance's test network has none."""
    return settings.moves_money and settings.binance_env is not BinanceEnvironment.TESTNET


def build_gateway(
    settings: Settings,
    budgets: Mapping[Venue, WeightBudget],
    exchange_ms: Callable[[], float],
) -> BinanceGateway:
    """The way to the wallets; to be entered before it is used."""
    if settings.binance_key is None or settings.binance_secret is None:
        raise ConfigurationError("S1_BINANCE_KEY and S1_BINANCE_SECRET are needed to move money")
    account = GatewayConfig(
        endpoints=endpoints_for(settings, tuple(Venue)),
        credentials=Credentials(
            Secret(settings.binance_key.get_secret_value()),
            Secret(settings.binance_secret.get_secret_value()),
        ),
        exchange_ms=exchange_ms,
        budgets=budgets,
    )
    match settings.treasury_mode:
        case TreasuryMode.WALLET:
            return BinanceWalletGateway(account)
        case TreasuryMode.SUBACCOUNT:
            return BinanceSubaccountGateway(account)
        case _:
            assert_never(settings.treasury_mode)


def build_treasury(
    settings: Settings,
    ports: TreasuryPorts | None,
    clock: Clock,
    patrols: tuple[PatrolClock, ...],
    *,
    health: ReportHealth,
    operations: OperationsOutbox,
    stopping: StopFlag,
) -> Treasury:
    """The treasury, registered with *health*.

    Args:
        settings: Limits and patience.

        ports: None where there is no key.

        clock: Ours.

        patrols: Know how far the exchange's clocks are from it.

        health: Says in which mode the service is; told how the treasury does.

        operations: Told what is not in the ledger and has to be known.

        stopping: Whether the service is.
    """
    stores = ports.stores if ports is not None else memory_stores(clock)
    ledger = TreasuryLedger(
        stores.events,
        clock=clock,
        new_id=lambda: uuid4().hex,
        draw=random.random,
        read_relayed_seq=partial(stores.cursors.read, RELAYED),
    )
    switch = WatchKillSwitch(ports.switch, clock) if ports is not None else None
    admission = SpendingAdmission(
        enabled=ports is not None,
        kill_switch_on=switch.is_on if switch is not None else lambda: False,
        mode=lambda: health.snapshot().mode,
        is_stopping=stopping.is_set,
    )
    requests = AcceptTransfers(
        ledger,
        admission,
        clock=clock,
        limits=lambda: settings.treasury_limits,
        mode=settings.treasury_mode,
        record_event=operations.record,
    )
    reads = ReadTransfers(
        ledger, stores.transfers, clock=clock, limits=lambda: settings.treasury_limits
    )
    resolutions = ResolveTransfers(
        ledger,
        clock,
        exchange_ms=exchange_clock(patrols, clock),
        timing=settings.reconciliation_timing,
    )
    if ports is None or switch is None:
        return Treasury(ledger, requests, reads, resolutions, None)
    work = _work(settings, ports, ledger, admission, clock, _wallet_clock_patrol(patrols), switch)
    health.register("treasury", _report(ledger, clock, work).report, required=False)
    return Treasury(ledger, requests, reads, resolutions, work)


def _work(  # noqa: PLR0917 (parts by position)
    settings: Settings,
    ports: TreasuryPorts,
    ledger: TreasuryLedger,
    admission: SpendingAdmission,
    clock: Clock,
    patrol: PatrolClock,
    switch: WatchKillSwitch,
) -> TreasuryWorkers:
    exchange_ms = exchange_clock((patrol,), clock)
    stores, owner = ports.stores, uuid4().hex
    executor = ExecuteTransfers(
        ledger,
        ports.gateway,
        JobLease("treasury.executor", stores.leases, owner, clock),
        admission,
        clock=clock,
        exchange_ms=exchange_ms,
        on_clock_suspect=patrol.request_refresh,
        draw=random.random,
        policy=SubmissionPolicy(),
    )
    reconciler = ReconcileTransfers(
        ledger,
        ports.gateway,
        JobLease("treasury.reconciler", stores.leases, owner, clock),
        clock=clock,
        exchange_ms=exchange_ms,
        is_in_flight=executor.is_in_flight,
        timing=settings.reconciliation_timing,
        check_backoff=settings.reconciliation_backoff,
    )
    relay = RelayLedger(
        stores.events,
        stores.cursors,
        ports.operations,
        ledger,
        clock=clock,
        retries=Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=0),
    )
    projection = ProjectTransfers(stores.events, stores.transfers, stores.cursors, ledger, clock)
    return TreasuryWorkers(
        executor, reconciler, relay, projection, switch, WatchKey(ports.gateway, clock)
    )


def exchange_clock(patrols: tuple[PatrolClock, ...], clock: Clock) -> Callable[[], float]:
    """The exchange's clock by ours and the offset last measured, epoch ms."""
    patrol = _wallet_clock_patrol(patrols)
    return lambda: clock.now_ms() + patrol.offset_ms()


def _wallet_clock_patrol(patrols: tuple[PatrolClock, ...]) -> PatrolClock:
    """The wallets are on the spot host; where only futures are served, their clock stands in."""
    return next((patrol for patrol in patrols if patrol.venue is Venue.SPOT), patrols[0])


def _report(ledger: TreasuryLedger, clock: Clock, work: TreasuryWorkers) -> ReportTreasury:
    return ReportTreasury(
        ledger,
        clock,
        store_errors=[
            lambda: work.executor.last_error,
            lambda: work.reconciler.last_error,
            lambda: work.projection.last_error,
        ],
        relay_error=lambda: work.relay.last_error,
        key_problem=lambda: work.key.problem,
        kill_switch=work.switch.is_on,
        kill_switch_error=lambda: work.switch.last_error,
    )
