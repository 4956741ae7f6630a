"""Drains the frames of a feed window by window, on a local clock that may step."""

from collections.abc import Callable, Mapping, Sequence

from chimera_s1.adapters.binance.streams.book_frames import BookFrames, BookStream, drain_quotes
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.window_progress import WindowProgress
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import ClockStepped, FeedCounters, FeedListener

PAUSE_MS = 100
"""Where reading the clocks takes longer, the process was paused between two readings."""


class WindowDrain:
    """What a feed has drained: windows, receive times and `ts` never go back.

    Args:
        clock_offset: Exchange minus local clock now; None while it is not known.
        listener: Called where the local clock has stepped back.
        on_clock_suspect: Called after a drain with event times that did not fit the offset.
    """

    def __init__(
        self,
        venue: Venue,
        window: WindowMs,
        counters: FeedCounters,
        *,
        clock: Clock,
        clock_offset: Callable[[], ClockOffset | None],
        listener: FeedListener,
        on_clock_suspect: Callable[[], None] = lambda: None,
    ) -> None:
        self._venue = venue
        self._window = window
        self._counters = counters
        self._clock = clock
        self._clock_offset = clock_offset
        self._listener = listener
        self._on_clock_suspect = on_clock_suspect
        self._progress = WindowProgress(window)
        self._streams: tuple[BookStream, ...] = ()
        self._seeds: dict[InstrumentId, int] = {}
        self._reported_term: int | None = None

    def serve(self, streams: Sequence[BookStream]) -> None:
        """Drain *streams* from now on, and forget all others."""
        self._streams = tuple(streams)
        served = {stream.instrument for stream in streams}
        self._seeds = {each: ts for each, ts in self._seeds.items() if each in served}
        self._seed_streams()

    def seed(self, last_ts: Mapping[InstrumentId, int], term: int | None) -> None:
        """Continue after the `ts` of each last entry of the venue; see `MarketFeed.seed`.

        One that is more than a second ahead was written by a clock that has stepped back since, or
        by another machine's: `ts` starts again.
        """
        now_ms, ahead_ms = self._clock.now_ms(), 0
        for instrument, ts in last_ts.items():
            if instrument.venue is not self._venue:
                continue
            if self._progress.seed(ts, now_ms):
                self._seeds[instrument] = ts
            else:
                ahead_ms = max(ahead_ms, ts - now_ms)
        self._seed_streams()
        if ahead_ms and term not in {None, self._reported_term}:
            self._reported_term = term
            self._listener(ClockStepped(self._venue, -ahead_ms, now_ms + ahead_ms))

    def drain(self, frames: Sequence[BookFrames], *, unfinished: bool = False) -> list[Quote]:
        """The quotes of the windows that are over; see `MarketFeed.drain`."""
        now_ms = self._follow_clock(frames)
        offset, mistimed = self._clock_offset(), self._counters.mistimed
        quotes: list[Quote] = []
        for end_ms in self._progress.ends(now_ms, unfinished=unfinished):
            quotes += drain_quotes(
                frames,
                self._counters,
                offset,
                every_update=self._window == 0,
                before_ms=end_ms,
                floor_ms=self._progress.floor_ms,
            )
            self._progress.close(end_ms)
        if self._counters.mistimed > mistimed:
            self._on_clock_suspect()
        return quotes

    def _follow_clock(self, frames: Sequence[BookFrames]) -> int:
        """The time now, epoch ms, after a step of the local clock was followed."""
        monotonic_ms = self._clock.monotonic_ms()
        now_ms = self._clock.now_ms()
        if self._clock.monotonic_ms() - monotonic_ms > PAUSE_MS:
            return now_ms
        step_ms = self._progress.find_step(now_ms, monotonic_ms)
        if step_ms:
            for stream in self._streams:
                stream.step_clock(step_ms)
        if step_ms < 0:
            for each in frames:
                each.step_clock(step_ms, now_ms)
            self._listener(ClockStepped(self._venue, step_ms, now_ms - step_ms))
        return now_ms

    def _seed_streams(self) -> None:
        for stream in self._streams:
            stream.last_ts = max(stream.last_ts, self._seeds.get(stream.instrument, 0))
