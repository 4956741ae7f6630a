"""
Publishing: when windows close, what they carry, and what becomes of quotes the store does not take.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import wait_all_tasks_blocked as settle
from msgspec import structs

from chimera_s1.adapters.memory.clock import ManualClock
from chimera_s1.adapters.memory.market_feed import ScriptedMarketFeed
from chimera_s1.adapters.memory.quote_streams import GONE, MemoryStreams
from chimera_s1.app.use_cases.publish_quotes import FRESH_MS, PING_AFTER_MS, PublishQuotes
from chimera_s1.app.use_cases.quote_board import QuoteBoard
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublishReport
from chimera_s1.domain.resilience.health import StreamsReport
from tests.sample_quotes import TS, quote
from tests.unit.app.doubles import GatedPublisher

SECOND = TS // 1000 * 1000
BTC = InstrumentId.parse("spot/BTCUSDT")
ETH = InstrumentId.parse("spot/ETHUSDT")
PERP = InstrumentId.parse("perp/BTCUSDT")


def stands(waiting: int, cause: str = "") -> StreamsReport:
    """
    The report while no window is merged; reachable where nothing is wrong.
    """
    return StreamsReport(reachable=not cause, waiting=waiting, merged=False, cause=cause)


class CoarseClock(ManualClock):
    """
    A loop that counts whole milliseconds, as uvloop does: a sleep may end up to 1 ms early.
    """

    async def sleep_ms(self, duration_ms: float) -> None:
        await super().sleep_ms(duration_ms - 1 if duration_ms > 1 else duration_ms)


class Bench:
    """
    Publishing between two feeds and a store, all in memory.
    """

    def __init__(self, window: int = 1000, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(SECOND)
        self.streams = MemoryStreams(self.clock, maxlen=1_000)
        self.publisher = GatedPublisher(self.streams)
        self.board = QuoteBoard()
        every = window == 0
        self.spot = ScriptedMarketFeed(Venue.SPOT, every_update=every)
        self.perp = ScriptedMarketFeed(Venue.PERP, every_update=every)
        self.latencies: list[float] = []
        self.publishing = PublishQuotes(
            [self.spot, self.perp],
            self.publisher,
            self.board,
            clock=self.clock,
            window=WindowMs(window),
            observe_latency=self.latencies.append,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.publishing.run)
                await settle()
                yield
                tasks.cancel_scope.cancel()

    def offer(self, bid: float, instrument: InstrumentId = BTC, source: str = "book") -> Quote:
        """
        A quote arrives now.
        """
        made = quote(str(instrument), bid=bid, ts=self.clock.now_ms(), source=source)
        (self.spot if instrument.venue is Venue.SPOT else self.perp).offer(made)
        return made

    def bids(self, instrument: InstrumentId = BTC) -> list[float]:
        """
        What is on a stream.
        """
        entries = self.streams.entries(instrument)
        return [float(dict(entry.fields)["bid1"]) for entry in entries]

    def written_ms(self, instrument: InstrumentId = BTC) -> list[int]:
        """
        When the entries of a stream were written.
        """
        ids = [entry.entry_id for entry in self.streams.entries(instrument)]
        return [int(entry_id.partition("-")[0]) for entry_id in ids]


@pytest.mark.parametrize(
    ("window", "closes"),
    [
        (1000, [1000, 2000]),
        (400, [400, 800, 1000, 1400, 1800, 2000]),
        (500, [500, 1000, 1500, 2000]),
    ],
)
async def test_windows_close_where_the_wall_second_says(window: int, closes: list[int]) -> None:
    """
    Whatever the width, a second's end is a window's end; a window carries its newest quote.
    """
    bench = Bench(window, ManualClock(SECOND + 130))
    async with bench.running():
        for moment in range(150, 2000, 50):
            await bench.clock.advance(SECOND + moment - bench.clock.now_ms())
            bench.offer(float(moment))
        await bench.clock.advance(SECOND + 2000 - bench.clock.now_ms())

    assert [SECOND + end for end in closes] == bench.written_ms()
    # A quote that comes with the stroke belongs to the window that closes or to the next: here the
    # closing comes first.
    assert [float(end - 50) for end in closes] == bench.bids()
    assert bench.publishing.counters.windows == len(closes)
    assert bench.publishing.counters.windows_merged == 0


async def test_a_window_never_closes_twice() -> None:
    """
    A loop that wakes up a little early does not end a window before its end.
    """
    bench = Bench(500, CoarseClock(SECOND + 400))
    async with bench.running():
        bench.offer(1.0)
        await bench.clock.advance(99)
        assert bench.written_ms() == []
        await bench.clock.advance(1)
        bench.offer(2.0)
        await bench.clock.advance(500)

    assert bench.written_ms() == [SECOND + 500, SECOND + 1000]
    assert bench.publishing.counters.windows == 2


async def test_both_feeds_go_out_in_one_batch_and_onto_the_board() -> None:
    bench = Bench()
    async with bench.running():
        bench.offer(1.0)
        bench.offer(2.0, PERP)
        await bench.clock.advance(1000)

    assert [len(batch) for batch in bench.publisher.offered] == [2]
    assert (bench.bids(BTC), bench.bids(PERP)) == ([1.0], [2.0])
    newest = bench.board.newest(PERP)
    assert newest is not None
    assert newest.bid == 2.0
    assert bench.latencies == [0.0]


async def test_a_window_without_a_quote_writes_nothing() -> None:
    bench = Bench()
    async with bench.running():
        await bench.clock.advance(3000)

    assert bench.publisher.offered == []
    assert bench.publishing.counters.windows == 3


async def test_a_slow_store_merges_windows() -> None:
    """
    While a batch is being written nothing is drained; what closed meanwhile is counted, and the
    newest quote goes out at the next boundary.
    """
    bench = Bench()
    async with bench.running():
        bench.offer(1.0)
        bench.publisher.close_gate()
        await bench.clock.advance(1000)
        for bid in (2.0, 3.0, 4.0):
            bench.offer(bid)
            await bench.clock.advance(700)
        assert len(bench.publisher.offered) == 1
        assert bench.spot.counters.drained == 1

        bench.publisher.open_gate()
        await settle()
        assert bench.publishing.report().merged
        assert bench.publishing.counters.windows_merged == 2
        assert bench.latencies == [2100.0]

        await bench.clock.advance(900)
        assert not bench.publishing.report().merged

    assert bench.bids() == [1.0, 4.0]
    assert bench.written_ms() == [SECOND + 3100, SECOND + 4000]
    assert bench.spot.counters.conflated == 2


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
async def test_a_wall_clock_that_steps_makes_no_window_late(step_ms: int) -> None:
    """
    Lateness and latency are durations: only the monotonic clock tells them.
    """
    bench = Bench()
    async with bench.running():
        bench.publisher.close_gate()
        bench.offer(1.0)
        await bench.clock.advance(1000)
        bench.clock.step(step_ms)
        await bench.clock.advance(20)
        bench.publisher.open_gate()
        await settle()

        assert not bench.publishing.report().merged
    assert bench.publishing.counters.windows_merged == 0
    assert bench.latencies == [20.0]


async def test_a_store_that_was_away_gets_the_newest_of_each_stream_in_order() -> None:
    """
    What waits is superseded by what is newer, and offered again before it, oldest stream first.
    """
    bench = Bench()
    async with bench.running():
        bench.streams.gone = True
        bench.offer(1.0)
        bench.offer(2.0, ETH)
        bench.offer(3.0, PERP)
        await bench.clock.advance(1000)
        assert bench.publishing.report() == stands(3, GONE)

        bench.offer(4.0)
        await bench.clock.advance(1000)
        assert bench.publishing.report().waiting == 3
        assert bench.publishing.counters.superseded == 1

        bench.streams.gone = False
        bench.offer(5.0, ETH, source="depth")
        await bench.clock.advance(1000)

    last = [(each.instrument, each.bid) for each in bench.publisher.offered[-1]]
    assert last == [(ETH, 2.0), (PERP, 3.0), (BTC, 4.0), (ETH, 5.0)]
    assert bench.bids(BTC) == [4.0]
    assert bench.bids(ETH) == [2.0, 5.0]
    assert bench.publishing.report() == stands(0)


async def test_a_quote_that_is_no_longer_fresh_is_not_published() -> None:
    """
    Exactly FRESH_MS old is fresh; older is dropped and counted.
    """
    bench = Bench()
    async with bench.running():
        bench.streams.gone = True
        await bench.clock.advance(999)
        bench.offer(1.0)
        await bench.clock.advance(1)
        bench.offer(2.0, ETH)
        await bench.clock.advance(FRESH_MS - 1000)
        assert bench.publishing.counters.expired == 0
        assert bench.publishing.report().waiting == 2

        bench.streams.gone = False
        await bench.clock.advance(1000)

    assert bench.publishing.counters.expired == 1
    assert (bench.bids(BTC), bench.bids(ETH)) == ([], [2.0])


async def test_a_node_that_is_away_costs_its_own_streams_only() -> None:
    bench = Bench()
    bench.publisher.refused = {ETH}
    async with bench.running():
        bench.offer(1.0)
        bench.offer(2.0, ETH)
        await bench.clock.advance(1000)
        report = bench.publishing.report()

        bench.publisher.refused = set()
        await bench.clock.advance(1000)

    assert report == stands(1)
    assert (bench.bids(BTC), bench.bids(ETH)) == ([1.0], [2.0])


async def test_a_calm_market_is_asked_for_by_ping() -> None:
    """
    Without writes the store is asked, so that silence does not look like health; writes that are
    acknowledged make asking needless.
    """
    bench = Bench()
    assert not bench.publishing.report().reachable
    async with bench.running():
        await bench.clock.advance(PING_AFTER_MS)
        assert bench.publishing.report().reachable
        assert bench.publisher.pings == 1

        bench.streams.gone = True
        await bench.clock.advance(PING_AFTER_MS)
        assert bench.publishing.report() == stands(0, GONE)

        bench.streams.gone = False
        await bench.clock.advance(PING_AFTER_MS)
        assert bench.publishing.report().reachable


async def test_a_busy_market_needs_no_ping() -> None:
    bench = Bench(window=500)
    async with bench.running():
        for _ in range(20):
            bench.offer(1.0)
            await bench.clock.advance(250)

    assert bench.publisher.pings == 0
    assert bench.publishing.report().reachable


async def test_window_zero_publishes_each_update_in_order() -> None:
    bench = Bench(window=0)
    async with bench.running():
        for bid in range(1, 6):
            bench.offer(float(bid))
            bench.offer(float(-bid), PERP)
        await settle()
        bench.offer(6.0)
        await settle()

    assert bench.bids(BTC) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert bench.bids(PERP) == [-1.0, -2.0, -3.0, -4.0, -5.0]


async def test_window_zero_keeps_the_newest_of_what_is_not_taken() -> None:
    """
    Older updates of a stream are superseded at once; the newest goes out when the store is back,
    even if the market stays calm.
    """
    bench = Bench(window=0)
    async with bench.running():
        bench.streams.gone = True
        for bid in (1.0, 2.0, 3.0):
            bench.offer(bid)
        await settle()
        assert bench.publishing.report().waiting == 1
        assert bench.publishing.counters.superseded == 2

        bench.streams.gone = False
        await bench.clock.advance(PING_AFTER_MS)
        assert bench.publishing.report() == stands(0)

    assert bench.bids() == [3.0]


async def test_window_zero_measures_from_the_receipt() -> None:
    bench = Bench(window=0)
    async with bench.running():
        bench.publisher.close_gate()
        bench.offer(1.0)
        await settle()
        await bench.clock.advance(30)
        bench.publisher.open_gate()
        await settle()

    assert bench.latencies == [30.0]


async def test_an_update_that_was_no_quote_is_waited_past() -> None:
    """
    A feed that wakes up for a frame it then drops is not asked in vain for ever.
    """
    bench = Bench(window=0)

    class Dropping(ScriptedMarketFeed):
        def drain(self) -> list[Quote]:
            return [each for each in super().drain() if each.bid > 0]

    bench.spot = Dropping(Venue.SPOT, every_update=True)
    bench.publishing = PublishQuotes(
        [bench.spot],
        bench.publisher,
        bench.board,
        clock=bench.clock,
        window=WindowMs(0),
        observe_latency=bench.latencies.append,
    )
    async with bench.running():
        bench.offer(-1.0)
        await settle()
        bench.offer(1.0)
        await settle()

    assert [[each.bid for each in batch] for batch in bench.publisher.offered] == [[1.0]]


@pytest.mark.parametrize("window", [0, 1000])
async def test_flush_publishes_what_is_held(window: int) -> None:
    """
    The last quotes go out with what waits, before the sockets close.
    """
    bench = Bench(window)
    bench.publisher.refused = {ETH}
    async with bench.running():
        bench.offer(1.0, ETH)
        await bench.clock.advance(1000)
    bench.publisher.refused = set()
    bench.offer(2.0)
    with anyio.fail_after(5):
        await bench.publishing.flush()

    assert (bench.bids(ETH), bench.bids(BTC)) == ([1.0], [2.0])


async def test_a_publish_that_is_cancelled_is_finished_and_its_report_kept() -> None:
    """
    Cancelling waits for the acknowledgement: nothing is written twice, nothing is forgotten.
    """
    bench = Bench()
    bench.publisher.refused = {ETH}
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.publishing.run)
            await settle()
            bench.publisher.close_gate()
            bench.offer(1.0)
            bench.offer(2.0, ETH)
            await bench.clock.advance(1000)
            tasks.cancel_scope.cancel()
            bench.publisher.open_gate()

        assert bench.publishing.report() == stands(1)
        bench.publisher.refused = set()
        await bench.publishing.flush()

    assert (bench.bids(BTC), bench.bids(ETH)) == ([1.0], [2.0])


async def test_a_feed_cancelled_in_the_queue_keeps_its_quotes() -> None:
    """
    A quote is taken from its feed only by who publishes it: cancelled while another feed's batch is
    being written, it is there for the last flush.
    """
    bench = Bench(window=0)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.publishing.run)
            await settle()
            bench.publisher.close_gate()
            bench.offer(1.0)
            await bench.publisher.called.wait()
            bench.offer(2.0, PERP)
            await settle()
            tasks.cancel_scope.cancel()
            bench.publisher.open_gate()
        await bench.publishing.flush()

    assert (bench.bids(BTC), bench.bids(PERP)) == ([1.0], [2.0])


async def test_a_report_of_an_earlier_call_never_replaces_what_is_newer() -> None:
    """
    A publisher may name a quote of an earlier call; where a newer one went out, it stays behind.
    """
    bench = Bench(window=0)
    old = quote(bid=1.0, source="book")

    class Remembering(GatedPublisher):
        async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
            report = await super().publish(quotes)
            return structs.replace(report, unpublished=(old,))

    bench.publishing = PublishQuotes(
        [bench.spot],
        Remembering(bench.streams),
        bench.board,
        clock=bench.clock,
        window=WindowMs(0),
        observe_latency=bench.latencies.append,
    )
    async with bench.running():
        bench.offer(2.0)
        await settle()

    assert bench.publishing.report().waiting == 0
    assert bench.publishing.counters.superseded == 1
    assert bench.bids() == [2.0]
