"""The parts of the market capability that decide what is published, and where."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.publisher_lease import RedisPublisherLease
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.app.capabilities.market.admit_quotes import AdmitQuotes
from chimera_s1.app.capabilities.market.current_publication import CurrentPublication
from chimera_s1.app.capabilities.market.hold_publisher_lease import HoldPublisherLease
from chimera_s1.app.capabilities.market.mark_downtime import MarkDowntime
from chimera_s1.app.capabilities.market.mark_kill_switch import MarkKillSwitch, kill_switch_cause
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.publish_status import PublishStatus
from chimera_s1.app.capabilities.market.settings import MarketSettings
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.capability import PendingWrites
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.settings.types import RedisWriter
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import StreamIds
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import MarketFeed

_LAST_ENTRIES_TIMEOUT_S = 1.0


class Marks(Struct, frozen=True):
    """What marks interruptions on `mkt:status:*`."""

    downtime: tuple[MarkDowntime, ...]
    kill_switch: MarkKillSwitch

    @property
    def of_received(self) -> list[Callable[[Sequence[Quote]], None]]:
        return [
            *(each.observe_received for each in self.downtime),
            self.kill_switch.observe_received,
        ]

    @property
    def of_published(self) -> list[Callable[[Sequence[Quote]], None]]:
        return [
            *(each.observe_published for each in self.downtime),
            self.kill_switch.observe_published,
        ]


def make_marks(
    settings: MarketSettings,
    operations: Operations,
    lease: HoldPublisherLease,
    watches: tuple[WatchLiveness, ...],
    *,
    client: ClusterClient,
    clock: Clock,
) -> Marks:
    return Marks(
        tuple(MarkDowntime(each.venue, each.put, clock) for each in watches),
        MarkKillSwitch(
            operations.kill_switch,
            {each.venue: each.put for each in watches},
            RedisMarketStatus(client, maxlen=settings.market_maxlen),
            clock,
            publishing=lambda: lease.publishing,
            cause=kill_switch_cause(settings.kill_switch_interval_ms),
        ),
    )


def make_publisher(
    settings: MarketSettings, client: ClusterClient, clock: Clock
) -> NodeQuotePublisher | OfficialQuotePublisher:
    match settings.redis_writer:
        case RedisWriter.NODE:
            return NodeQuotePublisher(
                client,
                maxlen=settings.market_maxlen,
                window=settings.conflation_ms,
                clock=clock,
                draw=random.random,
            )
        case RedisWriter.OFFICIAL:
            return OfficialQuotePublisher(
                client, maxlen=settings.market_maxlen, window=settings.conflation_ms
            )
        case _:
            assert_never(settings.redis_writer)


def make_lease(
    settings: MarketSettings,
    base: Foundation,
    client: ClusterClient,
    operations: Operations,
    *,
    publication: CurrentPublication,
) -> HoldPublisherLease:
    port = RedisPublisherLease(client, settings.publisher_lease_name)
    lease = HoldPublisherLease(port, base.instance, base.clock, operations.outbox.record)
    publication.follow(lease)
    return lease


def make_admission(
    settings: MarketSettings,
    lease: HoldPublisherLease,
    client: ClusterClient,
    operations: Operations,
    *,
    feeds: tuple[MarketFeed, ...],
    marks: Marks,
    clock: Clock,
) -> AdmitQuotes:
    def seed(last_ts: Mapping[InstrumentId, int], term: int | None) -> None:
        for feed in feeds:
            feed.seed(last_ts, term)

    def begin(venues: Collection[Venue], is_first: bool) -> None:
        for mark in marks.downtime:
            if mark.venue in venues:
                mark.begin(admission.ids.newest_ms(mark.venue), admission.dropped_until_ms)
        if is_first:
            marks.kill_switch.begin()

    admission = AdmitQuotes(
        lease,
        StreamIds(settings.conflation_ms, channels=len(settings.channels)),
        RedisQuoteReader(client, timeout_s=_LAST_ENTRIES_TIMEOUT_S),
        clock=clock,
        record=operations.outbox.record,
        seed_feeds=seed,
        on_begin=begin,
    )
    return admission


def make_status(
    settings: MarketSettings, client: ClusterClient, lease: HoldPublisherLease, clock: Clock
) -> PublishStatus:
    return PublishStatus(RedisMarketStatus(client, maxlen=settings.market_maxlen), lease, clock)


def lease_workers(
    lease: HoldPublisherLease,
    admission: AdmitQuotes,
    status: PublishStatus,
    marks: Marks,
) -> tuple[Worker, ...]:
    return (
        Worker("publisher lease", lease.run),
        Worker("quote admission", admission.run),
        Worker("market status", status.run),
        Worker("kill switch marks", marks.kill_switch.run),
        Worker("kill switch gaps", marks.kill_switch.inherit),
    )


def pending_writes(
    publish: PublishQuotes,
    lease: HoldPublisherLease,
    admission: AdmitQuotes,
    marks: Marks,
    watches: tuple[WatchLiveness, ...],
) -> tuple[PendingWrites, ...]:
    async def end() -> None:
        await lease.check()
        if lease.publishing and not lease.standby:
            for mark in marks.downtime:
                mark.end(admission.ids.newest_ms(mark.venue))

    return (
        PendingWrites("quotes", publish.flush, lambda: publish.report().pending),
        PendingWrites("downtime", end, lambda: 0),
        *(
            PendingWrites(f"states of {each.venue}", each.outbox.flush, partial(len, each.outbox))
            for each in watches
        ),
        # After the last quotes: from then on a standby may publish.
        PendingWrites("publisher leases", lease.release, lambda: int(lease.publishing)),
    )
