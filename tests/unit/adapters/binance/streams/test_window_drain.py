"""Draining late, over overlapping sockets and clock steps: no window twice, no time goes back."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.streams.book_frames import BookFrames, BookStream
from chimera_s1.adapters.binance.streams.window_drain import PAUSE_MS, WindowDrain
from chimera_s1.domain.identifiers import Channel, InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.window_progress import CLOCK_STEP_MS
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.ports.market_feed import ClockStepped, FeedCounters, FeedEvent

BTC = InstrumentId(Venue.PERP, Symbol("BTCUSDT"))
START_MS = 1_772_514_460_000


class SteppingClock:
    """A wall and a monotonic clock of whole milliseconds; *reading_ms* is what a reading takes."""

    def __init__(self) -> None:
        self.wall_ms = START_MS
        self.elapsed_ms = 0
        self.reading_ms = 0

    def now_ms(self) -> int:
        self.pass_time(self.reading_ms)
        return self.wall_ms

    def monotonic_ms(self) -> float:
        return float(self.elapsed_ms)

    async def sleep_ms(self, duration_ms: float) -> None:
        raise NotImplementedError

    def pass_time(self, duration_ms: int) -> None:
        self.wall_ms += duration_ms
        self.elapsed_ms += duration_ms


class Feed:
    """One stream on two sockets; the exchange's clock and what we know of it are set freely."""

    def __init__(self, window: int) -> None:
        self.clock = SteppingClock()
        self.counters = FeedCounters()
        self.offset: ClockOffset | None = None
        self.exchange_ahead_ms = 0
        self.events: list[ClockStepped] = []
        self.update_id = 0
        self.window = WindowMs(window)
        stream = BookStream(BTC, Channel.BOOK_TICKER)
        self.sockets = [BookFrames([stream], self.counters, window=self.window) for _ in "ab"]
        self.drains = WindowDrain(
            Venue.PERP,
            self.window,
            self.counters,
            clock=self.clock,
            clock_offset=lambda: self.offset,
            listener=self._listen,
        )
        self.drains.serve([stream])

    def _listen(self, event: FeedEvent) -> None:
        assert isinstance(event, ClockStepped)
        self.events.append(event)

    def receive(self, socket: int = 0) -> None:
        self.update_id += 1
        event_ms = START_MS + self.clock.elapsed_ms + self.exchange_ahead_ms
        payload = (
            b'{"stream":"btcusdt@bookTicker","data":{"u":%d,"E":%d,"s":"BTCUSDT",'
            b'"b":"1","B":"2","a":"3","A":"4"}}' % (self.update_id, event_ms)
        )
        assert self.sockets[socket].put(payload, self.clock.wall_ms)

    def drain(self, *, unfinished: bool = False) -> list[Quote]:
        return self.drains.drain(self.sockets, unfinished=unfinished)


def check_order(quotes: Iterable[Quote], window: WindowMs) -> None:
    """One quote a window, and neither update ids nor times go back."""
    for old, new in pairwise(quotes):
        assert new.update_id > old.update_id
        assert new.received_ms >= old.received_ms
        assert new.ts >= old.ts
        if window:
            assert window_end(new.received_ms, window) > window_end(old.received_ms, window)


small_steps = st.integers(-CLOCK_STEP_MS, 3_600_000)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.one_of(st.integers(0, 120), st.integers(0, 3_000))),
        st.tuples(st.just("receive"), st.integers(0, 1)),
        st.tuples(st.just("drain"), st.just(0)),
        st.tuples(st.just("step"), small_steps),
        st.tuples(st.just("exchange"), st.integers(-5_000, 5_000)),
        st.tuples(st.just("offset"), st.integers(-5_000, 5_000)),
    ),
    max_size=80,
)
windows = st.sampled_from([0, 50, 100, 300, 999, 1_000])


def act(feed: Feed, action: str, value: int) -> list[Quote]:
    if action == "wait":
        feed.clock.pass_time(value)
    elif action == "receive":
        feed.receive(value)
    elif action == "step":
        quotes = feed.drain()  # or two small steps would be a large one
        feed.clock.wall_ms += value
        return quotes + feed.drain()
    elif action == "exchange":
        feed.exchange_ahead_ms = value
    elif action == "offset":
        feed.offset = ClockOffset(float(value), 0.0)
    else:
        return feed.drain()
    return []


@given(windows, actions)
def test_no_window_is_published_twice_and_no_time_goes_back(
    window: int, steps: list[tuple[str, int]]
) -> None:
    """However late the loop wakes up, whatever the exchange's clock does, and while ours steps
    forward or at most a second back.
    """
    feed = Feed(window)
    quotes = [quote for step in steps for quote in act(feed, *step)]

    check_order(quotes, feed.window)
    assert all(quote.ts <= quote.received_ms for quote in quotes)
    assert feed.events == []

    # What was received last is published once its window is over.
    feed.receive()
    feed.clock.pass_time(10_000 + CLOCK_STEP_MS * len(steps))
    quotes += feed.drain()
    check_order(quotes, feed.window)
    assert quotes[-1].update_id == feed.update_id
    assert feed.counters.dropped.keys() <= {"stale_update_id"}


BACK_OVER_AN_EDGE = [("receive", 0), ("step", -1), ("receive", 0), ("receive", 0)]
"""The last two frames are of the window before that of the first one."""


