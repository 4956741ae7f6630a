"""Replays a market data file through the live decoders.

Windows follow the receive times in the file, so the same file gives the same quotes at any speed. A
file has no clock offset: event times are used as they are, moved by the same time as the file.
"""

from collections.abc import Iterable, Iterator

from chimera_s1.adapters.binance.endpoints import stream_name
from chimera_s1.adapters.binance.streams.book_frames import BookFrames, BookStream, drain_quotes
from chimera_s1.adapters.market_file import RecordedMessage
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Channel, InstrumentId, Venue, parse_symbol
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.ports.market_feed import FeedCounters
from chimera_s1.domain.ports.recording import ReplayWindow


class BinanceRecording:
    """Implements `domain.ports.recording.Recording` on recorded messages, in file order.

    *shift_ms* is added to every time of the file.
    """

    def __init__(
        self, records: Iterable[RecordedMessage], window: WindowMs, shift_ms: int = 0
    ) -> None:
        self._records = records
        self._window = window
        self._shift_ms = shift_ms
        self._frames: dict[tuple[Venue, str], BookFrames | None] = {}
        self._counters = FeedCounters()

    @property
    def counters(self) -> FeedCounters:
        """Of the messages read so far."""
        return self._counters

    def windows(self) -> Iterator[ReplayWindow]:
        """The quotes of each non-empty window, in order of time.

        Raises:
            RecordingDamagedError: The file is damaged here.
        """
        end_ms: int | None = None
        for record in self._records:
            received_ms = record.ts + self._shift_ms
            if end_ms is not None and received_ms >= end_ms:
                yield from self._close_window(end_ms)
                end_ms = None
            if end_ms is None:
                end_ms = window_end(received_ms, self._window)
            self._put(record, received_ms)
        if end_ms is not None:
            yield from self._close_window(end_ms)

    def _put(self, record: RecordedMessage, received_ms: int) -> None:
        key = (record.venue, record.stream)
        if key not in self._frames:
            self._frames[key] = self._make_frames(*key)
        frames = self._frames[key]
        if frames is None or not frames.put(record.message, received_ms):
            self._counters.drop("not_a_book")

    def _make_frames(self, venue: Venue, name: str) -> BookFrames | None:
        stream = book_stream(venue, name)
        if stream is None:
            return None
        return BookFrames([stream], self._counters, window=self._window)

    def _close_window(self, end_ms: int) -> Iterator[ReplayWindow]:
        frames = [frames for frames in self._frames.values() if frames is not None]
        offset = ClockOffset(-self._shift_ms, 0.0)
        quotes = drain_quotes(frames, self._counters, offset, every_update=self._window == 0)
        if quotes:
            yield ReplayWindow(end_ms, tuple(quotes))


def book_stream(venue: Venue, name: str) -> BookStream | None:
    """The book stream *name* of a recording; None for any other stream."""
    symbol, _, _ = name.partition("@")
    try:
        instrument = InstrumentId(venue, parse_symbol(symbol))
    except InvalidValueError:
        return None
    for channel in Channel:
        if stream_name(instrument, channel) == name:
            return BookStream(instrument, channel, replayed=True)
    return None
