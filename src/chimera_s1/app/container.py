"""The object graph of the service; every line of `Container` is `name = how(a, b)`.

The only importer of dependency-injector. What has to be chosen or converted is chosen in a typed
builder above the container, where the type checker sees that the adapter fits the port.
"""

import random
from collections.abc import Callable
from typing import assert_never
from uuid import uuid4

from dependency_injector import containers, providers
from litestar import Litestar

from chimera_s1 import __version__
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.kill_switch import RedisKillSwitch
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.adapters.redis.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.operations_log import RedisOperationsLog
from chimera_s1.adapters.system.file_token_store import FileTokenStore
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.adapters.telemetry.metric_sources import (
    build_source,
    clock_source,
    feed_source,
    health_source,
    publish_latency_histogram,
    publisher_source,
    round_trip_source,
    throughput_source,
)
from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram, MetricsPage
from chimera_s1.app.capabilities.market.measure_throughput import MeasureThroughput
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.serve_feed import ServeFeed
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.app.capabilities.market.wiring import (
    build_endpoints,
    build_exchange,
    build_feed_servers,
    build_feeds,
    build_liveness_watches,
    build_pacer,
    build_patrols,
)
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capabilities.operations.patrol_clock import PatrolClock
from chimera_s1.app.capabilities.operations.report_health import ReportHealth
from chimera_s1.app.capabilities.operations.watch_loop import LoopWatchdog, WatchLoop
from chimera_s1.app.capabilities.treasury.wiring import (
    BinanceGateway,
    StopFlag,
    Treasury,
    TreasuryAccess,
    TreasuryPorts,
    TreasuryResources,
    build_gateway,
    build_treasury,
    exchange_clock,
)
from chimera_s1.app.metric_sources import (
    access_source,
    board_source,
    liveness_source,
    operations_source,
    publishing_source,
    treasury_source,
)
from chimera_s1.app.settings.settings import Settings
from chimera_s1.app.settings.types import RedisWriter
from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.application import WebServices, create_web_app
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.market_status import MarketStatus
from chimera_s1.domain.ports.operations_log import OperationsLog
from chimera_s1.domain.ports.quote_publisher import QuotePublisher


def build_clock() -> Clock:
    """The machine's clock."""
    return SystemClock()


def build_publisher(
    settings: Settings, client: ClusterClient, clock: Clock
) -> NodeQuotePublisher | OfficialQuotePublisher:
    """The writer of market events; to be entered before it is used."""
    match settings.redis_writer:
        case RedisWriter.NODE:
            return NodeQuotePublisher(
                client, maxlen=settings.stream_maxlen, clock=clock, draw=random.random
            )
        case RedisWriter.OFFICIAL:
            return OfficialQuotePublisher(client, maxlen=settings.stream_maxlen)
        case _:
            assert_never(settings.redis_writer)


def build_operations_log(settings: Settings, client: ClusterClient) -> OperationsLog:
    """The writer of operational events; a client of its own, so that a slow batch
    delays no alarm.
    """
    return RedisOperationsLog(client, maxlen=settings.ops_maxlen)


def build_market_status(settings: Settings, client: ClusterClient) -> MarketStatus:
    """The writer of `mkt:status:*`."""
    return RedisMarketStatus(client, maxlen=settings.stream_maxlen)


def build_log_operations(operations_log: OperationsLog, clock: Clock) -> OperationsOutbox:
    """The outbox of operational events."""
    return OperationsOutbox(operations_log, clock=clock, new_id=lambda: str(uuid4()))


def build_access(settings: Settings, clock: Clock, operations: OperationsOutbox) -> ControlAccess:
    """Who may call the HTTP API; a token file that cannot be read stops the start."""
    file = settings.api_tokens_file
    return ControlAccess(
        FileTokenStore(file, clock) if file else None,
        limit=settings.rate_limit,
        clock=clock,
        record=operations.record,
    )


def build_publish_quotes(  # noqa: PLR0917 (the container passes collaborators by position)
    settings: Settings,
    feeds: tuple[MarketFeed, ...],
    publisher: QuotePublisher,
    board: QuoteBoard,
    clock: Clock,
    latency: LatencyHistogram,
    watching: tuple[WatchLiveness, ...],
) -> PublishQuotes:
    """The way from the feeds to the streams."""
    return PublishQuotes(
        feeds,
        publisher,
        board,
        clock=clock,
        window=settings.conflation_ms,
        observe_latency=latency.observe,
        watchers=[watch.observe for watch in watching],
    )


def build_health(  # noqa: PLR0917 (the container passes collaborators by position)
    settings: Settings,
    clock: Clock,
    serving: tuple[ServeFeed, ...],
    patrols: tuple[PatrolClock, ...],
    publishing: PublishQuotes,
    watching: tuple[WatchLiveness, ...],
    loop: WatchLoop,
) -> ReportHealth:
    """Every component of `/health`; the feeds and the stream store are required to be ready."""
    health = ReportHealth(clock, shard=str(settings.shard), version=__version__)
    for venue, feed in zip(settings.venues, serving, strict=True):
        health.register(f"feed.{venue.value}", feed.report, required=True)
    health.register("redis", publishing.report, required=True)
    for watch in watching:
        health.register(f"market.{watch.venue.value}", watch.report, required=False)
    for patrol in patrols:
        health.register(f"clock.{patrol.venue.value}", patrol.report, required=False)
    health.register("loop", loop.report, required=True)
    return health


