"""The object graph of the service; every line of `Container` is `name = how(a, b)`.

The only importer of dependency-injector. What has to be chosen or converted is chosen in typed
builders, where the type checker sees that an adapter fits its port.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from dependency_injector import containers, providers
from litestar import Litestar
from msgspec import Struct

from chimera_s1 import __version__
from chimera_s1.adapters.memory.job_runs import MemoryJobRuns
from chimera_s1.adapters.system.file_token_store import FileTokenStore
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.adapters.telemetry.metrics_page import MetricsPage
from chimera_s1.app.capabilities.execution.wiring import open_execution
from chimera_s1.app.capabilities.funding.wiring import open_funding
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.trading_hours import TradingHours
from chimera_s1.app.capabilities.instruments.wiring import open_instruments
from chimera_s1.app.capabilities.market.current_publication import CurrentPublication
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.wiring import open_market
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.metrics import (
    build_source,
    health_source,
    jobs_source,
)
from chimera_s1.app.capabilities.operations.report_health import ReportHealth
from chimera_s1.app.capabilities.operations.run_jobs import LEASE_MS, RunJobs
from chimera_s1.app.capabilities.operations.scoped_job_runs import job_runs_of, job_scope
from chimera_s1.app.capabilities.operations.web.job_routes import jobs_part
from chimera_s1.app.capabilities.operations.web.routes import health_part
from chimera_s1.app.capabilities.operations.wiring import Operations, open_operations
from chimera_s1.app.capabilities.trading_mode.wiring import open_trading_mode
from chimera_s1.app.capabilities.treasury.current_account_hold import CurrentAccountHold
from chimera_s1.app.capabilities.treasury.wiring import open_treasury, treasury_enabled
from chimera_s1.app.capability import Capability
from chimera_s1.app.foundation import (
    ConnectRedis,
    Foundation,
    exchange_limits,
    name_instance,
)
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.stores import Stores, open_stores
from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.access.metrics import access_source
from chimera_s1.app.web.application import create_web_app
from chimera_s1.app.web.connections import Connections, connections_source
from chimera_s1.app.web.page_cache import PageCache
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.level_grace import GraceLimit
from chimera_s1.domain.ports.clock import Clock


class ConfiguredTokens(Struct, frozen=True):
    """The token file, None without one."""

    store: FileTokenStore | None

    @property
    def health(self) -> tuple[HealthSource, ...]:
        if self.store is None:
            return ()
        return (HealthSource("http.tokens", self.store.report, required=False),)


def open_tokens(settings: Settings, clock: Clock) -> ConfiguredTokens:
    """An unreadable token file, or one that others can change, stops the start."""
    file = settings.api_tokens_file
    return ConfiguredTokens(FileTokenStore(file, clock) if file else None)


def open_instance_stores(settings: Settings, clock: Clock) -> AbstractAsyncContextManager[Stores]:
    """Market data flows without them; money needs its ledger at once."""
    return open_stores(settings, clock, allow_in_use=not treasury_enabled(settings))


def build_access(
    settings: Settings, clock: Clock, operations: Operations, tokens: ConfiguredTokens
) -> ControlAccess:
    """Access control of the HTTP API."""
    return ControlAccess(
        tokens.store,
        limit=settings.rate_limit,
        clock=clock,
        record=operations.outbox.record,
    )


def build_health(  # noqa: PLR0917 (parts by position)
    settings: Settings,
    clock: Clock,
    operations: Operations,
    tokens: ConfiguredTokens,
    jobs: RunJobs,
    capabilities: tuple[Capability, ...],
) -> ReportHealth:
    health = ReportHealth(
        clock,
        shard=str(settings.shard),
        version=__version__,
        mode=operations.trading_mode.mode,
        grace=GraceLimit(settings.health_grace_max_ms),
    )
    for capability in capabilities:
        for source in capability.health:
            health.register(source)
    for source in tokens.health:
        health.register(source)
    health.register(HealthSource("jobs", jobs.report, required=False))
    return health


def build_jobs(
    settings: Settings,
    foundation: Foundation,
    operations: Operations,
    capabilities: tuple[Capability, ...],
) -> RunJobs:
    """Instances with one ArangoDB that serve the same venues agree on one that runs the jobs: one
    that serves another venue cannot run theirs. SQLite has one instance.
    """
    stores, clock, instance = foundation.stores, foundation.clock, foundation.instance
    scope = job_scope(settings.venues)
    lease = f"jobs.{scope}" if scope else "jobs"
    return RunJobs(
        capabilities,
        JobLease(lease, stores.leases, instance, clock, duration_ms=LEASE_MS),
        job_runs_of(stores.job_runs, settings.venues),
        MemoryJobRuns(),
        may_own=settings.runs_shared_jobs,
        instance=instance,
        clock=clock,
        record=operations.outbox.record,
    )


def build_metrics(  # noqa: PLR0917 (parts by position)
    settings: Settings,
    access: ControlAccess,
    connections: Connections,
    health: ReportHealth,
    jobs: RunJobs,
    capabilities: tuple[Capability, ...],
) -> MetricsPage:
    return MetricsPage(
        [
            *(source for capability in capabilities for source in capability.metrics),
            access_source(access),
            connections_source(connections),
            health_source(lambda: health.snapshot().components),
            jobs_source(jobs),
            build_source(__version__, str(settings.shard)),
        ],
        [histogram for capability in capabilities for histogram in capability.histograms],
    )


def build_web(  # noqa: PLR0917 (parts by position)
    clock: Clock,
    access: ControlAccess,
    health: ReportHealth,
    metrics: MetricsPage,
    jobs: RunJobs,
    capabilities: tuple[Capability, ...],
) -> Litestar:
    parts = [
        *(each.web for each in capabilities),
        health_part(health, PageCache(metrics.render, clock)),
        jobs_part(jobs),
    ]
    return create_web_app(parts, access)


def named_symbols(settings: Settings) -> Mapping[Venue, tuple[Symbol, ...]]:
    """The instruments that `S1_SYMBOLS` names; none with `*` or `s10`."""
    chosen = settings.symbol_filter
    named = sorted(chosen.named) if chosen is not None else []
    return {venue: tuple(each.symbol for each in named if each.venue is venue) for venue in Venue}


class Container(containers.DeclarativeContainer):
    """The object graph. `runtime` opens `stores`, `operations` and `capabilities`."""

    settings = providers.Dependency(instance_of=Settings)
    connect_redis: providers.Dependency[ConnectRedis] = providers.Dependency()
    pulse_watchdog: providers.Dependency[Callable[[], None]] = providers.Dependency()
    connections = providers.Dependency(instance_of=Connections)
    stores = providers.Dependency(instance_of=Stores)
    operations = providers.Dependency(instance_of=Operations)
    capabilities = providers.Dependency(instance_of=tuple)

    clock = providers.Singleton(SystemClock)
    limits = providers.Singleton(exchange_limits, settings, clock)
    foundation = providers.Singleton(
        Foundation,
        settings=settings,
        instance=providers.Factory(name_instance),
        clock=clock,
        stores=stores,
        connect_redis=connect_redis,
        budgets=limits.provided.budgets,
        gates=limits.provided.gates,
        pulse_watchdog=pulse_watchdog,
    )
    opening_stores = providers.Factory(open_instance_stores, settings, clock)
    opening_operations = providers.Factory(open_operations, foundation)
    catalog = providers.Singleton(InstrumentCatalog)
    hours = providers.Singleton(TradingHours, catalog)
    publication = providers.Singleton(CurrentPublication)
    board = providers.Singleton(QuoteBoard)
    account_hold = providers.Singleton(CurrentAccountHold)
    openings = providers.List(
        providers.Factory(open_instruments, settings, foundation, operations, catalog, hours),
        # Before market, which releases the publisher lease when its last quotes are written.
        providers.Factory(
            open_funding,
            settings,
            settings,
            foundation,
            operations,
            catalog,
            catalog,
            publication,
        ),
        providers.Factory(
            open_market,
            settings,
            foundation,
            operations,
            catalog,
            hours,
            publication=publication,
            board=board,
        ),
        providers.Factory(open_trading_mode, foundation, operations),
        providers.Factory(open_treasury, settings, foundation, operations, account_hold),
        providers.Factory(
            open_execution,
            settings,
            foundation,
            operations,
            catalog,
            board,
            account_hold,
            providers.Callable(named_symbols, settings),
        ),
    )

    tokens = providers.Singleton(open_tokens, settings, clock)
    access = providers.Singleton(build_access, settings, clock, operations, tokens)
    jobs = providers.Singleton(build_jobs, settings, foundation, operations, capabilities)
    health = providers.Singleton(
        build_health, settings, clock, operations, tokens, jobs, capabilities
    )
    metrics = providers.Singleton(
        build_metrics, settings, access, connections, health, jobs, capabilities
    )
    web = providers.Singleton(build_web, clock, access, health, metrics, jobs, capabilities)
