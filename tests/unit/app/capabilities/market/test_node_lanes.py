"""Publishing to two nodes: neither waits for the other, and the report is about settled writes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chimera_s1.app.capabilities.market import node_lane
from chimera_s1.app.capabilities.market.node_lane import NodeLane
from chimera_s1.app.capabilities.market.publish_quotes import PING_AFTER_MS, PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.operations.health import Level
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.quote_admission import AdmitAll
from tests.fakes.quote_streams import MemoryQuoteStreams
from tests.sample_quotes import quote
from tests.unit.app.doubles import TwoNodePublisher
from tests.unit.app.publishing_bench import BTC, ETH
from tests.virtual_time import LoopClock, on_virtual_time, run_on_virtual_time

SOL = InstrumentId.parse("spot/SOLUSDT")
WINDOWS = [0, 50, 1000]
STEP_MS = 100


class LaneBench:
    """Publishing on virtual time; BTC and SOL are on the left node, ETH is on the right one."""

    def __init__(self, window: int) -> None:
        self.clock = LoopClock()
        self.streams = MemoryQuoteStreams(maxlen=1_000)
        self.feed = ScriptedMarketFeed(Venue.SPOT, every_update=window == 0)
        self.nodes = TwoNodePublisher(self.streams, WindowMs(window))
        self.nodes.on_right = {ETH}
        self.levels: list[Level] = []
        self.publishing = PublishQuotes(
            [self.feed],
            self.nodes,
            QuoteBoard(),
            clock=self.clock,
            window=WindowMs(window),
            admission=AdmitAll(),
            observe_latency=lambda _: None,
        )
        self._updates = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.publishing.run)
            try:
                # Between the ends of two windows, so that the order of timers does not matter.
                await self.clock.sleep_ms(5)
                yield
            finally:
                for node in self.nodes.nodes():
                    self.nodes.resume(node)
                tasks.cancel_scope.cancel()

    async def advance(self, duration_ms: int) -> None:
        """Let time pass in small steps; levels that differ from the one before are kept."""
        for _ in range(0, duration_ms, 10):
            await self.clock.sleep_ms(10)
            level = self.publishing.report().level
            if self.levels[-1:] != [level]:
                self.levels.append(level)

    def offer(
        self, bid: float, instrument: InstrumentId = BTC, source: str = "binance.spot.bookTicker"
    ) -> None:
        """A quote arrives now."""
        self._updates += 1
        now_ms = self.clock.now_ms()
        made = quote(str(instrument), bid=bid, ts=now_ms, update_id=self._updates, source=source)
        self.feed.receive(made)

    def bids(self, instrument: InstrumentId = BTC) -> list[float]:
        """What is on a stream."""
        entries = self.streams.entries(instrument)
        return [float(dict(entry.fields)["bid1"]) for entry in entries]


@pytest.mark.parametrize("window", WINDOWS)
@on_virtual_time
async def test_a_node_that_hangs_delays_only_its_own_streams(window: int) -> None:
    """With the left node hanging for ever, every window of the right one is published on time."""
    bench = LaneBench(window)
    async with bench.running():
        bench.nodes.hang("left")
        offered = []
        for number in range(40):
            bench.offer(float(number))
            bench.offer(float(number), ETH)
            await bench.advance(STEP_MS)
            if window != 1000 or number % 10 == 9:
                offered.append(float(number))
                assert bench.bids(ETH) == offered
        assert bench.bids(BTC) == []

        bench.nodes.resume("left")
        await bench.advance(2_000)

    assert bench.bids(BTC)[-1] == 39.0
    assert bench.bids(BTC) == sorted(bench.bids(BTC))
    assert bench.nodes.counters.refused == 0
    assert window or bench.bids(BTC) == offered, "every update, late"


@pytest.mark.parametrize("window", WINDOWS)
@on_virtual_time
async def test_an_outage_of_one_node_is_one_change_of_level_and_one_back(window: int) -> None:
    """ORANGE with the node's own cause from its first refusal to its first acknowledgement."""
    bench = LaneBench(window)
    async with bench.running():
        await bench.advance(2_000)
        bench.levels.clear()
        for number in range(60):
            if number == 10:
                bench.nodes.down = {"left"}
            if number == 40:
                bench.nodes.down = set()
            if number == 39:
                report = bench.publishing.report()
            bench.offer(float(number))
            bench.offer(float(number), ETH)
            await bench.advance(STEP_MS)

    assert bench.levels == [Level.GREEN, Level.ORANGE, Level.GREEN]
    assert report.cause == "left is down"
    assert (report.failing_nodes, report.nodes, report.pending) == (1, 2, 1)
    assert "1 of 2 Redis nodes" in report.sentence


@pytest.mark.parametrize("window", WINDOWS)
@on_virtual_time
async def test_a_store_without_any_node_is_red(window: int) -> None:
    bench = LaneBench(window)
    async with bench.running():
        await bench.advance(2_000)
        bench.nodes.down = {"left", "right"}
        bench.offer(1.0)
        bench.offer(2.0, ETH)
        await bench.advance(2_000)

        assert bench.publishing.report().level is Level.RED
        assert bench.publishing.report().cause == "left is down; right is down"


