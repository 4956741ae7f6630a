"""The instruments capability, from the settings that choose its parts."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from msgspec import Struct

from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.instruments.source import BinanceInstrumentSource
from chimera_s1.adapters.binance.listing_news import BinanceListingNews
from chimera_s1.app.capabilities.instruments.follow_registry import FollowRegistry
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.metrics import instruments_source
from chimera_s1.app.capabilities.instruments.read_instruments import ReadInstruments
from chimera_s1.app.capabilities.instruments.refused_changes import keep_change, replay_change
from chimera_s1.app.capabilities.instruments.relay_changes import CURSOR, RelayChanges
from chimera_s1.app.capabilities.instruments.report_instruments import ReportInstruments
from chimera_s1.app.capabilities.instruments.run_syncs import RunSyncs
from chimera_s1.app.capabilities.instruments.sync_instruments import SyncInstruments
from chimera_s1.app.capabilities.instruments.trading_hours import TradingHours
from chimera_s1.app.capabilities.instruments.web.part import instruments_part
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.relay_log import RelayLog
from chimera_s1.app.capabilities.operations.wiring import Operations, report_unusable_row
from chimera_s1.app.capability import Capability, Job
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.foundation import Foundation, endpoints_for, exchange_key
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.dead_letter import LetterPort
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.metrics import MetricSource
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.operations.schedule import HOUR_MS, MINUTE_MS, Every, daily
from chimera_s1.domain.ports.instrument_source import InstrumentSource
from chimera_s1.domain.ports.listing_news import ListingNotice
from chimera_s1.domain.ports.market_feed import FeedEvent

LISTING_INTERVAL_MS = 15 * MINUTE_MS
"""Spot has no stream of listings, and that of futures may be down."""

RETRIES = Backoff(base_ms=500, max_wait_ms=10_000, jitter_ms=0)


@asynccontextmanager
async def open_instruments(
    settings: CoreSettings,
    base: Foundation,
    operations: Operations,
    catalog: InstrumentCatalog,
    hours: TradingHours,
) -> AsyncIterator[Capability]:
    """The registry of what the venues list; *catalog* and *hours* are for other capabilities."""
    endpoints = endpoints_for(settings, tuple(Venue))
    rows = RowReader(partial(report_unusable_row, operations.outbox))
    async with HttpClient(endpoints, base.budgets) as key_client:
        key = exchange_key(settings, key_client, operations.signing_ms)
        async with BinanceInstrumentSource(endpoints, base.budgets, key, rows) as source:
            registry = _open_registry(settings, base, operations, source, catalog)
            # Spot has no stream of listings.
            perp = Venue.PERP in settings.venues
            news = (
                (_listing_news(settings, base, operations, rows, registry.syncs),) if perp else ()
            )
            yield Capability(
                name="instruments",
                workers=(
                    Worker("instruments", registry.follow.run),
                    *_relay_workers(settings, registry.relay),
                    *(
                        Worker("listing news", partial(each.run, registry.on_notice))
                        for each in news
                    ),
                ),
                jobs=(
                    *_sync_jobs(settings, registry.syncs),
                    *_limits_jobs(settings, operations, registry.syncs),
                    *((_hours_job(hours, source),) if perp else ()),
                ),
                health=(
                    HealthSource("instruments", registry.report.report, required=False),
                    *(HealthSource("listings.perp", each.report, required=False) for each in news),
                ),
                metrics=(registry.metrics,),
                web=instruments_part(ReadInstruments(catalog), registry.syncs),
            )


class _Registry(Struct, frozen=True):
    """The parts that work on the stored registry."""

    syncs: RunSyncs
    follow: FollowRegistry
    relay: RelayLog
    report: ReportInstruments
    metrics: MetricSource

    def on_notice(self, notice: ListingNotice) -> None:
        self.syncs.on_notice(notice)
        self.follow.on_notice(notice)


def _open_registry(
    settings: CoreSettings,
    base: Foundation,
    operations: Operations,
    source: InstrumentSource,
    catalog: InstrumentCatalog,
) -> _Registry:
    stores, clock, venues, changes = base.stores, base.clock, settings.venues, ChangeSignal()
    sync = SyncInstruments(
        source,
        stores.instruments,
        clock=clock,
        record=operations.outbox.record,
        risk_limits=operations.risk_limits,
        wake_readers=changes.notify,
        on_refused=partial(keep_change, operations.dead_letters.take),
    )
    operations.dead_letters.handle.register(
        LetterPort.INSTRUMENT_REGISTRY, partial(replay_change, stores.instruments, changes.notify)
    )
    follow = FollowRegistry(
        stores.instruments,
        source,
        catalog,
        venues=venues,
        clock=clock,
        changes=changes,
        retries=RETRIES,
    )
    relay = RelayLog(
        RelayChanges(stores.instruments, operations.log),
        stores.cursors,
        JobLease("instruments.relay", stores.leases, uuid4().hex, clock),
        cursor=CURSOR,
        clock=clock,
        changes=changes,
        retries=RETRIES,
    )
    has_key = settings.moves_money
    report = ReportInstruments(
        catalog, sync, follow, relay, venues=venues, clock=clock, has_key=has_key
    )
    metrics = instruments_source(catalog, sync, follow, relay, venues)
    return _Registry(RunSyncs(sync, catalog, venues), follow, relay, report, metrics)


def _listing_news(
    settings: CoreSettings,
    base: Foundation,
    operations: Operations,
    rows: RowReader,
    syncs: RunSyncs,
) -> BinanceListingNews:
    def on_event(event: FeedEvent) -> None:
        operations.outbox.on_feed_event(event)
        syncs.on_feed_event(event)

    endpoints = endpoints_for(settings, (Venue.PERP,))[Venue.PERP]
    return BinanceListingNews(
        endpoints.ws_url,
        policy=ReconnectPolicy(),
        clock=base.clock,
        gate=base.gates[Venue.PERP],
        draw=random.random,
        listener=on_event,
        rows=rows,
        egress=endpoints.egress,
    )


def _relay_workers(settings: CoreSettings, relay: RelayLog) -> Iterator[Worker]:
    """The registries of other shards on SQLite have the same changes: they are relayed once."""
    if settings.runs_shared_jobs:
        yield Worker("instruments relay", relay.run)


def _sync_jobs(settings: CoreSettings, syncs: RunSyncs) -> Iterator[Job]:
    # A registry that this instance shares with none is filled by none of the others.
    each_instance = not settings.runs_shared_jobs
    yield Job(
        name="instruments.sync",
        schedule=daily("00:10"),
        run=syncs.sync_venues,
        at_start=True,
        jitter_ms=0,  # without a registry, quotes wait for the first one
        each_instance=each_instance,
    )
    if Venue.SPOT in settings.venues:
        yield Job(
            name="instruments.spot",
            schedule=Every(LISTING_INTERVAL_MS),
            run=partial(syncs.sync_one, Venue.SPOT, "exchangeInfo"),
            each_instance=each_instance,
        )
    if Venue.PERP in settings.venues:
        yield Job(
            name="instruments.perp",
            schedule=Every(LISTING_INTERVAL_MS),
            run=syncs.sync_announced,
            wake=syncs.notices,
            each_instance=each_instance,
        )


def _limits_jobs(settings: CoreSettings, operations: Operations, syncs: RunSyncs) -> Iterator[Job]:
    if operations.configuration is not None:
        yield Job(
            name="instruments.limits",
            schedule=Every(HOUR_MS),
            run=syncs.apply_limits,
            wake=operations.configuration.changes,
            each_instance=not settings.runs_shared_jobs,
        )


def _hours_job(hours: TradingHours, source: InstrumentSource) -> Job:
    return Job(
        name="instruments.sessions",
        schedule=Every(HOUR_MS),
        run=partial(hours.read, source),
        each_instance=True,
        at_start=True,
    )
