"""The part of the execution capability that knows the account."""

from collections.abc import Iterable, Mapping
from functools import partial

from msgspec import Struct

from chimera_s1.app.capabilities.execution.account_metrics import account_source
from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.app.capabilities.execution.check_account import CheckAccount
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.orders_wiring import Exchange
from chimera_s1.app.capabilities.execution.read_trades import ReadTrades
from chimera_s1.app.capabilities.execution.reconcile_account import ReconcileAccount
from chimera_s1.app.capabilities.execution.reconcile_venue import ReconcileVenue
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capability import Job
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.metrics import MetricSource
from chimera_s1.domain.operations.schedule import HOUR_MS, Every

NAMED_MAX = 20
"""Trades of so many named symbols of a venue are read although nothing is known of them: each
request costs 20 weight on spot.
"""


class Account(Struct, frozen=True, kw_only=True):
    picture: AccountPicture
    check: CheckAccount
    reconcile: ReconcileAccount
    workers: tuple[Worker, ...]
    jobs: tuple[Job, ...]
    health: tuple[HealthSource, ...]
    metrics: tuple[MetricSource, ...]


def build_account(
    base: Foundation,
    operations: Operations,
    ledger: ExecutionLedger,
    exchange: Exchange,
    named: Mapping[Venue, tuple[Symbol, ...]],
) -> Account:
    picture, record = AccountPicture(ledger.state), operations.outbox.record
    venues = [
        ReconcileVenue(
            venue,
            ledger=ledger,
            account=exchange.account,
            find=exchange.gateway.find,
            trades=ReadTrades(
                venue,
                exchange.account,
                base.stores.cursors,
                ledger.state,
                served=partial(_named, named, venue),
            ),
            picture=picture,
            clock=base.clock,
            exchange_ms=exchange.exchange_ms,
        )
        for venue in exchange.streams
    ]
    reconcile = ReconcileAccount(venues, clock=base.clock, record=record)

    def contracts() -> Iterable[Symbol]:
        return {*_named(named, Venue.PERP), *picture.symbols(Venue.PERP)}

    check = CheckAccount(
        exchange.account,
        ledger.state.agreement,
        venues=tuple(exchange.streams),
        symbols=contracts,
        record=record,
    )
    return Account(
        picture=picture,
        check=check,
        reconcile=reconcile,
        workers=(Worker("execution reconciliation", reconcile.run),),
        jobs=(_check_job(check),),
        health=(
            HealthSource("reconciliation", reconcile.report, required=False),
            HealthSource("account", check.report, required=False),
        ),
        metrics=(account_source(reconcile, picture, exchange.account),),
    )


def _named(named: Mapping[Venue, tuple[Symbol, ...]], venue: Venue) -> tuple[Symbol, ...]:
    return named.get(venue, ())[:NAMED_MAX]


def _check_job(check: CheckAccount) -> Job:
    """Of each instance: each may have another key."""
    return Job(
        name="execution.account",
        schedule=Every(HOUR_MS),
        run=check.check,
        each_instance=True,
        at_start=True,
        jitter_ms=0,
        wake=check.changed,
    )
