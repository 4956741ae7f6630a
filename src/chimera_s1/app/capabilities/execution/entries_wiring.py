"""The part of the execution capability that runs entries."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from uuid import uuid4

from msgspec import Struct

from chimera_s1.app.capabilities.execution.account_wiring import Account
from chimera_s1.app.capabilities.execution.entries.accept_entries import AcceptEntries
from chimera_s1.app.capabilities.execution.entries.admission_facts import CollectFacts
from chimera_s1.app.capabilities.execution.entries.cancel_entries import CancelEntries
from chimera_s1.app.capabilities.execution.entries.entry_ledger import EntryLedger
from chimera_s1.app.capabilities.execution.entries.keep_lease import KeepLease
from chimera_s1.app.capabilities.execution.entries.read_entries import ReadEntries
from chimera_s1.app.capabilities.execution.entries.report_entries import ReportEntries
from chimera_s1.app.capabilities.execution.entries.run_entries import RunEntries
from chimera_s1.app.capabilities.execution.entries.situations import BuildSituation, Surroundings
from chimera_s1.app.capabilities.execution.entries.use_cases import Entries, EntryParts
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.orders_wiring import Exchange, Orders
from chimera_s1.app.capabilities.execution.settings import ExecutionSettings
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ChimeraError, ClockUncertainError
from chimera_s1.domain.execution.entries.admission import EntryLimits
from chimera_s1.domain.execution.entries.entry import Entry
from chimera_s1.domain.execution.entries.events import EntryAlarmed
from chimera_s1.domain.execution.entries.specs import EntrySpec
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.current_quotes import CurrentQuotes
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.risk_limits_reader import RiskLimitsReader
from chimera_s1.domain.ports.spec_reader import SpecReader

LEASE_NAME = "execution.entries"
"""Of each venue: an instance may serve one of them only."""

LEASE_MS = 3_000
"""Another instance takes over so long after the one that drove the entries was killed."""


class Market(Struct, frozen=True, kw_only=True):
    """What is known of instruments and prices, in memory.

    Attributes:
        prices: Of a quote that is recent enough for a decision; else None.
    """

    specs: SpecReader
    quotes: CurrentQuotes
    prices: Callable[[InstrumentId], CurrentPrices | None]
    risk: RiskLimitsReader | None


class Platform(Struct, frozen=True, kw_only=True):
    """Attributes:
    closed: Why nothing may be opened now; None if it may.
    hold_ms: How long a rate limit forbids requests to a venue.
    record: Takes the kind and the details of an event of `ops:events`; must not raise.
    """

    clock: Clock
    leases: LeaseStore
    closed: Callable[[], ChimeraError | None]
    hold_ms: Callable[[Venue], float]
    record: Callable[[str, EventDetail], None]


class EntryService(Struct, frozen=True, kw_only=True):
    entries: Entries
    workers: tuple[Worker, ...]
    health: tuple[HealthSource, ...]


def build_entries(  # noqa: PLR0917 (parts by position)
    settings: ExecutionSettings,
    ledger: ExecutionLedger,
    exchange: Exchange,
    orders: Orders,
    account: Account,
    market: Market,
    platform: Platform,
) -> EntryService:
    clock, book = platform.clock, ledger.state.entries
    entries = EntryLedger(ledger)
    surroundings = Surroundings(
        spec=market.specs.spec,
        prices=market.prices,
        free=partial(_free_balance, account),
        hold_ms=platform.hold_ms,
        positions_known=lambda: Venue.PERP in account.picture.read_ms,
    )
    build = BuildSituation(ledger.state, entries, surroundings, orders.in_flight)

    def now_ms(spec: EntrySpec) -> int:
        return exchange_now(exchange, clock, spec.instrument.venue)

    facts = CollectFacts(
        ledger.state,
        specs=market.specs,
        quotes=market.quotes,
        risk=market.risk,
        account=(account.picture, account.check),
        limits=_limits(settings),
        clock=clock,
        now_ms=now_ms,
    )
    leases = {venue: _lease(venue, platform) for venue in exchange.streams}
    run = RunEntries(
        ledger,
        entries,
        build,
        place=orders.place,
        cancel=orders.cancel,
        gateway=exchange.gateway,
        clock=clock,
        now_ms=partial(exchange_now, exchange, clock),
        is_mine=lambda venue: venue in leases and leases[venue].is_held(),
        on_alarm=partial(_report_alarm, platform.record),
    )
    read = ReadEntries(book, entries, build, now_ms)
    parts = EntryParts(
        accept=AcceptEntries(
            entries,
            orders.place,
            read.picture,
            facts=facts.of,
            closed=platform.closed,
            now_ms=now_ms,
        ),
        read=read,
        cancel=CancelEntries(entries, read, now_ms),
    )
    report = ReportEntries(book, read, run, leases)
    return EntryService(
        entries=Entries(parts),
        workers=(
            *(Worker(f"entry lease {venue.value}", lease.run) for venue, lease in leases.items()),
            Worker("entries", run.run),
        ),
        health=(HealthSource("entries", report.report, required=False),),
    )


def _lease(venue: Venue, platform: Platform) -> KeepLease:
    clock = platform.clock
    lease = JobLease(
        f"{LEASE_NAME}.{venue.value}",
        platform.leases,
        uuid4().hex,
        clock,
        duration_ms=LEASE_MS,
    )
    return KeepLease(lease, clock)


def exchange_now(exchange: Exchange, clock: Clock, venue: Venue) -> int:
    """By the exchange's clock; by this machine's where that is not known."""
    try:
        return round(exchange.exchange_ms(venue))
    except ClockUncertainError:
        return clock.now_ms()


def _limits(settings: ExecutionSettings) -> EntryLimits:
    return EntryLimits(
        max_usdt=settings.entry_max_usdt,
        daily_cap=settings.entry_daily_cap,
        quote_age_ms=settings.entry_quote_age_ms,
        symbols=frozenset(settings.entry_symbols) if settings.entry_symbols else None,
    )


def _free_balance(account: Account, asset: str) -> Decimal | None:
    if Venue.SPOT not in account.picture.read_ms:
        return None
    rows = (row for row in account.picture.balances() if row.wallet == "SPOT")
    return next((row.free for row in rows if row.asset == asset), Decimal(0))


def _report_alarm(
    record: Callable[[str, EventDetail], None], entry: Entry, alarm: EntryAlarmed
) -> None:
    record(
        "execution.entry_unprotected",
        {
            "entry_id": entry.entry_id,
            "symbol": str(entry.spec.instrument),
            "qty": str(alarm.qty),
            "since": alarm.since_ms,
            "cause": alarm.cause,
        },
    )
