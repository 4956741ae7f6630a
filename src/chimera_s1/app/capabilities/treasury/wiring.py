"""The treasury capability, from the settings that choose its parts."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import assert_never
from uuid import uuid4

from anyio.lowlevel import checkpoint

from chimera_s1.adapters.binance.http.signing import Credentials, Secret
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.treasury.gateway import (
    BinanceSubaccountGateway,
    BinanceWalletGateway,
    GatewayConfig,
)
from chimera_s1.adapters.redis.account_claims import RedisAccountClaims
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capabilities.treasury.accept_transfers import AcceptTransfers
from chimera_s1.app.capabilities.treasury.current_account_hold import CurrentAccountHold
from chimera_s1.app.capabilities.treasury.executor_wiring import (
    BinanceGateway,
    Keyed,
    Served,
    build_executor,
    build_guard,
    build_report,
    last_error,
)
from chimera_s1.app.capabilities.treasury.guard_account import GuardAccount
from chimera_s1.app.capabilities.treasury.log_transfers import log_events
from chimera_s1.app.capabilities.treasury.metrics import treasury_source
from chimera_s1.app.capabilities.treasury.project_transfers import build_transfer_projector
from chimera_s1.app.capabilities.treasury.read_transfers import ReadTransfers
from chimera_s1.app.capabilities.treasury.reconcile_transfers import ReconcileTransfers
from chimera_s1.app.capabilities.treasury.relay_transfers import (
    RELAY_CURSOR,
    build_transfer_relay,
)
from chimera_s1.app.capabilities.treasury.resolve_transfers import ResolveTransfers
from chimera_s1.app.capabilities.treasury.rotate_key import RotateKey
from chimera_s1.app.capabilities.treasury.settings import TreasurySettings
from chimera_s1.app.capabilities.treasury.transfer_admission import TransferAdmission
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER, TreasuryLedger
from chimera_s1.app.capabilities.treasury.watch_key import WatchKey
from chimera_s1.app.capabilities.treasury.watch_maintenance import WatchMaintenance
from chimera_s1.app.capabilities.treasury.web.part import treasury_part
from chimera_s1.app.capability import Capability, Job, JobResult, SelfPacedJob, repeating
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.foundation import Foundation, endpoints_for
from chimera_s1.app.settings.types import BinanceEnvironment
from chimera_s1.app.stop_flag import StopFlag
from chimera_s1.app.stores import LedgerStores, memory_stores
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.schedule import HOUR_MS, Every
from chimera_s1.domain.treasury.events import TreasuryMode


def treasury_enabled(settings: TreasurySettings) -> bool:
    """False without an exchange key, and on testnet, which has no wallet API."""
    return settings.moves_money and settings.binance_env is not BinanceEnvironment.TESTNET


@asynccontextmanager
async def open_treasury(
    settings: TreasurySettings,
    base: Foundation,
    operations: Operations,
    hold: CurrentAccountHold,
) -> AsyncIterator[Capability]:
    """Transfers between the wallets; without a key, routes that answer `treasury.disabled`."""
    if not treasury_enabled(settings):
        stopping = StopFlag()
        served = _serve(settings, base, operations, memory_stores(base.clock), None, stopping)
        yield Capability(
            name="treasury",
            metrics=(treasury_source(served.ledger, lambda: 0),),
            web=served.web,
        )
        return
    credentials = read_credentials(settings)
    exchange_ms = operations.spot_patrol.exchange_ms
    async with (
        base.connect_redis() as claims_client,
        build_gateway(settings, base.budgets, exchange_ms, credentials) as gateway,
    ):
        maintenance = WatchMaintenance(gateway, base.clock)
        claims = RedisAccountClaims(claims_client)
        keyed = Keyed(credentials, gateway, maintenance, claims)
        stopping = StopFlag()
        served = _serve(settings, base, operations, base.stores, keyed, stopping)
        assert served.guard is not None
        hold.follow(served.guard.reason_to_hold)
        yield _working(settings, base, operations, served, keyed, stopping)


def build_gateway(
    settings: TreasurySettings,
    budgets: Mapping[Venue, WeightBudget],
    exchange_ms: Callable[[], float],
    credentials: Credentials | None = None,
) -> BinanceGateway:
    """The gateway of the configured mode, not yet connected; *credentials* of the settings if none
    are given.
    """
    config = GatewayConfig(
        endpoints=endpoints_for(settings, tuple(Venue)),
        credentials=credentials or read_credentials(settings),
        exchange_ms=exchange_ms,
        budgets=budgets,
    )
    match settings.treasury_mode:
        case TreasuryMode.WALLET:
            return BinanceWalletGateway(config)
        case TreasuryMode.SUBACCOUNT:
            return BinanceSubaccountGateway(config)
        case _:
            assert_never(settings.treasury_mode)


def read_credentials(settings: TreasurySettings) -> Credentials:
    """Those that the settings, or their files, hold now.

    Raises:
        ConfigurationError: There are none, or they cannot be any.
    """
    if not settings.moves_money:
        raise ConfigurationError("S1_BINANCE_KEY and S1_BINANCE_SECRET are needed to move money")
    return Credentials(
        Secret(settings.secret("binance_key")()), Secret(settings.secret("binance_secret")())
    )


def _serve(  # noqa: PLR0917 (parts by position)
    settings: TreasurySettings,
    base: Foundation,
    operations: Operations,
    stores: LedgerStores,
    keyed: Keyed | None,
    stopping: StopFlag,
) -> Served:
    """Build the ledger and the routes; *keyed* is None without an exchange key."""
    clock = base.clock
    earliest_ms = operations.spot_patrol.earliest_exchange_ms
    ledger = TreasuryLedger(
        stores.ledger(TREASURY_LEDGER),
        clock=clock,
        new_id=lambda: uuid4().hex,
        draw=random.random,
        read_relayed_seq=partial(stores.cursors.read, RELAY_CURSOR),
    )
    ledger.subscribe(log_events)
    if keyed is not None:
        ledger.subscribe(keyed.maintenance.recheck_after)
    guard = build_guard(settings, base, operations, stores, ledger, keyed) if keyed else None
    admission = TransferAdmission(
        enabled=keyed is not None,
        gate=operations.gate,
        account_problem=guard.reason_to_hold if guard else lambda: "",
        wait_for_account=guard.wait_for_first_check if guard else checkpoint,
        is_stopping=stopping.is_set,
        maintenance=lambda: keyed.maintenance.maintenance if keyed else "",
        has_checked_maintenance=lambda: keyed is None or keyed.maintenance.has_checked,
    )
    accept = AcceptTransfers(
        ledger,
        admission,
        clock=clock,
        limits=lambda: settings.treasury_limits,
        mode=settings.treasury_mode,
        record_event=operations.outbox.record,
    )
    read = ReadTransfers(
        ledger, stores.transfers, clock=clock, limits=lambda: settings.treasury_limits
    )
    resolve = ResolveTransfers(
        ledger, clock, exchange_ms=earliest_ms, timing=settings.reconciliation_timing
    )
    web = treasury_part(accept, read, resolve)
    return Served(stores, ledger.engine.store, ledger, guard, admission, earliest_ms, web)


def _working(  # noqa: PLR0917 (parts by position)
    settings: TreasurySettings,
    base: Foundation,
    operations: Operations,
    served: Served,
    keyed: Keyed,
    stopping: StopFlag,
) -> Capability:
    """Build the workers, which need an exchange key."""
    clock, ledger, guard = base.clock, served.ledger, served.guard
    gateway = keyed.gateway
    assert guard is not None
    stores, owner = served.stores, uuid4().hex
    executor = build_executor(base, operations, served, keyed, guard, owner)
    reconciler = ReconcileTransfers(
        ledger,
        gateway,
        JobLease("treasury.reconciler", stores.leases, owner, clock),
        clock=clock,
        exchange_ms=served.earliest_exchange_ms,
        is_in_flight=executor.is_in_flight,
        histories_problem=guard.histories_problem,
        timing=settings.reconciliation_timing,
        pace=settings.reconciliation_pace,
    )
    relay = build_transfer_relay(served.events, stores.cursors, operations.log, ledger, clock=clock)
    projection = build_transfer_projector(
        served.events, stores.transfers, stores.cursors, ledger.changes, clock
    )
    key = WatchKey(gateway)
    rotation = _build_rotation(settings, base, operations, keyed, guard, key)
    store_errors = [partial(last_error, each) for each in (executor, reconciler, projection)]
    report = build_report(
        served,
        clock,
        keyed,
        guard,
        lambda: rotation.problem or key.problem,
        relay,
        store_errors,
        executor.clock_problem,
    )

    def stop() -> None:
        stopping.set()
        executor.stop()

    return Capability(
        name="treasury",
        workers=(
            Worker("treasury executor", executor.run, stop),
            Worker("treasury reconciler", reconciler.run),
            Worker("treasury relay", relay.run),
            Worker("treasury projection", projection.run),
            Worker("exchange maintenance", keyed.maintenance.run),
            repeating("treasury account", guard.check, clock),
            repeating("treasury key's files", rotation.check, clock),
        ),
        jobs=(
            _each_hour("treasury.key", key.check, key.replaced),
            _each_hour("treasury.account", guard.read_account, ChangeSignal()),
        ),
        self_paced_jobs=(_maintenance_job(keyed.maintenance),),
        health=(HealthSource("treasury", report.report, required=False),),
        metrics=(treasury_source(ledger, lambda: relay.events_relayed),),
        web=served.web,
    )


def _maintenance_job(maintenance: WatchMaintenance) -> SelfPacedJob:
    return SelfPacedJob(
        name="treasury.maintenance",
        schedule=Every(HOUR_MS),
        state=lambda: maintenance.job_state,
        wake=maintenance.recheck,
    )


def _each_hour(name: str, run: Callable[[], Awaitable[JobResult]], wake: ChangeSignal) -> Job:
    """A job of each instance: each may have another key."""
    return Job(
        name=name,
        schedule=Every(HOUR_MS),
        run=run,
        each_instance=True,
        at_start=True,
        jitter_ms=0,
        wake=wake,
    )


def _build_rotation(  # noqa: PLR0917 (parts by position)
    settings: TreasurySettings,
    base: Foundation,
    operations: Operations,
    keyed: Keyed,
    guard: GuardAccount,
    key: WatchKey,
) -> RotateKey[Credentials]:
    exchange_ms = operations.spot_patrol.exchange_ms

    async def account_of(credentials: Credentials) -> str:
        async with build_gateway(settings, base.budgets, exchange_ms, credentials) as candidate:
            return f"{settings.binance_env.value}:{await candidate.account_uid()}"

    def use(credentials: Credentials, account: str) -> None:
        keyed.gateway.use_key(credentials)
        guard.key_replaced(account)
        key.key_replaced()

    return RotateKey(
        keyed.credentials,
        base.clock,
        read=partial(read_credentials, settings),
        account_of=account_of,
        expected_account=guard.expected_account,
        use=use,
        record_event=operations.outbox.record,
    )
