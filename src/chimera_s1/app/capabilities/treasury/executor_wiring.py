"""The parts of the treasury that need an exchange key, and what they are made of."""

import random
from collections.abc import Callable, Iterable
from uuid import uuid4

from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import Credentials
from chimera_s1.adapters.binance.treasury.gateway import (
    BinanceSubaccountGateway,
    BinanceWalletGateway,
)
from chimera_s1.adapters.redis.account_claims import RedisAccountClaims
from chimera_s1.app.capabilities.ledger.projector import LedgerProjector
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capabilities.treasury.account_evidence import GatherAccountEvidence
from chimera_s1.app.capabilities.treasury.execute_transfers import (
    ExecuteTransfers,
    SubmissionPolicy,
)
from chimera_s1.app.capabilities.treasury.guard_account import GuardAccount
from chimera_s1.app.capabilities.treasury.reconcile_transfers import ReconcileTransfers
from chimera_s1.app.capabilities.treasury.report_treasury import ReportTreasury
from chimera_s1.app.capabilities.treasury.settings import TreasurySettings
from chimera_s1.app.capabilities.treasury.transfer_admission import TransferAdmission
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.app.capabilities.treasury.watch_maintenance import WatchMaintenance
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.stores import LedgerStores
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import EventStore

BinanceGateway = BinanceWalletGateway | BinanceSubaccountGateway


class Keyed(Struct, frozen=True):
    """What exists only with an exchange key.

    Attributes:
        credentials: Those that *gateway* was opened with.
    """

    credentials: Credentials
    gateway: BinanceGateway
    maintenance: WatchMaintenance
    claims: RedisAccountClaims


class Served(Struct, frozen=True):
    """The ledger and the routes, with or without an exchange key.

    Attributes:
        events: Shared by all readers: it remembers how far the ledger was read, and stops the
            ledger when one of them meets damage.
        guard: None without an exchange key.
        earliest_exchange_ms: The exchange's clock is not behind this, epoch ms.
    """

    stores: LedgerStores
    events: EventStore
    ledger: TreasuryLedger
    guard: GuardAccount | None
    admission: TransferAdmission
    earliest_exchange_ms: Callable[[], float]
    web: WebPart


def build_guard(  # noqa: PLR0917 (parts by position)
    settings: TreasurySettings,
    base: Foundation,
    operations: Operations,
    stores: LedgerStores,
    ledger: TreasuryLedger,
    keyed: Keyed,
) -> GuardAccount:
    evidence = GatherAccountEvidence(
        ledger,
        keyed.gateway,
        keyed.claims,
        stores.installation,
        clock=base.clock,
        exchange_ms=operations.spot_patrol.exchange_ms,
        new_id=lambda: uuid4().hex,
    )
    return GuardAccount(
        ledger,
        evidence,
        keyed.gateway,
        environment=settings.binance_env.value,
        clock=base.clock,
        record_event=operations.outbox.record,
    )


def build_executor(  # noqa: PLR0917 (parts by position)
    base: Foundation,
    operations: Operations,
    served: Served,
    keyed: Keyed,
    guard: GuardAccount,
    owner: str,
) -> ExecuteTransfers:
    return ExecuteTransfers(
        served.ledger,
        keyed.gateway,
        JobLease("treasury.executor", served.stores.leases, owner, base.clock),
        served.admission,
        clock=base.clock,
        exchange_ms=operations.spot_patrol.exchange_ms,
        confirm_account=guard.confirm,
        on_clock_suspect=operations.spot_patrol.request_refresh,
        draw=random.random,
        policy=SubmissionPolicy(),
    )


def last_error(part: ExecuteTransfers | ReconcileTransfers | LedgerProjector) -> str:
    return part.last_error


def build_report(  # noqa: PLR0917 (parts by position)
    served: Served,
    clock: Clock,
    keyed: Keyed,
    guard: GuardAccount,
    key_problem: Callable[[], str],
    relay: LedgerRelay,
    store_errors: Iterable[Callable[[], str]],
    clock_problem: Callable[[], str],
) -> ReportTreasury:
    maintenance = keyed.maintenance
    return ReportTreasury(
        served.ledger,
        clock,
        store_errors=store_errors,
        relay_error=lambda: relay.last_error,
        account=lambda: guard.verdict,
        account_error=lambda: guard.last_error,
        key_problem=key_problem,
        clock_problem=clock_problem,
        maintenance=lambda: maintenance.maintenance,
        status_problem=lambda: maintenance.problem,
    )