@given(windows, actions, st.integers(CLOCK_STEP_MS + 1, 3_600_000), actions)
@example(50, BACK_OVER_AN_EDGE, 1_001, [("step", 2)])
@example(50, [*BACK_OVER_AN_EDGE[:3], ("step", -1), ("receive", 0)], 1_001, [("step", 3)])
def test_a_larger_step_back_starts_the_times_again(
    window: int, before: list[tuple[str, int]], back_ms: int, after: list[tuple[str, int]]
) -> None:
    feed = Feed(window)
    feed.drain()
    quotes = [quote for step in before for quote in act(feed, *step)]
    quotes += feed.drain()
    feed.clock.wall_ms -= back_ms
    quotes = feed.drain()
    assert [event.step_ms for event in feed.events] == [-back_ms]
    assert feed.events[0].before_ms == feed.clock.wall_ms + back_ms

    quotes += [quote for step in after for quote in act(feed, *step)]
    check_order(quotes, feed.window)
    assert all(quote.ts <= quote.received_ms for quote in quotes)
    assert len(feed.events) == 1


def test_a_frame_in_hand_is_moved_into_the_time_after_a_step_back() -> None:
    """It was received by the clock before the step; published as it is, it would be from the
    future.
    """
    feed = Feed(1_000)
    feed.offset = ClockOffset(0.0, 0.0)
    feed.drain()
    feed.clock.pass_time(900)
    feed.receive()
    feed.clock.pass_time(50)
    feed.clock.wall_ms -= 3_600_000
    feed.offset = ClockOffset(3_600_000.0, 0.0)
    feed.clock.pass_time(100)
    (quote,) = feed.drain()

    assert quote.received_ms == quote.ts == START_MS + 900 - 3_600_000


@pytest.mark.parametrize("late_ms", [0, 1, 250, 999])
def test_a_frame_after_the_boundary_waits_for_its_own_window(late_ms: int) -> None:
    """It neither replaces the frame of the window that is over nor is published with it."""
    feed = Feed(1_000)
    feed.clock.pass_time(500)
    feed.receive()
    feed.clock.pass_time(500)
    feed.receive()
    feed.clock.pass_time(late_ms)
    feed.receive()
    assert [quote.update_id for quote in feed.drain()] == [1]
    assert feed.drain() == []

    feed.clock.pass_time(1_000)
    assert [quote.update_id for quote in feed.drain()] == [3]
    assert feed.counters.conflated == 1


def test_windows_that_are_drained_late_are_merged() -> None:
    feed = Feed(1_000)
    for _ in range(4):
        feed.receive()
        feed.clock.pass_time(1_000)
    assert [quote.update_id for quote in feed.drain()] == [4]
    assert feed.counters.conflated == 3


def test_the_last_drain_takes_the_window_that_is_over_and_the_open_one() -> None:
    feed = Feed(1_000)
    feed.receive()
    feed.clock.pass_time(1_200)
    feed.receive()
    assert [quote.update_id for quote in feed.drain(unfinished=True)] == [1, 2]


def test_ts_goes_on_when_the_exchange_clock_steps_back() -> None:
    """It is not behind by the step until the offset is measured again."""
    feed = Feed(100)
    feed.offset = ClockOffset(0.0, 0.0)
    feed.clock.pass_time(50)
    feed.receive()
    feed.clock.pass_time(100)
    (before,) = feed.drain()
    feed.exchange_ahead_ms = -800
    feed.receive()
    feed.clock.pass_time(100)
    (after,) = feed.drain()

    assert (before.ts, before.lag_ms) == (START_MS + 50, 0)
    assert (after.ts, after.lag_ms) == (before.ts, 800)


@pytest.mark.parametrize("ahead_ms", [-5_000, 0, 700, CLOCK_STEP_MS])
def test_ts_continues_after_the_last_entry_of_the_stream(ahead_ms: int) -> None:
    """It was written before a restart, or by another machine whose clock is ahead of ours."""
    feed = Feed(100)
    last_ts = START_MS + ahead_ms
    feed.drains.seed({BTC: last_ts}, 1)
    feed.offset = ClockOffset(0.0, 0.0)
    feed.exchange_ahead_ms = -10_000
    quotes: list[Quote] = []
    for _ in range(30):
        feed.receive()
        feed.clock.pass_time(50)
        quotes += feed.drain()

    assert quotes[0].ts == last_ts
    assert quotes[0].received_ms >= last_ts
    check_order(quotes, feed.window)
    assert feed.events == []


def test_a_last_entry_far_ahead_of_the_clock_is_a_step() -> None:
    """The clock stepped back while the service was stopped: waiting for it would take an hour."""
    feed = Feed(100)
    feed.drains.seed({BTC: START_MS + 3_600_000}, 1)
    feed.receive()
    feed.clock.pass_time(100)
    (quote,) = feed.drain()

    assert quote.ts == START_MS
    assert feed.events == [ClockStepped(Venue.PERP, -3_600_000, START_MS + 3_600_000)]


def test_a_last_entry_that_is_ahead_is_reported_once_a_term() -> None:
    """And by the feed of its venue only; after a refused id it is not reported."""
    feed = Feed(100)
    spot = InstrumentId(Venue.SPOT, BTC.symbol)
    for term in (None, 1, 1, None, 2, 2):
        feed.drains.seed({spot: START_MS + 7_200_000}, term)
    assert feed.events == []
    for term in (None, 1, 1, None, 2, 2):
        feed.drains.seed({BTC: START_MS + 3_600_000}, term)

    assert feed.events == [ClockStepped(Venue.PERP, -3_600_000, START_MS + 3_600_000)] * 2


def test_a_pause_between_two_readings_is_no_step() -> None:
    feed = Feed(100)
    feed.drain()
    feed.clock.reading_ms = max(PAUSE_MS, CLOCK_STEP_MS) + 1
    feed.drain()

    assert feed.events == []