def build_metrics(  # noqa: PLR0917 (the container passes collaborators by position)
    feeds: tuple[MarketFeed, ...],
    publisher: QuotePublisher,
    patrols: tuple[PatrolClock, ...],
    operations: OperationsOutbox,
    throughput: MeasureThroughput,
    publishing: PublishQuotes,
    watching: tuple[WatchLiveness, ...],
    board: QuoteBoard,
    health: ReportHealth,
    latency: LatencyHistogram,
    access: ControlAccess,
    treasury: Treasury,
    settings: Settings,
) -> MetricsPage:
    """The Prometheus page."""
    skews = {patrol.venue: patrol.read_skew for patrol in patrols}
    return MetricsPage(
        [
            feed_source(feeds),
            publisher_source(publisher),
            publishing_source(publishing),
            liveness_source(watching),
            clock_source(skews),
            round_trip_source(operations.round_trips),
            throughput_source(lambda: throughput.messages_per_s),
            operations_source(operations),
            board_source(board),
            access_source(access),
            health_source(lambda: health.snapshot().components),
            treasury_source(treasury.ledger, treasury.events_relayed),
            build_source(__version__, str(settings.shard)),
        ],
        [latency],
    )


def build_treasury_ports(
    resources: TreasuryAccess,
    gateway: Callable[[], BinanceGateway],
    operations_log: OperationsLog,
) -> TreasuryPorts | None:
    """What the treasury stands on, where it is to work."""
    if not isinstance(resources, TreasuryResources):
        return None
    switch = RedisKillSwitch(resources.client)
    return TreasuryPorts(resources.stores, gateway(), switch, operations_log)


def build_web(
    board: QuoteBoard,
    health: ReportHealth,
    metrics: MetricsPage,
    access: ControlAccess,
    treasury: Treasury,
) -> Litestar:
    """The HTTP application."""
    return create_web_app(
        WebServices(
            quote_board=board,
            report_health=health,
            render_metrics=metrics.render,
            accept_transfers=treasury.transfer_intake,
            read_transfers=treasury.transfer_reader,
            resolve_transfers=treasury.transfer_resolver,
        ),
        access,
    )


class Container(containers.DeclarativeContainer):
    """The object graph; clients of the store come in open, everything else is made here."""

    settings = providers.Dependency(instance_of=Settings)
    quotes_client = providers.Dependency(instance_of=ClusterClient)
    operations_client = providers.Dependency(instance_of=ClusterClient)
    status_client = providers.Dependency(instance_of=ClusterClient)
    treasury_resources = providers.Dependency(instance_of=TreasuryAccess)
    watchdog = providers.Dependency(instance_of=LoopWatchdog)

    clock = providers.Singleton(build_clock)
    endpoints = providers.Singleton(build_endpoints, settings)
    budgets = providers.Singleton(weight_budgets, clock)
    exchange = providers.Singleton(build_exchange, endpoints, clock, budgets)
    publisher = providers.Singleton(build_publisher, settings, quotes_client, clock)
    operations_log = providers.Singleton(build_operations_log, settings, operations_client)

    operations = providers.Singleton(build_log_operations, operations_log, clock)
    access = providers.Singleton(build_access, settings, clock, operations)
    patrols = providers.Singleton(build_patrols, settings, exchange, clock)
    status = providers.Singleton(build_market_status, settings, status_client)
    liveness_watches = providers.Singleton(
        build_liveness_watches, settings, status, exchange, clock
    )
    pacer = providers.Singleton(build_pacer, settings, clock)
    feeds = providers.Singleton(
        build_feeds, settings, endpoints, clock, pacer, patrols, operations, liveness_watches
    )
    feed_servers = providers.Singleton(build_feed_servers, settings, feeds, exchange, clock)
    board = providers.Singleton(QuoteBoard)
    latency = providers.Singleton(publish_latency_histogram)
    publish_quotes = providers.Singleton(
        build_publish_quotes, settings, feeds, publisher, board, clock, latency, liveness_watches
    )
    throughput = providers.Singleton(MeasureThroughput, feeds, operations_log, clock)
    loop = providers.Singleton(WatchLoop, clock, watchdog.provided.pulse)
    health = providers.Singleton(
        build_health, settings, clock, feed_servers, patrols, publish_quotes, liveness_watches, loop
    )
    exchange_ms = providers.Singleton(exchange_clock, patrols, clock)
    gateway = providers.Singleton(build_gateway, settings, budgets, exchange_ms)
    stop_flag = providers.Singleton(StopFlag)
    treasury_ports = providers.Singleton(
        build_treasury_ports, treasury_resources, gateway.provider, operations_log
    )
    treasury = providers.Singleton(
        build_treasury,
        settings,
        treasury_ports,
        clock,
        patrols,
        health=health,
        operations=operations,
        stopping=stop_flag,
    )
    metrics = providers.Singleton(
        build_metrics,
        feeds,
        publisher,
        patrols,
        operations,
        throughput,
        publish_quotes,
        liveness_watches,
        board,
        health,
        latency,
        access,
        treasury,
        settings,
    )
    web = providers.Singleton(build_web, board, health, metrics, access, treasury)
