"""The market capability, from the settings that choose its parts."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from os import getpid
from secrets import token_hex
from socket import gethostname
from typing import assert_never

from chimera_s1.adapters.binance.market_feed import BinanceMarketFeed, FeedPlan
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.publisher_lease import RedisPublisherLease
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram
from chimera_s1.app.capabilities.market.admit_quotes import AdmitQuotes
from chimera_s1.app.capabilities.market.hold_publisher_lease import HoldPublisherLease
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
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.serve_feed import ServeFeed
from chimera_s1.app.capabilities.market.settings import MarketSettings
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.app.capabilities.market.web.part import market_part
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capability import Capability, PendingWrites
from chimera_s1.app.foundation import Foundation, served_endpoints
from chimera_s1.app.settings.types import RedisWriter
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.stream_ids import StreamIds
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import FeedEvent, FeedListener, MarketFeed

_LAST_ENTRIES_TIMEOUT_S = 1.0


@asynccontextmanager
async def open_market(
    settings: MarketSettings, base: Foundation, operations: Operations
) -> AsyncIterator[Capability]:
    """Publish quotes from the exchange's streams to the Redis Streams, with their liveness."""
    clock = base.clock
    async with (
        base.connect_redis() as quotes_client,
        base.connect_redis() as status_client,  # a slow batch must not delay it
        base.connect_redis() as lease_client,  # nor a renewal
        _publisher(settings, quotes_client, clock) as publisher,
    ):
        lease = _lease(settings, lease_client, clock, operations)
        status = _status(settings, status_client, lease)
        probes = ProbeBooks(operations.exchange, clock)
        board = QuoteBoard()
        lag = LatencyHistogram(QUOTE_LAG, QUOTE_LAG_HELP, QUOTE_LAG_BOUNDS_MS)
        watches = tuple(
            WatchLiveness(
                venue, status, probes, clock, observe_lag=lag.observe, on_gone=board.withdraw
            )
            for venue in settings.venues
        )
        pacer = ReadPacer(clock, settings.read_interval_ms)
        processing = MeasureProcessing(clock)
        listener = _listener(operations, watches, processing)
        feeds = _feeds(settings, base, operations, pacer, listener)
        servers = tuple(_server(settings, base, operations, feed) for feed in feeds)
        admission = _admission(settings, lease, lease_client, operations, feeds, clock=clock)
        latency = LatencyHistogram(PUBLISH_LATENCY, PUBLISH_LATENCY_HELP, PUBLISH_LATENCY_BOUNDS_MS)
        publish = PublishQuotes(
            feeds,
            publisher,
            board,
            clock=clock,
            window=settings.conflation_ms,
            admission=admission,
            observe_latency=latency.observe,
            observe_acknowledged=processing.observe,
            watchers=[watch.observe for watch in watches],
        )
        throughput = MeasureThroughput(feeds, operations.log, clock)
        yield Capability(
            name="market",
            workers=(
                Worker("reads", pacer.run),
                Worker("publisher", publish.run),
                *_lease_workers(lease, admission, status),
                Worker("throughput", throughput.run),
                *(Worker(f"feed.{server.venue}", server.run) for server in servers),
                *map(_liveness_worker, watches, feeds),
            ),
            health=_health(servers, admission, publish, watches),
            metrics=(
                feed_source(feeds),
                publisher_source(publisher),
                publishing_source(publish),
                admission_source(admission),
                liveness_source(watches),
                throughput_source(lambda: throughput.messages_per_s),
                board_source(board),
            ),
            histograms=(latency, lag),
            web=market_part(board),
            pending_writes=_pending_writes(publish, lease),
        )


def _publisher(
    settings: MarketSettings, client: ClusterClient, clock: Clock
) -> NodeQuotePublisher | OfficialQuotePublisher:
    match settings.redis_writer:
        case RedisWriter.NODE:
            return NodeQuotePublisher(
                client,
                maxlen=settings.stream_maxlen,
                window=settings.conflation_ms,
                clock=clock,
                draw=random.random,
            )
        case RedisWriter.OFFICIAL:
            return OfficialQuotePublisher(
                client, maxlen=settings.stream_maxlen, window=settings.conflation_ms
            )
        case _:
            assert_never(settings.redis_writer)


def _lease(
    settings: MarketSettings, client: ClusterClient, clock: Clock, operations: Operations
) -> HoldPublisherLease:
    owner = f"{gethostname()}:{getpid()}:{token_hex(4)}"
    lease = RedisPublisherLease(client, settings.publisher_lease_name)
    return HoldPublisherLease(lease, owner, clock, operations.outbox.record)


def _admission(
    settings: MarketSettings,
    lease: HoldPublisherLease,
    client: ClusterClient,
    operations: Operations,
    feeds: tuple[MarketFeed, ...],
    *,
    clock: Clock,
) -> AdmitQuotes:
    def seed(last_ts: Mapping[InstrumentId, int]) -> None:
        for feed in feeds:
            feed.seed(last_ts)

    return AdmitQuotes(
        lease,
        StreamIds(settings.conflation_ms, channels=len(settings.channels)),
        RedisQuoteReader(client, timeout_s=_LAST_ENTRIES_TIMEOUT_S),
        clock=clock,
        record=operations.outbox.record,
        seed_feeds=seed,
    )


def _health(
    servers: tuple[ServeFeed, ...],
    admission: AdmitQuotes,
    publish: PublishQuotes,
    watches: tuple[WatchLiveness, ...],
) -> tuple[HealthSource, ...]:
    """In the order of `/health`."""
    return (
        *(HealthSource(f"feed.{s.venue.value}", s.report, required=True) for s in servers),
        HealthSource("publisher", admission.report, required=False),
        HealthSource("redis", publish.report, required=True),
        *(
            HealthSource(f"market.{watch.venue.value}", watch.report, required=False)
            for watch in watches
        ),
    )


def _status(
    settings: MarketSettings, client: ClusterClient, lease: HoldPublisherLease
) -> PublishStatus:
    return PublishStatus(RedisMarketStatus(client, maxlen=settings.stream_maxlen), lease)


def _lease_workers(
    lease: HoldPublisherLease, admission: AdmitQuotes, status: PublishStatus
) -> tuple[Worker, ...]:
    return (
        Worker("publisher lease", lease.run),
        Worker("quote admission", admission.run),
        Worker("market status", status.run),
    )


def _pending_writes(publish: PublishQuotes, lease: HoldPublisherLease) -> tuple[PendingWrites, ...]:
    return (
        PendingWrites("quotes", publish.flush, lambda: publish.report().pending),
        # After the last quotes: from then on a standby may publish.
        PendingWrites("publisher leases", lease.release, lambda: int(lease.publishing)),
    )


def _feeds(
    settings: MarketSettings,
    base: Foundation,
    operations: Operations,
    pacer: ReadPacer,
    listener: FeedListener,
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


def _server(
    settings: MarketSettings, base: Foundation, operations: Operations, feed: MarketFeed
) -> ServeFeed:
    return ServeFeed(
        feed,
        operations.exchange,
        choice=settings.symbol_filter,
        report_unknown_contract=partial(_report_unknown_contract, operations),
        shard=settings.shard,
        clock=base.clock,
        backoff=settings.reconnect_policy.backoff,
        draw=random.random,
    )


def _report_unknown_contract(operations: Operations, contract_type: str, example: str) -> None:
    operations.outbox.record(
        "listing.contract_unknown", {"contract_type": contract_type, "example": example}
    )


def _liveness_worker(watch: WatchLiveness, feed: MarketFeed) -> Worker:
    return Worker(f"liveness.{watch.venue}", lambda: watch.run(feed))
