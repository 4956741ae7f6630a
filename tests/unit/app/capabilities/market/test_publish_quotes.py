"""Publishing window by window: their times, their quotes, and quotes that the store does not
accept.
"""

import pytest

from chimera_s1.app.capabilities.market.pending_quotes import FRESH_MS
from chimera_s1.app.capabilities.market.publish_quotes import PING_AFTER_MS
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.quote_streams import UNAVAILABLE
from tests.unit.app.publishing_bench import BTC, ETH, PERP, SECOND, Bench, CoarseClock, stands


@pytest.mark.parametrize(
    ("window", "closes"),
    [
        (1000, [1000, 2000]),
        (400, [400, 800, 1000, 1400, 1800, 2000]),
        (500, [500, 1000, 1500, 2000]),
    ],
)
async def test_windows_close_aligned_to_the_wall_second(window: int, closes: list[int]) -> None:
    """For every width, a second's end is a window's end; a window carries its newest quote."""
    bench = Bench(window, ManualClock(SECOND + 130))
    async with bench.running():
        for moment in range(150, 2000, 50):
            await bench.clock.advance(SECOND + moment - bench.clock.now_ms())
            bench.offer(float(moment))
        await bench.clock.advance(SECOND + 2000 - bench.clock.now_ms())

    assert [SECOND + end for end in closes] == bench.window_ends()
    # A quote that comes with the stroke belongs to the window that closes or to the next: here the
    # closing comes first.
    assert [float(end - 50) for end in closes] == bench.bids()
    assert bench.publishing.counters.windows == len(closes)
    assert bench.publishing.counters.windows_merged == 0


async def test_a_window_never_closes_twice() -> None:
    """A loop that wakes up a little early does not end a window before its end."""
    bench = Bench(500, CoarseClock(SECOND + 400))
    async with bench.running():
        bench.offer(1.0)
        await bench.clock.advance(99)
        assert bench.window_ends() == []
        await bench.clock.advance(1)
        bench.offer(2.0)
        await bench.clock.advance(500)

    assert bench.window_ends() == [SECOND + 500, SECOND + 1000]
    assert bench.publishing.counters.windows == 2


async def test_both_feeds_are_published_in_one_batch_and_posted() -> None:
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
    """While a batch is being written nothing is drained; what closed meanwhile is counted, and the
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
        assert bench.publishing.report().merging_windows
        assert bench.publishing.counters.windows_merged == 2
        assert bench.latencies == [2100.0]

        await bench.clock.advance(900)
        assert not bench.publishing.report().merging_windows

    assert bench.bids() == [1.0, 4.0]
    assert bench.window_ends() == [SECOND + 1000, SECOND + 3000]
    assert bench.spot.counters.conflated == 2


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
async def test_wall_clock_step_makes_no_window_late(step_ms: int) -> None:
    """Lateness and latency are durations: they are measured by the monotonic clock."""
    bench = Bench()
    async with bench.running():
        bench.publisher.close_gate()
        bench.offer(1.0)
        await bench.clock.advance(1000)
        bench.clock.step_wall_clock(step_ms)
        await bench.clock.advance(20)
        bench.publisher.open_gate()
        await settle()

        assert not bench.publishing.report().merging_windows
    assert bench.publishing.counters.windows_merged == 0
    assert bench.latencies == [20.0]


async def test_recovered_store_gets_the_newest_quote_of_each_stream_in_order() -> None:
    """Pending quotes are superseded by newer ones of their stream; the others are sent first,
    oldest stream first.
    """
    bench = Bench()
    async with bench.running():
        bench.streams.unavailable = True
        bench.offer(1.0)
        bench.offer(2.0, ETH)
        bench.offer(3.0, PERP)
        await bench.clock.advance(1000)
        assert bench.publishing.report() == stands(3, UNAVAILABLE)

        bench.offer(4.0)
        await bench.clock.advance(1000)
        assert bench.publishing.report().pending == 3
        assert bench.publishing.counters.superseded == 1

        bench.streams.unavailable = False
        bench.offer(5.0, ETH, source="binance.spot.depth5")
        await bench.clock.advance(1000)

    last = [(each.instrument, each.bid) for each in bench.publisher.offered[-1]]
    assert last == [(ETH, 2.0), (PERP, 3.0), (BTC, 4.0), (ETH, 5.0)]
    assert bench.bids(BTC) == [4.0]
    assert bench.bids(ETH) == [2.0, 5.0]
    assert bench.publishing.report() == stands(0)


@pytest.mark.parametrize("step_ms", [0, -3_600_000, 3_600_000])
async def test_expired_quote_is_not_published(step_ms: int) -> None:
    """Exactly FRESH_MS old is fresh; older is dropped and counted, even if the wall clock steps."""
    bench = Bench()
    async with bench.running():
        bench.streams.unavailable = True
        await bench.clock.advance(999)
        bench.offer(1.0)
        await bench.clock.advance(1)
        bench.offer(2.0, ETH)
        await bench.clock.advance(1000)
        bench.clock.step_wall_clock(step_ms)
        await bench.clock.advance(FRESH_MS - 2000)
        assert bench.publishing.counters.expired == 0
        assert bench.publishing.report().pending == 2

        bench.streams.unavailable = False
        await bench.clock.advance(1000)

    assert bench.publishing.counters.expired == 1
    assert (bench.bids(BTC), bench.bids(ETH)) == ([], [2.0])


async def test_unavailable_node_affects_its_own_streams_only() -> None:
    bench = Bench()
    bench.publisher.unavailable = {ETH}
    async with bench.running():
        bench.offer(1.0)
        bench.offer(2.0, ETH)
        await bench.clock.advance(1000)
        report = bench.publishing.report()

        bench.publisher.unavailable = set()
        await bench.clock.advance(1000)

    assert report == stands(1, "a node does not answer", reachable=True)
    assert (bench.bids(BTC), bench.bids(ETH)) == ([1.0], [2.0])


async def test_store_is_pinged_in_a_calm_market() -> None:
    """Without writes the store is pinged, so that a calm market does not hide an outage;
    acknowledged writes make pings unnecessary.
    """
    bench = Bench()
    assert not bench.publishing.report().reachable
    async with bench.running():
        await bench.clock.advance(PING_AFTER_MS)
        assert bench.publishing.report().reachable
        assert bench.publisher.pings == 1

        bench.streams.unavailable = True
        await bench.clock.advance(PING_AFTER_MS)
        assert bench.publishing.report() == stands(0, UNAVAILABLE)

        bench.streams.unavailable = False
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
