"""Publishing every update (window 0), and the shutdown: pending quotes are sent, running writes are
finished.
"""

from collections.abc import Sequence

import anyio
import pytest
from msgspec import structs

from chimera_s1.app.capabilities.market.publish_quotes import PING_AFTER_MS, PublishQuotes
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublishReport
from tests.fakes.manual_clock import settle
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.quote_admission import AdmitAll
from tests.sample_quotes import quote
from tests.time_limits import TIMEOUT_S
from tests.unit.app.doubles import GatedPublisher
from tests.unit.app.publishing_bench import BTC, ETH, PERP, Bench, stands


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


async def test_window_zero_keeps_the_newest_unpublished_quote() -> None:
    """Older updates of a stream are superseded at once; the newest goes out when the store is back,
    even if the market stays calm.
    """
    bench = Bench(window=0)
    async with bench.running():
        bench.streams.unavailable = True
        for bid in (1.0, 2.0, 3.0):
            bench.offer(bid)
        await settle()
        assert bench.publishing.report().pending == 1
        assert bench.publishing.counters.superseded == 2

        bench.streams.unavailable = False
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


async def test_update_without_a_quote_is_skipped() -> None:
    """A feed that wakes up for a frame it then drops does not cause a hot loop."""
    bench = Bench(window=0)

    class Dropping(ScriptedMarketFeed):
        def drain(self, *, unfinished: bool = False) -> list[Quote]:
            return [each for each in super().drain(unfinished=unfinished) if each.bid > 0]

    bench.spot = Dropping(Venue.SPOT, every_update=True)
    bench.publishing = PublishQuotes(
        [bench.spot],
        bench.publisher,
        bench.board,
        clock=bench.clock,
        window=WindowMs(0),
        admission=AdmitAll(),
        observe_latency=bench.latencies.append,
    )
    async with bench.running():
        bench.offer(-1.0)
        await settle()
        bench.offer(1.0)
        await settle()

    assert [[each.bid for each in batch] for batch in bench.publisher.offered] == [[1.0]]


@pytest.mark.parametrize("window", [0, 1000])
async def test_flush_publishes_held_quotes(window: int) -> None:
    """The last quotes are sent with the pending ones, before the sockets close."""
    bench = Bench(window)
    bench.publisher.unavailable = {ETH}
    async with bench.running():
        bench.offer(1.0, ETH)
        await bench.clock.advance(1000)
    bench.publisher.unavailable = set()
    bench.offer(2.0)
    with anyio.fail_after(TIMEOUT_S):
        await bench.publishing.flush()

    assert (bench.bids(ETH), bench.bids(BTC)) == ([1.0], [2.0])


async def test_cancelled_publish_completes_and_keeps_its_report() -> None:
    """Cancelling waits for the acknowledgement: no quote is written twice or lost."""
    bench = Bench()
    bench.publisher.unavailable = {ETH}
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.publishing.run)
            await settle()
            bench.publisher.close_gate()
            bench.offer(1.0)
            bench.offer(2.0, ETH)
            await bench.clock.advance(1000)
            tasks.cancel_scope.cancel()
            bench.publisher.open_gate()

        assert bench.publishing.report() == stands(1, "a node does not answer", reachable=True)
        bench.publisher.unavailable = set()
        await bench.publishing.flush()

    assert (bench.bids(BTC), bench.bids(ETH)) == ([1.0], [2.0])


async def test_feed_cancelled_while_waiting_keeps_its_quotes() -> None:
    """A quote is drained only by the task that publishes it: after a cancellation during another
    feed's write, it is still there for the last flush.
    """
    bench = Bench(window=0)
    with anyio.fail_after(TIMEOUT_S):
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


async def test_earlier_report_never_replaces_a_newer_quote() -> None:
    """A publisher may name a quote of an earlier call; where a newer one went out, it
    stays behind.
    """
    bench = Bench(window=0)
    old = quote(bid=1.0)

    class Remembering(GatedPublisher):
        async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
            report = await super().publish(quotes)
            return structs.replace(report, unpublished=(old,))

    bench.publishing = PublishQuotes(
        [bench.spot],
        Remembering(bench.streams, WindowMs(0)),
        bench.board,
        clock=bench.clock,
        window=WindowMs(0),
        admission=AdmitAll(),
        observe_latency=bench.latencies.append,
    )
    async with bench.running():
        bench.offer(2.0)
        await settle()

    assert bench.publishing.report().pending == 0
    assert bench.publishing.counters.superseded == 1
    assert bench.bids() == [2.0]
