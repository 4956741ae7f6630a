"""The kill switch and publication: nothing is written while it stops it, feeds are drained and
shown, and what waits is the newest of each stream.
"""

import pytest

from chimera_s1.app.capabilities.market.publish_quotes import PING_AFTER_MS
from tests.fakes.manual_clock import settle
from tests.unit.app.publishing_bench import BTC, ETH, SECOND, Bench


@pytest.mark.parametrize("window", [0, 1000])
async def test_nothing_is_written_while_the_switch_is_on_and_boards_stay_right(window: int) -> None:
    bench = Bench(window)
    async with bench.running():
        bench.offer(1.0)
        await bench.clock.advance(1000)
        bench.switch.set(on=True)
        for bid in (2.0, 3.0, 4.0):
            bench.offer(bid)
            await bench.clock.advance(1000)

        assert bench.bids() == [1.0]
        shown = bench.board.newest(BTC)
        assert shown is not None
        assert shown.bid == 4.0
        assert bench.spot.counters.drained == 4
        assert bench.publishing.counters.withheld == 2
        assert bench.publishing.counters.superseded == 0
        report = bench.publishing.report()
        assert (report.reachable, report.cause, report.pending) == (True, "", 0)


async def test_quotes_of_a_removed_instrument_are_not_written_after_the_release() -> None:
    """The switch may be on for hours: the quote is far older than the removal, and the last one."""
    bench = Bench()
    async with bench.running():
        bench.switch.set(on=True)
        bench.offer(1.0)
        bench.offer(10.0, ETH)
        await bench.clock.advance(1000)
        bench.publishing.forget([ETH])
        bench.switch.set(on=False)
        await settle()

    assert (bench.bids(), bench.bids(ETH)) == ([1.0], [])


@pytest.mark.parametrize("window", [0, 1000])
async def test_the_newest_of_each_stream_is_written_at_once_when_it_is_released(
    window: int,
) -> None:
    """Also of a stream that was calm since: else its last entry would be a wrong price."""
    bench = Bench(window)
    async with bench.running():
        bench.offer(1.0)
        bench.offer(10.0, ETH)
        await settle()
        await bench.clock.advance(1000)
        bench.switch.set(on=True)
        bench.offer(11.0, ETH)
        for bid in (2.0, 3.0):
            bench.offer(bid)
            await bench.clock.advance(5_000)
        bench.switch.set(on=False)
        await settle()

        assert (bench.bids(), bench.bids(ETH)) == ([1.0, 3.0], [10.0, 11.0])
        bench.offer(4.0)
        await settle()
        await bench.clock.advance(1000)

    assert bench.bids() == [1.0, 3.0, 4.0]
    entries = bench.streams.entries(BTC)
    times = [int(dict(entry.fields)["ts"]) for entry in entries]
    assert times == sorted(times)
    assert max(bench.latencies) == 0.0


async def test_a_quote_that_waited_for_its_node_when_the_switch_came_is_not_written() -> None:
    """A write in flight ends; what waits behind it, and what the node did not accept, stays."""
    bench = Bench()
    async with bench.running():
        bench.publisher.close_gate()
        bench.offer(1.0)
        await bench.clock.advance(1000)
        bench.publisher.unavailable.add(ETH)
        bench.offer(2.0)
        bench.offer(10.0, ETH)
        await bench.clock.advance(1000)
        bench.switch.set(on=True)
        bench.publisher.open_gate()
        await bench.clock.advance(3000)

        assert bench.bids() == [1.0]
        assert len(bench.publisher.offered) == 1
        assert bench.publisher.pings

        bench.publisher.unavailable.clear()
        bench.switch.set(on=False)
        await bench.clock.advance(1000)

    assert (bench.bids(), bench.bids(ETH)) == ([1.0, 2.0], [10.0])


@pytest.mark.parametrize("window", [0, 1000])
async def test_a_slowed_publication_writes_the_newest_once_an_interval(window: int) -> None:
    bench = Bench(window, slow_ms=4_700)
    async with bench.running():
        bench.switch.set(on=True)
        await settle()
        for bid in range(1, 11):
            bench.offer(float(bid))
            await bench.clock.advance(1000)
        assert bench.bids() == ([5.0, 10.0] if window == 0 else [4.0, 9.0])

        bench.switch.set(on=False)
        await settle()

    assert bench.bids() == ([5.0, 10.0] if window == 0 else [4.0, 9.0, 10.0])


async def test_a_stop_while_a_node_is_silent_still_pings_it() -> None:
    """Whether Redis works is known also while nothing is written."""
    bench = Bench()
    async with bench.running():
        bench.switch.set(on=True)
        bench.offer(1.0)
        await bench.clock.advance(1000)
        pings = bench.publisher.pings
        await bench.clock.advance(3 * PING_AFTER_MS)

        assert bench.publisher.pings >= pings + 2
        assert bench.publishing.report().reachable
    assert bench.publisher.offered == []


async def test_the_last_flush_writes_nothing_while_publication_is_stopped() -> None:
    bench = Bench()
    async with bench.running():
        bench.switch.set(on=True)
        bench.offer(1.0)
    await bench.publishing.flush()

    assert bench.publisher.offered == []
    assert bench.clock.now_ms() == SECOND
