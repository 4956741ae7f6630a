"""The instruments capability, from the settings that choose its parts."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.http.signing import Credentials, Secret
from chimera_s1.adapters.binance.instruments.account_key import ReadAccountKey
from chimera_s1.adapters.binance.instruments.source import (
    BinanceInstrumentSource,
    KeySource,
    no_key,
)
from chimera_s1.adapters.binance.listing_news import BinanceListingNews
from chimera_s1.app.capabilities.instruments.follow_registry import FollowRegistry
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.metrics import instruments_source
from chimera_s1.app.capabilities.instruments.read_instruments import ReadInstruments
from chimera_s1.app.capabilities.instruments.relay_changes import RelayChanges
from chimera_s1.app.capabilities.instruments.report_instruments import ReportInstruments
from chimera_s1.app.capabilities.instruments.run_syncs import RunSyncs
from chimera_s1.app.capabilities.instruments.sync_instruments import SyncInstruments
from chimera_s1.app.capabilities.instruments.trading_hours import TradingHours
from chimera_s1.app.capabilities.instruments.web.part import instruments_part
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.wiring import Operations, report_unusable_row
from chimera_s1.app.capability import Capability, Job
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.foundation import Foundation, endpoints_for
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.operations.schedule import HOUR_MS, MINUTE_MS, Every, daily

SPOT_INTERVAL_MS = 15 * MINUTE_MS
"""Spot has no stream of listings."""

SESSIONS_INTERVAL_MS = 6 * HOUR_MS
"""The schedule reaches several days ahead."""

RETRIES = Backoff(base_ms=500, max_wait_ms=10_000, jitter_ms=0)


@asynccontextmanager
async def open_instruments(
    settings: CoreSettings,
    base: Foundation,
    operations: Operations,
    catalog: InstrumentCatalog,
    hours: TradingHours,
) -> AsyncIterator[Capability]:
    """The registry of what the venues list; *catalog* and *hours* are filled for others."""
    endpoints = endpoints_for(settings, tuple(Venue))
    registry, clock, changes = base.stores.instruments, base.clock, ChangeSignal()
    rows = RowReader(partial(report_unusable_row, operations.outbox))
    async with HttpClient(endpoints, base.budgets) as key_client:
        key = _key(settings, key_client, operations)
        async with BinanceInstrumentSource(endpoints, base.budgets, key, rows) as source:
            sync = SyncInstruments(
                source,
                registry,
                clock=clock,
                record=operations.outbox.record,
                risk_limits=operations.risk_limits,
                wake_readers=changes.notify,
            )
            follow = FollowRegistry(
                registry,
                source,
                catalog,
                venues=settings.venues,
                clock=clock,
                changes=changes,
                retries=RETRIES,
            )
            relay = RelayChanges(
                registry,
                base.stores.cursors,
                operations.log,
                JobLease("instruments.relay", base.stores.leases, uuid4().hex, clock),
                clock=clock,
                changes=changes,
                retries=RETRIES,
            )
            report = ReportInstruments(
                catalog,
                sync,
                follow,
                relay,
                venues=settings.venues,
                clock=clock,
                has_key=settings.moves_money,
            )
            syncs = RunSyncs(sync, catalog, settings.venues)
            news = _listing_news(settings, base, operations, rows)
            yield Capability(
                name="instruments",
                workers=(
                    Worker("instruments", follow.run),
                    Worker("instruments relay", relay.run),
                    *(Worker("listing news", partial(each.run, syncs.on_notice)) for each in news),
                ),
                jobs=_jobs(settings, operations, syncs, partial(hours.read, source)),
                health=(
                    HealthSource("instruments", report.report, required=False),
                    *(HealthSource("listings.perp", each.report, required=False) for each in news),
                ),
                metrics=(instruments_source(catalog, sync, relay, settings.venues),),
                web=instruments_part(ReadInstruments(catalog), syncs),
            )


def _listing_news(
    settings: CoreSettings, base: Foundation, operations: Operations, rows: RowReader
) -> tuple[BinanceListingNews, ...]:
    """Of futures; spot has no stream of listings."""
    if Venue.PERP not in settings.venues:
        return ()
    endpoints = endpoints_for(settings, (Venue.PERP,))[Venue.PERP]
    news = BinanceListingNews(
        endpoints.ws_url,
        policy=ReconnectPolicy(),
        clock=base.clock,
        gate=base.gates[Venue.PERP],
        draw=random.random,
        listener=operations.outbox.on_feed_event,
        rows=rows,
        egress=endpoints.egress,
    )
    return (news,)


def _key(settings: CoreSettings, client: HttpClient, operations: Operations) -> KeySource:
    if not settings.moves_money:
        return no_key
    read_key, read_secret = settings.secret("binance_key"), settings.secret("binance_secret")

    def read() -> Credentials:
        return Credentials(Secret(read_key()), Secret(read_secret()))

    exchange_ms = operations.spot_patrol.exchange_ms
    return ReadAccountKey(client, read, exchange_ms, settings.binance_env.value)


def _jobs(
    settings: CoreSettings,
    operations: Operations,
    syncs: RunSyncs,
    read_sessions: Callable[[], Awaitable[str]],
) -> tuple[Job, ...]:
    jobs = [
        Job(name="instruments.sync", schedule=daily("00:10"), run=syncs.sync_venues, at_start=True)
    ]
    if Venue.SPOT in settings.venues:
        run = partial(syncs.sync_one, Venue.SPOT, "exchangeInfo")
        jobs.append(Job(name="instruments.spot", schedule=Every(SPOT_INTERVAL_MS), run=run))
    if Venue.PERP in settings.venues:
        jobs.append(
            Job(
                name="instruments.perp",
                schedule=Every(HOUR_MS),
                run=syncs.sync_announced,
                wake=syncs.notices,
            )
        )
        jobs.append(
            Job(
                name="instruments.sessions",
                schedule=Every(SESSIONS_INTERVAL_MS),
                run=read_sessions,
                each_instance=True,  # kept in memory
                at_start=True,
            )
        )
    if operations.configuration is not None:
        changed = operations.configuration.changes
        jobs.append(
            Job(
                name="instruments.limits",
                schedule=Every(HOUR_MS),
                run=syncs.apply_limits,
                wake=changed,
            )
        )
    return tuple(jobs)
