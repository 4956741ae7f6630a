"""The market capability, from the settings that choose its parts."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from anyio.lowlevel import checkpoint

from chimera_s1.adapters.binance.market_feed import BinanceMarketFeed, FeedPlan
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram
from chimera_s1.app.capabilities.market.admit_quotes import AdmitQuotes
from chimera_s1.app.capabilities.market.current_publication import CurrentPublication
from chimera_s1.app.capabilities.market.current_status import CurrentStatus
from chimera_s1.app.capabilities.market.measure_processing import MeasureProcessing
from chimera_s1.app.capabilities.market.measure_throughput import MeasureThroughput
from chimera_s1.app.capabilities.market.metrics import (
    PUBLISH_LATENCY,
    PUBLISH_LATENCY_BOUNDS_MS,
    PUBLISH_LATENCY_HELP,
    QUOTE_LAG,
    QUOTE_LAG_BOUNDS_MS,
    QUOTE_LAG_HELP,
    admission_source,
    board_source,
    feed_source,
    liveness_source,
    publisher_source,
    publishing_source,
    throughput_source,
)
from chimera_s1.app.capabilities.market.probe_books import ProbeBooks
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.publish_status import PublishStatus
from chimera_s1.app.capabilities.market.publisher_wiring import (
    lease_workers,
    make_admission,
    make_lease,
    make_marks,
    make_publisher,
    make_status,
    pending_writes,
)
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.selection_wiring import FollowedSelection, make_selection
from chimera_s1.app.capabilities.market.served_instruments import ServedInstruments
from chimera_s1.app.capabilities.market.settings import MarketSettings
from chimera_s1.app.capabilities.market.undelivered_status import keep_status
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.app.capabilities.market.web.part import market_part
from chimera_s1.app.capabilities.operations.publication_gate import PublicationGate
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capability import Capability, Job
from chimera_s1.app.foundation import Foundation, served_endpoints
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.metrics import MetricSource
from chimera_s1.domain.operations.schedule import SECOND_MS, Every
from chimera_s1.domain.ports.instrument_reader import InstrumentReader
from chimera_s1.domain.ports.market_feed import FeedEvent, FeedListener, MarketFeed
from chimera_s1.domain.ports.quote_publisher import QuotePublisher
from chimera_s1.domain.ports.trading_sessions import TradingSessions


@asynccontextmanager
async def open_market(
    settings: MarketSettings,
    base: Foundation,
    operations: Operations,
    instruments: InstrumentReader,
    sessions: TradingSessions,
    *,
    publication: CurrentPublication,
    board: QuoteBoard,
) -> AsyncIterator[Capability]:
    """Publish quotes to the Redis Streams, with their liveness; fill *publication* and *board*."""
    clock, record = base.clock, operations.outbox.record
    async with (
        base.connect_redis() as quotes_client,
        base.connect_redis() as status_client,  # a slow batch must not delay it
        base.connect_redis() as lease_client,  # nor a renewal
        make_publisher(settings, quotes_client, clock) as publisher,
    ):
        lease = make_lease(settings, base, lease_client, operations, publication=publication)
        status = make_status(settings, status_client, lease, clock)
        lag = LatencyHistogram(QUOTE_LAG, QUOTE_LAG_HELP, QUOTE_LAG_BOUNDS_MS)
        watches = _watches(base, operations, status, board, lag, sessions=sessions)
        current = CurrentStatus(watches, lease.report, clock)
        pacer = ReadPacer(clock, settings.read_interval_ms)
        gate = PublicationGate(operations.kill_switch, clock, settings.kill_switch_interval_ms)
        processing = MeasureProcessing(clock, lambda: gate.opened_ms)
        listener = _listener(operations, watches, processing)
        feeds = _feeds(settings, base, operations, pacer, listener, sessions=sessions)
        marks = make_marks(settings, operations, lease, watches, client=status_client, clock=clock)
        admission = make_admission(
            settings, lease, lease_client, operations, feeds=feeds, marks=marks, clock=clock
        )
        latency = LatencyHistogram(PUBLISH_LATENCY, PUBLISH_LATENCY_HELP, PUBLISH_LATENCY_BOUNDS_MS)
        publish = PublishQuotes(
            feeds,
            publisher,
            board,
            clock=clock,
            window=settings.conflation_ms,
            admission=admission,
            gate=gate,
            observe_latency=latency.observe,
            acknowledged_watchers=[processing.observe, *marks.of_published],
            watchers=[*(each.observe for each in watches), *marks.of_received],
        )
        follower = ServedInstruments(
            admission, publish, current, board, watches, publication=publication, record=record
        )
        selection = make_selection(settings, operations, instruments, feeds, follower)
        throughput = MeasureThroughput(feeds, operations.log, clock)
        yield Capability(
            name="market",
            workers=(
                Worker("reads", pacer.run),
                Worker("publisher", publish.run),
                *lease_workers(lease, admission, status, marks),
                Worker("throughput", throughput.run),
                *selection.workers,
                *map(_liveness_worker, watches, feeds),
            ),
            jobs=tuple(_connection_scan(settings, feed) for feed in feeds),
            health=_health(selection, admission, publish, watches),
            metrics=(
                *_publication_metrics(feeds, publisher, publish, admission),
                *_reading_metrics(watches, throughput, board),
            ),
            histograms=(latency, lag),
            web=market_part(board, current),
            pending_writes=pending_writes(publish, lease, admission, marks, watches),
        )


def _connection_scan(settings: MarketSettings, feed: MarketFeed) -> Job:
    """Says how the connections are; each dials by itself, also when it is out of retries."""

    async def scan() -> str:
        await checkpoint()
        return feed.report().sentence

    schedule = Every(max(settings.reconnect_scan_ms, SECOND_MS))
    name = f"connections.{feed.venue.value}"
    return Job(name=name, schedule=schedule, run=scan, each_instance=True, jitter_ms=0)


def _reading_metrics(
    watches: tuple[WatchLiveness, ...], throughput: MeasureThroughput, board: QuoteBoard
) -> tuple[MetricSource, ...]:
    return (
        liveness_source(watches),
        throughput_source(lambda: throughput.messages_per_s),
        board_source(board),
    )


def _publication_metrics(
    feeds: tuple[MarketFeed, ...],
    publisher: QuotePublisher,
    publish: PublishQuotes,
    admission: AdmitQuotes,
) -> tuple[MetricSource, ...]:
    return (
        feed_source(feeds),
        publisher_source(publisher),
        publishing_source(publish),
        admission_source(admission),
    )


def _health(
    selection: FollowedSelection,
    admission: AdmitQuotes,
    publish: PublishQuotes,
    watches: tuple[WatchLiveness, ...],
) -> tuple[HealthSource, ...]:
    """In the order of `/health`."""
    return (
        *selection.health,
        HealthSource("publisher", admission.report, required=False),
        HealthSource("redis", publish.report, required=True),
        *(
            HealthSource(f"market.{watch.venue.value}", watch.report, required=False)
            for watch in watches
        ),
    )


def _feeds(
    settings: MarketSettings,
    base: Foundation,
    operations: Operations,
    pacer: ReadPacer,
    listener: FeedListener,
    *,
    sessions: TradingSessions,
) -> tuple[MarketFeed, ...]:
    """A feed for each venue served; its times are aligned by the venue's clock patrol."""
    endpoints = served_endpoints(settings)
    return tuple(
        BinanceMarketFeed(
            FeedPlan(
                venue=patrol.venue,
                ws_url=endpoints[patrol.venue].ws_url,
                channels=settings.channels,
                window=settings.conflation_ms,
                streams_per_connection=settings.streams_per_connection,
                policy=settings.reconnect_policy,
                renew_after_ms=settings.renew_after_ms,
                egress=endpoints[patrol.venue].egress,
            ),
            clock=base.clock,
            gate=base.gates[patrol.venue],
            pacer=pacer,
            draw=random.random,
            clock_offset=patrol.offset,
            on_clock_suspect=patrol.request_refresh,
            listener=listener,
            sessions=sessions,
        )
        for patrol in operations.patrols
    )