@pytest.mark.parametrize("window", WINDOWS)
@on_virtual_time
async def test_a_stream_that_its_node_refuses_stays_reported(window: int) -> None:
    """Though the node accepts all others, with or without it in the batch."""
    bench = LaneBench(window)
    async with bench.running():
        bench.nodes.refused = {SOL}
        for number in range(20):
            bench.offer(float(number))
            if number % 5 == 0:
                bench.offer(float(number), SOL)
            await bench.advance(STEP_MS)
        bench.levels.clear()
        # Longer than a quote is fresh: none is pending any more.
        await bench.advance(7_000)
        assert bench.publishing.report().pending == 0
        bench.offer(21.0)
        await bench.advance(1_000)
        assert bench.levels == [Level.ORANGE]
        assert bench.publishing.report().cause == "left refuses spot/SOLUSDT"

        bench.nodes.refused = set()
        bench.offer(22.0, SOL)
        await bench.advance(2_000)
        assert bench.publishing.report().level is Level.GREEN


@on_virtual_time
async def test_a_ping_of_a_node_that_hangs_delays_no_other_node() -> None:
    """In a calm market every node is pinged; quotes that come during a ping wait for their node."""
    bench = LaneBench(1000)
    async with bench.running():
        bench.nodes.hang("left")
        await bench.advance(PING_AFTER_MS)
        assert bench.nodes.pings == ["left", "right"]
        bench.offer(1.0)
        bench.offer(2.0, ETH)
        await bench.advance(1000)
        assert (bench.bids(BTC), bench.bids(ETH)) == ([], [2.0])

        bench.nodes.resume("left")
        await bench.advance(10)
        assert bench.bids(BTC) == [1.0]


@pytest.mark.parametrize("window", [0, 50])
@on_virtual_time
async def test_a_quote_that_waits_for_its_stream_s_old_node_is_not_overtaken(window: int) -> None:
    """Its stream moves while it waits behind a write that hangs; the next quote comes before that
    write ends.
    """
    bench = LaneBench(window)
    async with bench.running():
        bench.nodes.hang("left")
        bench.offer(1.0, SOL)
        await bench.advance(STEP_MS)
        bench.offer(2.0)
        await bench.advance(STEP_MS)
        bench.nodes.move(BTC)
        bench.offer(3.0)
        await bench.advance(STEP_MS)
        published = bench.bids()
        bench.nodes.resume("left")
        await bench.advance(STEP_MS)

    assert published == ([2.0, 3.0] if window == 0 else [3.0])
    assert bench.bids() == published
    assert bench.nodes.counters.refused == 0


@pytest.mark.parametrize("window", WINDOWS)
@on_virtual_time
async def test_a_pending_quote_is_not_published_after_a_newer_one_came(window: int) -> None:
    bench = LaneBench(window)
    async with bench.running():
        bench.nodes.down = {"left"}
        bench.offer(1.0)
        await bench.advance(1_000)
        assert bench.publishing.report().pending == 1
        bench.offer(2.0)
        bench.nodes.down.clear()
        await bench.advance(2_000)

    assert bench.bids() == [2.0]


@on_virtual_time
async def test_quotes_of_two_channels_keep_the_order_of_their_windows() -> None:
    """While the node is slow three windows are merged; the last one has a quote of one channel."""
    bench = LaneBench(1000)
    depth = "binance.spot.depth5"
    async with bench.running():
        bench.nodes.hang("left")
        bench.offer(0.0)
        await bench.advance(1_000)
        for bid in (1.0, 3.0):
            bench.offer(bid)
            bench.offer(bid + 1, source=depth)
            await bench.advance(1_000)
        bench.offer(5.0)
        await bench.advance(1_000)
        bench.nodes.resume("left")
        await bench.advance(1_000)

    assert bench.bids() == [0.0, 4.0, 5.0]
    assert bench.nodes.counters.refused == 0


async def play(bench: LaneBench, steps: Sequence[str]) -> None:
    async with bench.running():
        for number, step in enumerate(steps):
            match step.split():
                case ["move"]:
                    bench.nodes.move(BTC)
                case ["hang", node]:
                    bench.nodes.hang(node)
                case ["resume", node]:
                    bench.nodes.resume(node)
                case ["down", node]:
                    bench.nodes.down ^= {node}
                case name:
                    bench.offer(float(number), BTC if name == ["BTC"] else SOL)
                    await bench.advance(20)
        for node in bench.nodes.nodes():
            bench.nodes.resume(node)
        bench.nodes.down.clear()
        bench.offer(float(len(steps)))
        await bench.advance(3_000)


STEPS = ["BTC", "BTC", "SOL", "move", "hang left", "hang right", "resume left", "resume right"]
STEPS += ["down left", "down right"]


@example(0, ["move", "hang left", "down right", "BTC", "SOL", "hang right", "SOL", "move"])
@given(st.sampled_from([0, 50]), st.lists(st.sampled_from(STEPS), max_size=30))
def test_quotes_of_a_stream_that_moves_never_overtake_each_other(
    window: int, steps: list[str]
) -> None:
    """Whatever hangs, fails or moves meanwhile; the newest is published in the end."""
    bench = LaneBench(window)
    run_on_virtual_time(lambda: play(bench, steps))

    assert bench.nodes.counters.refused == 0, "an older quote came after a newer one"
    assert bench.bids()[-1] == float(len(steps))
    assert bench.publishing.report().pending == 0


def test_a_lane_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound only the newest quote of each stream stays."""
    monkeypatch.setattr(node_lane, "WAITING_MAX", 3)
    lane = NodeLane("left")
    quotes = [quote(bid=1.0), quote("spot/ETHUSDT", bid=2.0), quote(bid=3.0), quote(bid=4.0)]

    assert [lane.add([each], 0.0, newest_only=False) for each in quotes] == [0, 0, 0, 2]
    assert [each.bid for each in lane.take()] == [2.0, 4.0]
