"""Several instances that publish the same market to the same streams, each with its own lease."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import anyio
from msgspec import structs

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.publisher_lease import RedisPublisherLease
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.market.admit_quotes import AdmitQuotes
from chimera_s1.app.capabilities.market.hold_publisher_lease import HoldPublisherLease
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import StreamIds
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.contract.quote_stores import make_quote
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.time_limits import TIMEOUT_S

WINDOW = WindowMs(50)
TICK_MS = 10
MAXLEN = 100_000


class SharedMarket:
    """Every instance receives the same frames, at the same moments."""

    def __init__(self, instruments: Sequence[InstrumentId]) -> None:
        self.instruments = tuple(instruments)
        self.feeds: list[ScriptedMarketFeed] = []
        self.acknowledged: Counter[InstrumentId] = Counter()
        self._changes = ChangeSignal()
        self._clock = SystemClock()

    def record_acknowledged(self, quotes: Sequence[Quote]) -> None:
        self.acknowledged.update(quote.instrument for quote in quotes)
        self._changes.notify()

    async def wait_for_windows(
        self, count: int, instruments: Collection[InstrumentId] = ()
    ) -> None:
        """Until each of *instruments*, or every one, has *count* more acknowledged windows."""
        wanted = {each: self.acknowledged[each] + count for each in instruments or self.instruments}
        with anyio.fail_after(TIMEOUT_S):
            while any(self.acknowledged[each] < least for each, least in wanted.items()):
                await self._changes.next_after(self._changes.version)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """One update of each instrument a tick, until the end of the block."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._trade)
            yield
            tasks.cancel_scope.cancel()

    async def _trade(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            for instrument in self.instruments:
                quote = structs.replace(make_quote(instrument, now_ms), received_ms=now_ms)
                for feed in self.feeds:
                    feed.receive(quote)
            await self._clock.sleep_ms(TICK_MS)


class Instance:
    """What one process has: its lease, its admission, its publisher."""

    def __init__(
        self,
        owner: str,
        lease: HoldPublisherLease,
        admission: AdmitQuotes,
        events: list[tuple[str, EventDetail]],
    ) -> None:
        self.owner = owner
        self.lease = lease
        self.admission = admission
        self.events = events

    async def until(self, *, publishing: bool) -> None:
        """Wait until it publishes, or does not."""
        with anyio.fail_after(TIMEOUT_S):
            while self.lease.publishing is not publishing:
                version = self.lease.changes.version
                if self.lease.publishing is not publishing:
                    await self.lease.changes.next_after(version)


@asynccontextmanager
async def running_instance(
    addresses: Sequence[RedisAddress], market: SharedMarket, owner: str, lease_name: str
) -> AsyncIterator[Instance]:
    clock = SystemClock()
    feed = ScriptedMarketFeed(Venue.SPOT)
    market.feeds.append(feed)
    events: list[tuple[str, EventDetail]] = []

    def record(kind: str, detail: EventDetail) -> None:
        events.append((kind, detail))

    async with (
        connect_cluster(addresses) as client,
        connect_cluster(addresses) as lease_client,
        NodeQuotePublisher(
            client, maxlen=MAXLEN, window=WINDOW, clock=clock, draw=lambda: 0.5
        ) as publisher,
        anyio.create_task_group() as tasks,
    ):
        lease = HoldPublisherLease(
            RedisPublisherLease(lease_client, lease_name), owner, clock, record
        )
        admission = AdmitQuotes(
            lease,
            StreamIds(WINDOW),
            RedisQuoteReader(lease_client, timeout_s=1.0),
            clock=clock,
            record=record,
            seed_feeds=lambda *_: None,
            on_begin=lambda *_: None,
        )
        publish = PublishQuotes(
            [feed],
            publisher,
            QuoteBoard(),
            clock=clock,
            window=WINDOW,
            admission=admission,
            observe_latency=lambda _: None,
            acknowledged_watchers=[market.record_acknowledged],
        )
        for work in (lease.run, admission.run, publish.run):
            tasks.start_soon(work)
        yield Instance(owner, lease, admission, events)
        tasks.cancel_scope.cancel()


async def written_ids(
    reader: RedisQuoteReader, instruments: Sequence[InstrumentId]
) -> dict[InstrumentId, list[EntryId]]:
    """The ids on each stream: of windows, each once, in order; `ts` does not go back."""
    found: dict[InstrumentId, list[EntryId]] = {}
    for instrument in instruments:
        entries = await reader.history(instrument, MAXLEN)
        ids = [EntryId.parse(entry.entry_id) for entry in entries]
        times = [int(dict(entry.fields)["ts"]) for entry in entries]
        assert ids == sorted(set(ids))
        assert all(each.number == 0 and each.ms % WINDOW == 0 for each in ids)
        assert times == sorted(times)
        found[instrument] = ids
    return found
