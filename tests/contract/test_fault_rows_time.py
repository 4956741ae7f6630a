"""Rows 62 and 63 of the fault matrix: a venue that rate limits, and clocks that step
and drift.
"""

from collections.abc import Sequence

import httpx2
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.streams.book_frames import BookFrames, BookStream
from chimera_s1.adapters.binance.streams.window_drain import WindowDrain
from chimera_s1.adapters.simulator.config import SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.operations.patrol_clock import UNSURE_RETRY_MS, PatrolClock
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import Channel, InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import StreamIds
from chimera_s1.domain.ports.quote_publisher import PublishReport
from tests.contract.feed_harness import CLOCK, SYMBOLS, simulator_endpoints
from tests.contract.quote_invariants import check_alone
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.quote_admission import AdmitAll
from tests.fakes.quote_streams import MemoryQuotePublisher, MemoryQuoteStreams
from tests.time_limits import TIMEOUT_S

BTC = InstrumentId(Venue.PERP, Symbol("BTCUSDT"))
HOUR_MS = 3_600_000
START = 1_772_514_460_000
AHEAD_MS = 300
PATROL_MS = 30_000
SLOW_MS = 700
WINDOW = WindowMs(1_000)


@pytest.mark.parametrize(("status", "retry_after_s"), [(429, 1), (418, 120)])
async def test_row_62_a_rate_limited_venue_receives_no_requests(
    tasks: TaskGroup, status: int, retry_after_s: int
) -> None:
    """Clock patrol, listings and book probes share one hold: until it ends no request is sent,
    however many are made; the other venue is not affected.
    """
    simulator = await tasks.start(Simulator(SimulatorConfig(symbols=SYMBOLS), CLOCK).run)
    clock = ManualClock()
    async with (
        httpx2.AsyncClient(base_url=simulator.control_url, timeout=TIMEOUT_S) as control,
        BinanceExchangeInformation(simulator_endpoints(simulator), clock) as rest,
    ):

        async def left() -> int:
            """Requests that met the fault, so they had left."""
            (fault,) = (await control.get("/sim/faults")).json()["faults"]
            return int(fault["fired"])

        fault = {"on": "rest:perp", "do": f"status:{status}", "times": 1_000}
        (await control.post("/sim/faults", json=fault)).raise_for_status()
        patrol = PatrolClock(Venue.PERP, rest, clock, PATROL_MS)
        await patrol.measure()
        assert await left() == 1
        for ask in (
            rest.listings(Venue.PERP),
            rest.top_of_book(BTC),
            rest.server_time_ms(Venue.PERP),
        ):
            with pytest.raises(ExchangeUnavailableError):
                await ask
        assert await left() == 1
        assert await rest.server_time_ms(Venue.SPOT) > 0

        asked = 10
        for _ in range(asked):
            await clock.advance(UNSURE_RETRY_MS)
            await patrol.measure()
        assert await left() == 1 + asked * UNSURE_RETRY_MS // (retry_after_s * 1_000)
        assert patrol.read_skew().p_up == 0.0

        await control.delete("/sim/faults")
        await clock.advance(retry_after_s * 1_000)
        await patrol.measure()
        assert patrol.read_skew().p_up > 0


async def test_row_63_one_slow_time_reply_moves_nothing(tasks: TaskGroup) -> None:
    """It is executed at once and arrives late, so it looks like a clock that is behind by half."""
    simulator = await tasks.start(Simulator(SimulatorConfig(symbols=SYMBOLS), CLOCK).run)
    async with (
        httpx2.AsyncClient(base_url=simulator.control_url, timeout=TIMEOUT_S) as control,
        BinanceExchangeInformation(simulator_endpoints(simulator), CLOCK) as rest,
    ):
        patrol = PatrolClock(Venue.PERP, rest, CLOCK, PATROL_MS)
        await patrol.measure()
        before = patrol.offset()
        fault = {"on": "GET /fapi/v1/time", "do": f"execute-then-delay:{SLOW_MS}"}
        (await control.post("/sim/faults", json=fault)).raise_for_status()
        await patrol.measure()
        (armed,) = (await control.get("/sim/faults")).json()["faults"]
        after = patrol.offset()

    assert armed["fired"] == 1
    assert before is not None
    assert after is not None
    assert not after.contradicts(before)
    assert after.bound_ms < before.bound_ms + SLOW_MS / 4


class Exchange(MemoryExchangeInformation):
    """A venue whose clock is independent of the local one: ahead, and faster by *drift*."""

    def __init__(self, clock: ManualClock, drift: float = 0.0) -> None:
        super().__init__(clock)
        self._manual = clock
        self._drift = drift

    def time_ms(self) -> int:
        return START + AHEAD_MS + round(self._manual.monotonic_ms() * (1 + self._drift))

    async def server_time_ms(self, venue: Venue) -> int:  # noqa: ARG002 (one clock for both)
        return self.time_ms()


def message(update_id: int, event_ms: int) -> bytes:
    return (
        b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":%d,"E":%d,"T":1,'
        b'"s":"BTCUSDT","b":"100.1","B":"2","a":"100.3","A":"3","st":1}}' % (update_id, event_ms)
    )


