"""Quotes between the feeds and their streams: standby, take-over, refused ids."""

from collections.abc import Collection, Mapping

import anyio
import pytest
from msgspec import structs

from chimera_s1.app.capabilities.market.admit_quotes import (
    KEPT_MAX,
    KEPT_MS,
    READ_AGAIN_MS,
    AdmitQuotes,
)
from chimera_s1.app.capabilities.market.hold_publisher_lease import LEASE_MS, HoldPublisherLease
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import StreamIds, entry_id, natural_entry_id
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.quote_reader import PublishedQuote
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.publisher_lease import MemoryPublisherLease
from tests.fakes.quote_streams import MemoryQuotePublisher, MemoryQuoteReader, MemoryQuoteStreams
from tests.reachable import paths_to
from tests.sample_quotes import quote

SECOND = WindowMs(1000)
NOON = 1_772_514_000_000

MINUTE_MS = 60_000


class Rig:
    """The streams, the lease, and instances that share them."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.streams = MemoryQuoteStreams(maxlen=1_000)
        self.store = MemoryPublisherLease(self.clock)
        self.events: list[tuple[str, EventDetail]] = []

    def instance(self, owner: str, window: WindowMs = SECOND) -> "Instance":
        return Instance(self, owner, window)


class HeldReader(MemoryQuoteReader):
    """While `held` is set, a read waits for it and then finds no node that answers."""

    held: anyio.Event | None = None

    async def last_entries(
        self, instruments: Collection[InstrumentId]
    ) -> dict[InstrumentId, PublishedQuote | None]:
        if self.held is None:
            return await super().last_entries(instruments)
        await self.held.wait()
        return {}


class Instance:
    """One process: its lease, its admission, its publisher."""

    def __init__(self, rig: Rig, owner: str, window: WindowMs) -> None:
        self.rig = rig
        self.window = window
        self.lease = HoldPublisherLease(rig.store, owner, rig.clock, self._record)
        self.seeded: dict[InstrumentId, int] = {}
        self.seeded_terms: list[int | None] = []
        self.begun_after: list[int] = []
        self.begun: list[tuple[list[Venue], bool]] = []
        self.reader = HeldReader(rig.streams)
        self.admission = AdmitQuotes(
            self.lease,
            StreamIds(window),
            self.reader,
            clock=rig.clock,
            record=self._record,
            seed_feeds=self._seed,
            on_begin=self._begin,
        )
        self.publisher = MemoryQuotePublisher(rig.streams, window)

    async def publish(self, *quotes: Quote) -> list[str]:
        """Offer *quotes*, read what must be read first; the ids written, ms after noon."""
        admitted = [*self.admission.admit(quotes)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.admission.run)
            await settle()
            tasks.cancel_scope.cancel()
        admitted += self.admission.admit(())
        report = await self.publisher.publish(admitted)
        admitted = [each for each in admitted if each not in report.refused]
        if report.refused:
            again = await self.admission.resolve(report.refused)
            assert not (await self.publisher.publish(again)).refused
            admitted += again
        return [_after_noon(entry_id(each, self.window)) for each in admitted]

    def _seed(self, last_ts: Mapping[InstrumentId, int], term: int | None) -> None:
        self.seeded.update(last_ts)
        self.seeded_terms.append(term)

    def _begin(self, venues: Collection[Venue], is_first: bool) -> None:
        self.begun.append((sorted(venues), is_first))
        self.begun_after.append(self.admission.ids.newest_ms(Venue.SPOT))

    def _record(self, kind: str, detail: EventDetail) -> None:
        self.rig.events.append((kind, detail))


def _after_noon(written: EntryId) -> str:
    return f"{written.ms - NOON}-{written.number}"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def now(rig: Rig, bid: float = 1.0) -> Quote:
    """A quote that is received now."""
    return quote(bid=bid, ts=rig.clock.now_ms())


async def test_a_standby_keeps_its_quotes_and_publishes_what_is_newer_when_it_takes_over(
    rig: Rig,
) -> None:
    """Both receive the same; the holder dies after two windows. No window is missing or twice."""
    one, other = rig.instance("one"), rig.instance("other")
    for each in (one, other):
        await each.lease.check()
    for window in range(4):
        received = now(rig, float(window + 1))
        if window < 2:
            await one.lease.check()
            assert await one.publish(received) == [f"{window * 1000 + 1000}-0"]
        if window < 3:
            assert await other.publish(received) == []
            await rig.clock.advance(1000)
            await other.lease.check()

    assert other.lease.publishing
    assert await other.publish(received) == ["3000-0", "4000-0"]
    assert other.admission.ids.repeated == 2
    bids = [dict(each.fields)["bid1"] for each in rig.streams.entries(received.instrument)]
    assert bids == ["1", "2", "3", "4"]


async def test_a_venue_whose_listing_comes_later_begins_then(rig: Rig) -> None:
    """Its streams were not read before: its downtime would be said to be none."""
    one = rig.instance("one")
    await one.lease.check()
    for name in ("perp/BTCUSDT", "spot/BTCUSDT", "spot/ETHUSDT"):
        one.admission.expect([InstrumentId.parse(name)])
        await one.publish()

    assert one.begun == [([Venue.PERP], True), ([Venue.SPOT], False)]


async def test_a_begin_is_announced_once_with_the_streams_read_before_the_first_quote(
    rig: Rig,
) -> None:
    """Also those of instruments without a quote; again in each term, and not by a standby."""
    one, other = rig.instance("one"), rig.instance("other")
    await one.lease.check()
    await one.publish(now(rig))
    one_began = one.begun_after
    await other.lease.check()
    other.admission.expect([now(rig).instrument])
    assert await other.publish() == []
    assert (one_began, other.begun_after) == ([0], [])

    await rig.clock.advance(MINUTE_MS)
    await other.lease.check()
    assert await other.publish() == []
    assert other.begun_after == [NOON + 1000]
    await other.publish(now(rig))
    assert len(other.begun_after) == 1


async def test_a_standby_keeps_quotes_for_as_long_as_a_take_over_may_take(rig: Rig) -> None:
    """Older ones are dropped: the holder has published them, or they are too old."""
    other = rig.instance("other")
    await rig.instance("one").lease.check()
    await other.lease.check()
    other.admission.admit([now(rig)])
    await rig.clock.advance(KEPT_MS)
    other.admission.admit([now(rig)])
    assert (other.admission.kept, other.admission.dropped) == (2, 0)
    await rig.clock.advance(1)
    other.admission.admit([now(rig)])
    assert (other.admission.kept, other.admission.dropped) == (2, 1)
    assert other.admission.dropped_until_ms == NOON

    other.admission.keep([now(rig)] * KEPT_MAX)
    assert other.admission.kept == KEPT_MAX


async def test_a_start_continues_after_the_last_entry(rig: Rig) -> None:
    """A restart within a window does not repeat it."""
    one = rig.instance("one")
    await one.lease.check()
    await one.publish(now(rig))
    await one.lease.release()
    again = rig.instance("again")
    await again.lease.check()

    assert await again.publish(now(rig)) == []
    assert again.seeded == {quote().instrument: NOON}
    await rig.clock.advance(1000)
    await again.lease.check()
    assert await again.publish(now(rig)) == ["2000-0"]
    assert not [kind for kind, _ in rig.events if kind.startswith("stream")]


async def test_a_store_that_cannot_be_read_does_not_hold_quotes_back(rig: Rig) -> None:
    """Its writes fail or are refused by their ids; the other nodes go on."""
    one = rig.instance("one")
    await one.lease.check()
    rig.streams.unavailable = True
    admitted = [*one.admission.admit([now(rig)])]
    assert admitted == []

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.admission.run)
        await settle()
        tasks.cancel_scope.cancel()

    assert one.admission.admit(()) == [now(rig)]


@pytest.mark.parametrize("window", [WindowMs(0), SECOND])
async def test_a_stream_whose_node_did_not_answer_is_read_again(rig: Rig, window: WindowMs) -> None:
    """What it holds is not written again, with window 0 either, where no id would be refused."""
    one = rig.instance("one", window)
    await one.lease.check()
    rig.streams.unavailable = True
    await one.publish(now(rig))
    assert one.seeded == {}
    rig.streams.unavailable = False
    theirs = structs.replace(now(rig), update_id=8)
    rig.streams.append(theirs, natural_entry_id(theirs, window))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.admission.run)
        await settle()
        await rig.clock.advance(READ_AGAIN_MS)
        tasks.cancel_scope.cancel()
    await one.lease.check()

    assert one.seeded == {theirs.instrument: theirs.ts}
    late = structs.replace(theirs, received_ms=theirs.received_ms + (window == 0))
    assert await one.publish(late) == []
    assert len(rig.streams.entries(theirs.instrument)) == 1


async def test_a_read_that_ends_in_the_next_term_marks_no_stream_as_empty(rig: Rig) -> None:
    """The streams of another instance's term would seem to be empty."""
    one, other = rig.instance("one"), rig.instance("other")
    await one.lease.check()
    one.admission.admit([now(rig)])
    one.reader.held = anyio.Event()
    admitted: list[Quote] = []

    async def admit_changes() -> None:
        version = 0
        while True:
            await one.admission.changes.next_after(version)
            version = one.admission.changes.version
            admitted.extend(one.admission.admit(()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.admission.run)
        tasks.start_soon(admit_changes)
        await settle()
        await rig.clock.advance(LEASE_MS)
        await other.lease.check()
        await other.publish(now(rig))
        await other.lease.release()
        await one.lease.check()
        await settle()
        one.reader.held.set()
        one.reader.held = None
        await settle()
        tasks.cancel_scope.cancel()

    assert (admitted, one.admission.ids.repeated) == ([], 1)


async def test_an_id_that_is_ahead_of_the_clock_is_continued_and_reported(rig: Rig) -> None:
    """The holder of the lease goes on 1 ms after it; one event a minute names the streams."""
    one = rig.instance("one")
    await one.lease.check()
    assert await one.publish(now(rig)) == ["1000-0"]
    rig.streams.append(now(rig), EntryId(NOON + 60_000, 5))
    for expected in ("60001-0", "60002-0"):
        await rig.clock.advance(1000)
        assert await one.publish(now(rig)) == [expected]
        await one.lease.check()

    (detail,) = [detail for kind, detail in rig.events if kind == "stream.id_ahead"]
    assert detail["streams"] == "spot/BTCUSDT"
    assert detail["last_id"] == f"{NOON + 60_001}-0"
    assert detail["lease"] == "publisher"
    assert one.admission.ids.ahead == 2
    assert one.seeded_terms == [1, None], "a refusal says nothing about this machine's clock"
    assert one.admission.report().level is Level.YELLOW
    assert "another process writes 1 stream" in one.admission.report().sentence
    await rig.clock.advance(60_000)
    await one.lease.check()
    assert one.admission.report().level is Level.GREEN


async def test_a_window_that_another_process_wrote_is_not_repeated_by_the_holder(rig: Rig) -> None:
    """It serves an overlapping share under another lease; each window is on the stream once."""
    one = rig.instance("one")
    await one.lease.check()
    await one.publish(now(rig))
    await rig.clock.advance(1000)
    await one.lease.check()
    theirs = now(rig, 9.0)
    rig.streams.append(theirs, EntryId(window_end(theirs.received_ms, SECOND), 0))

    assert await one.publish(now(rig)) == []
    assert one.admission.ids.repeated == 1
    assert [kind for kind, _ in rig.events if kind.startswith("stream")] == ["stream.id_ahead"]
    await rig.clock.advance(1000)
    await one.lease.check()
    assert await one.publish(now(rig)) == ["3000-0"]


async def test_a_holder_that_was_replaced_stops_at_its_first_refusal(rig: Rig) -> None:
    """Two believe to hold the lease: it was lost in a failover, and the other one has taken it."""
    one, other = rig.instance("one"), rig.instance("other")
    await one.lease.check()
    await one.publish(now(rig))
    rig.store.owner = ""
    await other.lease.check()
    assert one.lease.publishing
    assert other.lease.publishing
    await rig.clock.advance(1000)
    received = now(rig, 2.0)
    assert await other.publish(received) == ["2000-0"]

    assert await one.publish(structs.replace(received, bid=2.5)) == []

    assert not one.lease.publishing
    assert one.admission.report().sentence.startswith("standby: other publishes")
    await rig.clock.advance(1000)
    await other.lease.check()
    assert await one.publish(now(rig)) == []
    assert await other.publish(now(rig)) == ["3000-0"]


async def test_a_holder_that_was_paused_reads_the_streams_again(rig: Rig) -> None:
    """Another instance has published and died meanwhile: `ts` and ids continue after its last."""
    one = rig.instance("one")
    await one.lease.check()
    await one.publish(now(rig))
    await rig.clock.advance(MINUTE_MS)
    rig.streams.append(now(rig), EntryId(NOON + MINUTE_MS, 0))
    await one.lease.check()

    assert await one.publish(now(rig)) == [f"{MINUTE_MS + 1000}-0"]
    assert one.seeded == {quote().instrument: NOON + MINUTE_MS}
    assert one.begun_after == [0, NOON + MINUTE_MS]


@pytest.mark.parametrize("nodes_answer", [True, False])
async def test_a_pause_found_by_a_refusal_loses_no_quote(rig: Rig, nodes_answer: bool) -> None:
    """The lease is read because an id was refused: the quote is published in the new term."""
    one = rig.instance("one")
    await one.lease.check()
    await one.publish(now(rig))
    await rig.clock.advance(LEASE_MS)
    refused = now(rig, 2.0)
    rig.streams.unavailable = not nodes_answer
    again = await one.admission.resolve([refused])
    rig.streams.unavailable = False

    assert [*again, *await one.publish()] == ([refused] if nodes_answer else ["3000-0"])


@pytest.mark.parametrize("window", [WindowMs(0), WindowMs(50), SECOND])
@pytest.mark.parametrize("unavailable", [True, False])
async def test_quotes_that_were_not_written_before_a_pause_are_published_after_it(
    rig: Rig, window: WindowMs, unavailable: bool
) -> None:
    """They waited for their node. Quotes that came meanwhile are kept before they are given back,
    and published after them.
    """
    one = rig.instance("one", window)
    await one.lease.check()
    await one.publish()
    waiting = [structs.replace(now(rig, 1.0), update_id=7)]
    one.admission.expect([waiting[0].instrument])
    await one.publish()
    assert one.admission.admit(waiting) == waiting
    await rig.clock.advance(LEASE_MS)
    newer = structs.replace(now(rig, 2.0), update_id=8)
    assert one.admission.admit([newer]) == ()
    one.admission.keep(waiting)
    rig.store.unavailable = unavailable
    await one.lease.check()

    await one.publish()

    bids = [dict(each.fields)["bid1"] for each in rig.streams.entries(newer.instrument)]
    assert bids == ["1", "2"]
    assert one.admission.ids.repeated == 0


async def test_a_holder_whose_lease_cannot_be_read_goes_on_after_a_refusal(rig: Rig) -> None:
    one = rig.instance("one")
    await one.lease.check()
    await one.publish(now(rig))
    await rig.clock.advance(LEASE_MS)
    rig.store.unavailable = True
    await one.lease.check()
    rig.streams.append(now(rig), EntryId(NOON + 60_000, 0))

    assert await one.publish(now(rig)) == ["60001-0"]


async def test_an_instrument_that_is_added_is_read_before_its_first_quote(rig: Rig) -> None:
    """While this instance publishes: the first quote need not wait."""
    one = rig.instance("one")
    await one.lease.check()
    await one.publish(now(rig))
    added = quote("spot/NEWUSDT", ts=rig.clock.now_ms())
    one.admission.expect([added.instrument])
    await one.publish()

    assert one.admission.admit([added]) == [added]


async def test_nothing_of_a_removed_instrument_is_kept(rig: Rig) -> None:
    """Its quotes that wait are not published; when it comes back, its stream is read again."""
    one, other = rig.instance("one"), rig.instance("other")
    await one.lease.check()
    await one.publish(now(rig))
    gone = now(rig).instrument
    for each in (one, other):
        each.admission.expect([gone])
        each.admission.admit([now(rig)])
        each.admission.forget([gone])
        assert paths_to(each.admission.ids, gone) == []
        assert [p for p in paths_to(each.admission, gone) if "_reader" not in p] == []

    one.admission.expect([gone])
    await one.publish()
    assert one.admission.ids.last_id(gone) == EntryId(NOON + 1000, 0)
