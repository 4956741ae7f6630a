"""The node publisher under a load of 20,000 messages/s through the real `PublishQuotes`, and an
audit that compares the streams with the offered quotes.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
from msgspec import Struct

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.adapters.redis.keys import SLOT_COUNT, quote_stream
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.quote_entry import quote_fields
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport
from tests.contract.quote_stores import SOURCE, fresh_instruments
from tests.contract.redis_cluster import key_slot
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.quote_admission import AdmitAll
from tests.time_limits import TIMEOUT_S

MESSAGES_S = 20_000
INSTRUMENTS = 200
WINDOW_MS = 50
MAXLEN = 100_000
_TICK_MS = 5


class GeneratedMarket(ScriptedMarketFeed):
    """Messages at a constant rate, round robin over the instruments; the bid encodes the number of
    the message. As in a real feed, the newest of each instrument waits for the end of the window.
    """

    def __init__(self, clock: SystemClock, instruments: Sequence[InstrumentId]) -> None:
        super().__init__(Venue.SPOT)
        self._instruments = tuple(instruments)
        self.offered: dict[InstrumentId, list[Quote]] = {each: [] for each in instruments}
        self.messages = 0
        self._clock = clock
        self._newest: dict[InstrumentId, int] = {}
        self._drained_ms = 0

    async def generate(self) -> None:
        """Run until cancelled."""
        start_ms = self._clock.monotonic_ms()
        while True:
            due = int((self._clock.monotonic_ms() - start_ms) * MESSAGES_S / 1000)
            for number in range(self.messages, due):
                self._newest[self._instruments[number % len(self._instruments)]] = number
            self.messages = due
            await self._clock.sleep_ms(_TICK_MS)

    def drain(self, *, unfinished: bool = False) -> list[Quote]:  # noqa: ARG002 (no windows here)
        """See `MarketFeed`."""
        # A real feed has no two quotes of a stream in one window.
        self._drained_ms = now_ms = max(self._clock.now_ms(), self._drained_ms + WINDOW_MS)
        quotes = [_generated_quote(each, number, now_ms) for each, number in self._newest.items()]
        self._newest.clear()
        for quote in quotes:
            self.offered[quote.instrument].append(quote)
        return quotes


class RecordingPublisher:
    """Implements `QuotePublisher`: forwards all calls and records what was reported unpublished."""

    def __init__(self, publisher: NodeQuotePublisher) -> None:
        self.reports: list[PublishReport] = []
        self.unpublished: set[Quote] = set()
        self.passed: set[Quote] = set()
        self._publisher = publisher
        self._calls = 0
        self._reported = anyio.Condition()

    @property
    def counters(self) -> PublisherCounters:
        return self._publisher.counters

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        self.passed.update(quotes)
        self._calls += 1
        report = await self._publisher.publish(quotes)
        self.unpublished.update(report.unpublished)
        self.reports.append(report)
        async with self._reported:
            self._calls -= 1
            self._reported.notify_all()
        return report

    @property
    def routing_version(self) -> int:
        return self._publisher.routing_version

    def nodes(self) -> Collection[str]:
        return self._publisher.nodes()

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        self._publisher.forget(instruments)

    def by_node(self, quotes: Sequence[Quote]) -> Mapping[str, Sequence[Quote]]:
        return self._publisher.by_node(quotes)

    async def ping(self, node: str) -> str:
        return await self._publisher.ping(node)

    async def wait_for_reports(
        self, condition: Callable[[PublishReport], bool], times: int = 1
    ) -> None:
        """Until *times* more reports meet *condition*."""
        with anyio.fail_after(TIMEOUT_S):
            async with self._reported:
                while times:
                    await self._reported.wait()
                    times -= condition(self.reports[-1])

    async def wait_for_every_call(self) -> None:
        """Until each call has its report."""
        async with self._reported:
            while self._calls:
                await self._reported.wait()

    async def wait_for_complete(self, times: int = 10) -> None:
        """Until *times* more calls have published everything."""
        await self.wait_for_reports(
            lambda report: bool(report.published) and not report.unpublished, times
        )

    async def wait_for_unpublished(self, times: int = 1) -> None:
        """Until *times* more calls have left something unpublished."""
        await self.wait_for_reports(lambda report: bool(report.unpublished), times)


class StreamAudit(Struct, frozen=True):
    """Wrong values and wrong order fail the audit itself.

    Attributes:
        entries: Total on all streams.
        missing: Passed to the publisher, but not on their stream.
        merged: Replaced by a newer one while their node was busy, so never passed to the publisher.
        repeated: Entries written more than once.
    """

    entries: int
    missing: frozenset[Quote]
    merged: frozenset[Quote]
    repeated: int


class PublisherLoad(Struct):
    market: GeneratedMarket
    publisher: RecordingPublisher
    publishing: PublishQuotes
    addresses: tuple[RedisAddress, ...]
    generating: anyio.CancelScope

    async def finish(self) -> None:
        """Stop the market and publish its last quotes; then nothing is on its way any more."""
        self.generating.cancel()
        with anyio.fail_after(TIMEOUT_S):
            await self._flush()
            while self.publishing.report().pending:
                await self._flush()

    async def _flush(self) -> None:
        await self.publishing.flush()
        # A flush that finds no quote does not wait for the window that `run` is writing.
        await self.publisher.wait_for_every_call()

    async def audit(self) -> StreamAudit:
        """Compare every entry with the offered quotes; the newest of each stream must exist."""
        await self.finish()
        audit = StreamAudit(0, frozenset(), frozenset(), 0)
        async with connect_cluster(self.addresses) as client:
            reader = RedisQuoteReader(client)
            for instrument, offered in self.market.offered.items():
                entries = [entry.fields for entry in await reader.history(instrument, MAXLEN)]
                audit = _merge(audit, _audit_stream(offered, entries, self.publisher.passed))
        assert len(audit.merged) <= self.publishing.counters.superseded
        return audit

    def instruments_in_slots(self, first: int, last: int) -> set[InstrumentId]:
        """*first* inclusive, *last* exclusive."""
        return {each for each in self.market.offered if first <= slot_of(each) < last}

    def instruments_on_master(self, third: int) -> set[InstrumentId]:
        """On the master *third* (0, 1 or 2) of three."""
        return self.instruments_in_slots(SLOT_COUNT * third // 3, SLOT_COUNT * (third + 1) // 3)


@asynccontextmanager
async def publisher_under_load(
    addresses: Iterable[RedisAddress], *, timeout_s: float = 2.0, reply_timeout_s: float = 2.0
) -> AsyncIterator[PublisherLoad]:
    """Load until the end of the block; the first batches are published when the block starts."""
    clock = SystemClock()
    market = GeneratedMarket(clock, fresh_instruments(INSTRUMENTS))
    known = tuple(addresses)
    async with (
        connect_cluster(known) as client,
        NodeQuotePublisher(
            client,
            maxlen=MAXLEN,
            window=WindowMs(WINDOW_MS),
            clock=clock,
            draw=lambda: 0.5,
            timeout_s=timeout_s,
            reply_timeout_s=reply_timeout_s,
        ) as node,
    ):
        publisher = RecordingPublisher(node)
        publishing = PublishQuotes(
            [market],
            publisher,
            QuoteBoard(),
            clock=clock,
            window=WindowMs(WINDOW_MS),
            admission=AdmitAll(),
            observe_latency=lambda _: None,
        )
        async with anyio.create_task_group() as tasks:
            generating = anyio.CancelScope()

            async def generate() -> None:
                with generating:
                    await market.generate()

            tasks.start_soon(generate)
            tasks.start_soon(publishing.run)
            load = PublisherLoad(market, publisher, publishing, known, generating)
            await publisher.wait_for_complete(5)
            yield load
            tasks.cancel_scope.cancel()


def slot_of(instrument: InstrumentId) -> int:
    return key_slot(quote_stream(instrument))


async def rejected_write_count(nodes: Iterable[ServerProcess]) -> int:
    """XADD commands that *nodes* rejected before running them, by their own statistics."""
    total = 0
    for node in nodes:
        stats = (await node.execute("INFO", "commandstats")).get("cmdstat_xadd")
        total += stats["rejected_calls"] if stats else 0
    return total


async def error_count(nodes: Iterable[ServerProcess], kind: str) -> int:
    """Error replies of *kind* (`MOVED`, `OOM`) that *nodes* sent, by their own statistics."""
    total = 0
    for node in nodes:
        stats = (await node.execute("INFO", "errorstats")).get(f"errorstat_{kind}")
        total += stats["count"] if stats else 0
    return total


def _generated_quote(instrument: InstrumentId, number: int, now_ms: int) -> Quote:
    bid = 1000 + number / 100
    return Quote(
        instrument=instrument,
        ts=now_ms,
        bid=bid,
        bid_qty=1 + number % 89 / 1000,
        ask=bid + 0.25,
        ask_qty=1 + number % 83 / 1000,
        source=SOURCE,
        update_id=number,
        received_ms=now_ms,
    )


def _audit_stream(
    offered: Sequence[Quote],
    entries: Sequence[tuple[tuple[str, str], ...]],
    passed: Collection[Quote],
) -> StreamAudit:
    order = {quote_fields(quote): index for index, quote in enumerate(offered)}
    unexpected = [fields for fields in entries if fields not in order]
    assert not unexpected, "an entry is not an offered quote"
    indexes = [order[fields] for fields in entries]
    assert indexes == sorted(indexes), "an older quote comes after a newer one"
    assert indexes, "a stream is empty"
    assert indexes[-1] == len(offered) - 1, "the newest quote is missing"
    written = set(indexes)
    missing = frozenset(quote for index, quote in enumerate(offered) if index not in written)
    merged = frozenset(quote for quote in missing if quote not in passed)
    return StreamAudit(len(entries), missing - merged, merged, len(indexes) - len(written))


def _merge(one: StreamAudit, other: StreamAudit) -> StreamAudit:
    return StreamAudit(
        one.entries + other.entries,
        one.missing | other.missing,
        one.merged | other.merged,
        one.repeated + other.repeated,
    )


def instruments_of(quotes: Collection[Quote]) -> set[InstrumentId]:
    return {quote.instrument for quote in quotes}