def _listener(
    operations: Operations, watches: tuple[WatchLiveness, ...], processing: MeasureProcessing
) -> FeedListener:
    listeners: tuple[Callable[[FeedEvent], None], ...] = (
        operations.outbox.on_feed_event,
        operations.trading_mode.on_feed_event,
        *(watch.on_feed_event for watch in watches),
    )

    def notify_all(event: FeedEvent) -> None:
        completed = processing.complete(event)
        for listener in listeners:
            listener(completed)

    return notify_all


def _watches(
    base: Foundation,
    operations: Operations,
    status: PublishStatus,
    board: QuoteBoard,
    lag: LatencyHistogram,
    *,
    sessions: TradingSessions,
) -> tuple[WatchLiveness, ...]:
    probes = ProbeBooks(operations.exchange, base.clock)
    return tuple(
        WatchLiveness(
            venue,
            status,
            probes,
            base.clock,
            sessions=sessions,
            observe_lag=lag.observe,
            on_gone=lambda instrument, reason: board.withdraw([instrument], reason),
            on_status=board.post_changed,
            give_up=partial(keep_status, venue, operations.dead_letters.take),
        )
        for venue in base.settings.venues
    )


def _liveness_worker(watch: WatchLiveness, feed: MarketFeed) -> Worker:
    return Worker(f"liveness.{watch.venue}", lambda: watch.run(feed))