class FrameFeed(ScriptedMarketFeed):
    """A feed whose frames are decoded and aligned like those of the real one."""

    def __init__(self, patrol: PatrolClock, clock: ManualClock) -> None:
        super().__init__(Venue.PERP)
        streams = [BookStream(BTC, Channel.BOOK_TICKER)]
        self.frames = BookFrames(streams, self.counters, window=WINDOW)
        self._windows = WindowDrain(
            Venue.PERP,
            WINDOW,
            self.counters,
            clock=clock,
            clock_offset=patrol.offset,
            listener=lambda _: None,
        )
        self._windows.serve(streams)

    def drain(self, *, unfinished: bool = False) -> list[Quote]:
        return self._windows.drain([self.frames], unfinished=unfinished)


class ContinueIds(AdmitAll):
    """Ids go on after the last one of the stream, as in the service."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self._ids = StreamIds(WINDOW)
        self._ids.begin(clock.now_ms())
        self._ids.seed(BTC, None, clock.now_ms())

    def admit(self, quotes: Sequence[Quote]) -> Sequence[Quote]:
        admitted, unseeded = self._ids.assign(quotes, self._clock.now_ms())
        assert not unseeded
        return admitted


class Consumer(MemoryQuotePublisher):
    """Records the error of each quote's time at the moment of publishing."""

    def __init__(self, clock: ManualClock, heard_ms: dict[int, float]) -> None:
        super().__init__(MemoryQuoteStreams(maxlen=100), WindowMs(1000))
        self.quotes: list[Quote] = []
        self.errors_ms: list[float] = []
        self._clock = clock
        self._heard_ms = heard_ms

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        for quote in quotes:
            age_ms = self._clock.monotonic_ms() - self._heard_ms[quote.update_id]
            self.errors_ms.append(quote.ts - (self._clock.now_ms() - age_ms))
        self.quotes += quotes
        return await super().publish(quotes)


@pytest.mark.parametrize("step_ms", [-HOUR_MS, HOUR_MS])
async def test_row_63_a_stepped_clock_loses_no_window_and_publishes_no_wrong_time(
    tasks: TaskGroup, step_ms: int
) -> None:
    """Windows are timed by the monotonic clock, and each published time is right by our clock as it
    is when it is published; at most the frame in hand at the step is given up, and counted.
    """
    clock, heard_ms = ManualClock(START), dict[int, float]()
    exchange = Exchange(clock)
    patrol = PatrolClock(Venue.PERP, exchange, clock, PATROL_MS)
    feed, consumer = FrameFeed(patrol, clock), Consumer(clock, heard_ms)
    publishing = PublishQuotes(
        [feed],
        consumer,
        QuoteBoard(),
        clock=clock,
        window=WINDOW,
        admission=ContinueIds(clock),
        observe_latency=lambda _: None,
    )
    await patrol.measure()
    tasks.start_soon(patrol.run)
    tasks.start_soon(publishing.run)
    await settle()

    ticks, stepped_at = 80, 35
    for number in range(1, ticks + 1):
        await clock.advance(100)
        heard_ms[number] = clock.monotonic_ms()
        feed.frames.put(message(number, exchange.time_ms()), clock.now_ms())
        if number == stepped_at:
            clock.step_wall_clock(step_ms)
    await clock.advance(100)

    assert set(consumer.errors_ms) == {0}
    assert publishing.counters.windows == ticks // 10
    dropped = feed.counters.dropped
    assert len(consumer.quotes) == ticks // 10 - sum(dropped.values())
    assert dropped.keys() <= {"future_event_time"}
    assert sum(dropped.values()) <= 1
    ids = [quote.update_id for quote in consumer.quotes]
    assert ids == sorted(ids)
    for stepped in (False, True):
        # `ts` starts again after a step back.
        check_alone([q for q in consumer.quotes if (q.update_id > stepped_at) is stepped])
    offset = patrol.offset()
    assert offset is not None
    assert offset.offset_ms == AHEAD_MS - step_ms


@pytest.mark.parametrize("drift", [1 / 30, -1 / 30], ids=["+2 s/min", "-2 s/min"])
async def test_row_63_alignment_follows_a_drifting_clock_with_each_patrol(drift: float) -> None:
    """A time is wrong by the drift since the last measurement, and never by more."""
    clock = ManualClock(START)
    exchange = Exchange(clock, drift)
    patrol = PatrolClock(Venue.PERP, exchange, clock, PATROL_MS)
    stream = BookStream(BTC, Channel.BOOK_TICKER)
    for second in range(300):
        if second % (PATROL_MS // 1_000) == 0:
            await patrol.measure()
            probed_ms = clock.monotonic_ms()
        offset = patrol.offset()
        assert offset is not None
        quote = stream.decode(message(second, exchange.time_ms()), clock.now_ms(), offset.offset_ms)
        assert isinstance(quote, Quote)
        drifted_ms = (clock.monotonic_ms() - probed_ms) * drift
        assert quote.lag_ms is not None
        assert abs(quote.lag_ms + drifted_ms) <= 1
        assert quote.ts == clock.now_ms() - max(0, quote.lag_ms)
        await clock.advance(1_000)

    offset = patrol.offset()
    assert offset is not None
    assert abs(offset.offset_ms - AHEAD_MS - 270_000 * drift) <= 1
