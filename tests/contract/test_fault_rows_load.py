"""Row 59 of the fault matrix: 20,000 messages a second and a consumer that hangs."""

import random
from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.market_feed import BinanceMarketFeed, FeedPlan
from chimera_s1.adapters.binance.streams import book_frames
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.domain.identifiers import Channel, InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.operations.clock_skew import NO_OFFSET
from chimera_s1.domain.operations.dial_budget import dial_limit
from chimera_s1.domain.operations.venue_hold import VenueHold
from tests.contract.feed_harness import CLOCK, QUICK_RECONNECT
from tests.contract.quote_invariants import check_alone
from tests.fakes.quote_admission import AdmitAll
from tests.fakes.quote_streams import MemoryQuoteStreams
from tests.processes import ChimeraProcess, simulator_process
from tests.time_limits import TIMEOUT_S
from tests.unit.app.doubles import GatedPublisher

RATE, FLOOD = 20_000, 20_000
PLACES = 2
"""Of a stream: the frame of the open window, and that of the windows before it."""

MAXLEN = 5
INSTRUMENTS = [InstrumentId(Venue.SPOT, Symbol(f"F{number:04d}USDT")) for number in range(20)]


@pytest.fixture
async def simulator() -> AsyncIterator[ChimeraProcess]:
    """In a process of its own, so that it does not wait for us."""
    names = ",".join(instrument.symbol for instrument in INSTRUMENTS)
    async with simulator_process("--symbols", names, "--rate", str(RATE)) as process:
        yield process


class Flooded:
    """A feed under load that can wait for a number of further messages."""

    def __init__(self, simulator: ChimeraProcess, window: WindowMs) -> None:
        self._pacer = ReadPacer(CLOCK, 10)
        self._wanted = 0
        self._came = anyio.Event()
        self.feed = BinanceMarketFeed(
            FeedPlan(
                Venue.SPOT,
                simulator.ready["spot_ws_url"],
                (Channel.BOOK_TICKER,),
                window,
                200,
                QUICK_RECONNECT,
            ),
            clock=CLOCK,
            gate=DialGate(CLOCK, VenueHold(), dial_limit(1)),
            draw=random.random,
            clock_offset=lambda: NO_OFFSET,
            listener=lambda _: None,
            pacer=self._pacer,
            record=self._count,
        )

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pacer.run)
            await self.feed.run(INSTRUMENTS)

    async def more(self, messages: int) -> None:
        """Wait for so many messages more."""
        self._wanted, self._came = self.feed.counters.messages + messages, anyio.Event()
        await self._came.wait()

    @property
    def held(self) -> int:
        """Messages that are neither handed out nor dropped nor replaced: what memory holds."""
        counters = self.feed.counters
        gone = counters.drained + counters.conflated + sum(counters.dropped.values())
        return counters.messages - gone

    def _count(self, payload: bytes, received_ms: int) -> None:
        assert payload
        assert received_ms
        if self.feed.counters.messages >= self._wanted:
            self._came.set()


async def sent(simulator: ChimeraProcess) -> int:
    """Frames the simulator has sent."""
    async with httpx2.AsyncClient(
        base_url=simulator.ready["control_url"], timeout=TIMEOUT_S
    ) as control:
        status = (await control.get("/sim/status")).raise_for_status().json()
    return int(status["venues"]["spot"]["frames_sent"])


async def test_row_59_a_store_that_hangs_in_a_flood_costs_one_quote_per_stream(
    tasks: TaskGroup, simulator: ChimeraProcess
) -> None:
    """The newest frame of each stream stays pending, and that of its last window; the rest is
    counted; the published quotes are correct.
    """
    publisher = GatedPublisher(streams := MemoryQuoteStreams(maxlen=MAXLEN), WindowMs(50))
    flooded = Flooded(simulator, WindowMs(50))
    publishing = PublishQuotes(
        [flooded.feed],
        publisher,
        QuoteBoard(),
        clock=CLOCK,
        window=WindowMs(50),
        admission=AdmitAll(),
        observe_latency=lambda _: None,
    )
    publisher.close_gate()
    tasks.start_soon(flooded.run)
    tasks.start_soon(publishing.run)
    await publisher.called.wait()
    offered = len(publisher.offered)
    for _ in range(4):
        await flooded.more(FLOOD // 4)
        assert flooded.held <= PLACES * len(INSTRUMENTS)
        assert publishing.report().pending <= len(INSTRUMENTS)
    assert len(publisher.offered) == offered, "one batch at a time"
    publisher.open_gate()
    await flooded.more(FLOOD // 4)

    counters = flooded.feed.counters
    assert await sent(simulator) >= FLOOD
    assert counters.conflated >= FLOOD - PLACES * len(INSTRUMENTS)
    assert counters.dropped == {}
    assert publishing.counters.windows_merged > 0
    assert all(len(batch) <= len(INSTRUMENTS) for batch in publisher.offered)
    assert all(len(streams.entries(each)) <= MAXLEN for each in INSTRUMENTS)
    check_alone([quote for batch in publisher.offered for quote in batch])


async def test_row_59_every_update_is_kept_up_to_a_bound_and_then_only_the_newest(
    tasks: TaskGroup, simulator: ChimeraProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Window 0 without a drain: beyond the bound updates replace each other, counted."""
    bound = 1_000
    monkeypatch.setattr(book_frames, "EVERY_UPDATE_MAX", bound)
    flooded = Flooded(simulator, WindowMs(0))
    tasks.start_soon(flooded.run)
    for _ in range(4):
        await flooded.more(FLOOD // 4)
        assert flooded.held <= bound + PLACES * len(INSTRUMENTS)

    quotes = flooded.feed.drain()
    assert flooded.held == 0
    assert flooded.feed.counters.dropped == {}
    assert flooded.feed.counters.conflated >= FLOOD - bound - len(INSTRUMENTS)
    assert bound < len(quotes) <= bound + len(INSTRUMENTS)
    check_alone(quotes)
    assert await sent(simulator) >= FLOOD
