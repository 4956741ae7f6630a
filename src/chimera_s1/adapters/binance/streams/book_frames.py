"""The newest frame of each stream, as bytes; parsed only when a window closes.

    socket -> BookFrames.put (bytes) -> drain_quotes (decode, check, align) -> Quote

One `BookStream` for each stream holds what outlives a connection (its last update id and `ts`); one
`BookFrames` for each connection holds its frames. While two connections overlap, each has its own
frames and the newest update id of both wins.

A stream has two places: the newest frame of the window that is open, and that of the windows before
it. So a frame that arrives after the end of a window never replaces the window's own, however late
the windows are drained.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from operator import itemgetter

from chimera_s1.adapters.binance.endpoints import source_name, stream_name
from chimera_s1.adapters.binance.streams.book_messages import (
    DECODE_ERRORS,
    DecodedTop,
    stream_of,
    top_decoder,
)
from chimera_s1.domain.identifiers import Channel, InstrumentId
from chimera_s1.domain.market.alignment import next_ts, to_local_ms
from chimera_s1.domain.market.conflation import WindowMs, window_end, window_start
from chimera_s1.domain.market.quote import Quote, StreamKey, book_defect
from chimera_s1.domain.market.update_id_tracker import UpdateIdTracker, UpdateRecency
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.ports.market_feed import FeedCounters

EVERY_UPDATE_MAX = 100_000
"""Frames kept between two drains with window 0; then only the newest of each stream."""

EVENT_AGE_MAX_MS = 86_400_000
"""Binance cuts a socket after 24 h, so an event time older than this is not a time."""

LATE_SUSPECT_MS = 1_000
FUTURE_SUSPECT_MS = 100
"""An event time that is earlier or later than the receipt by more than this, and by more than the
offset's error, makes the offset suspect.
"""

FRAME_BYTES_MAX = 65_536
"""Far above every book message; a longer one is dropped unparsed."""

JAVA_LONG_MAX = 2**63 - 1
"""Update ids and times are Java longs; JSON may hold larger numbers, which are malformed."""

_FOR_EVER = 2**63

_PREFIX = b'{"stream":"'
_NAME_AT = len(_PREFIX)


class BookStream:
    """One subscribed book stream: its decoder, its last update id and its last `ts`."""

    __slots__ = ("_decode", "instrument", "key", "last_ts", "name", "order", "source")

    def __init__(
        self, instrument: InstrumentId, channel: Channel, *, replayed: bool = False
    ) -> None:
        self.instrument = instrument
        self.name = stream_name(instrument, channel)
        self.source = source_name(instrument.venue, channel, replayed=replayed)
        self.key: StreamKey = (instrument, self.source)
        self.order = UpdateIdTracker()
        self.last_ts = 0
        self._decode = top_decoder(instrument.venue, channel)

    def decode(self, payload: bytes, received_ms: int, offset_ms: float | None) -> Quote | str:
        """The quote in a message of this stream, or the reason why it is dropped.

        *received_ms* is local epoch ms, *offset_ms* the exchange's clock minus the local one; None
        where it is not known.
        """
        try:
            top = self._decode(payload)
        except DECODE_ERRORS:
            return "malformed"
        reason = self._drop_reason(top)
        if reason is not None:
            return reason
        lag_ms = _lag_ms(top, received_ms, offset_ms)
        if self.order.observe(top.update_id, received_ms) is UpdateRecency.NOT_NEWER:
            return "stale_update_id"
        self.last_ts = ts = next_ts(self.last_ts, received_ms, lag_ms)
        return Quote(
            self.instrument,
            ts,
            top.bid,
            top.bid_qty,
            top.ask,
            top.ask_qty,
            self.source,
            top.update_id,
            received_ms,
            lag_ms,
        )

    def step_clock(self, step_ms: int) -> None:
        """The local clock has stepped: move the times that are kept."""
        self.order.step_clock(step_ms)
        self.last_ts += min(0, step_ms)

    def _drop_reason(self, top: DecodedTop) -> str | None:
        if top.update_id > JAVA_LONG_MAX or (top.event_ms or 0) > JAVA_LONG_MAX:
            return "malformed"
        if top.coin_margined:
            return "coin_m"
        if top.symbol and top.symbol != self.instrument.symbol:
            return "wrong_symbol"
        defect = book_defect(top.bid, top.bid_qty, top.ask, top.ask_qty)
        return None if defect is None else defect.value


def _lag_ms(top: DecodedTop, received_ms: int, offset_ms: float | None) -> int | None:
    """See `Quote.lag_ms`. Spot book tickers have no event time: their lag is unknown."""
    if top.event_ms is None or offset_ms is None:
        return None
    lag_ms = received_ms - to_local_ms(top.event_ms, offset_ms)
    return lag_ms if lag_ms <= EVENT_AGE_MAX_MS else None


_Frame = tuple[BookStream, bytes, int]
_received_ms = itemgetter(2)


class _LatestFrame:
    """The newest frame of a stream, and that of the windows before its window; *before* is None
    where *payload* is.
    """

    __slots__ = ("before", "before_ms", "payload", "received_ms", "stream")

    def __init__(self, stream: BookStream) -> None:
        self.stream = stream
        self.payload: bytes | None = None
        self.received_ms = 0
        self.before: bytes | None = None
        self.before_ms = 0


class BookFrames:
    """The frames of one connection. `put` is the hot path: it reads the stream's name only."""

    def __init__(
        self, streams: Iterable[BookStream], counters: FeedCounters, *, window: WindowMs
    ) -> None:
        self._latest = {stream.name.encode(): _LatestFrame(stream) for stream in streams}
        self._removed: set[bytes] = set()
        self._counters = counters
        self._last_taken_ms = 0
        self._window = window
        self._start_ms = self._end_ms = 0  # of the window of the newest frame
        self._all_updates: deque[_Frame] | None = deque() if window == 0 else None

    def put(self, payload: bytes, received_ms: int) -> bool:
        """Keep a data message; False where it belongs to none of these streams."""
        slot = self._latest.get(payload[_NAME_AT : payload.find(b'"', _NAME_AT)])
        if slot is None:
            name = stream_of(payload)
            slot = self._latest.get(name)
            if slot is None:
                return name in self._removed and self._drop_removed(payload)
        counters = self._counters
        size = len(payload)
        counters.messages += 1
        counters.bytes += size
        if size > FRAME_BYTES_MAX:
            self._last_taken_ms = received_ms
            counters.refuse(slot.stream.key, "oversized")
            return True
        if self._all_updates is not None and len(self._all_updates) < EVERY_UPDATE_MAX:
            self._all_updates.append((slot.stream, payload, received_ms))
            return True
        if received_ms >= self._end_ms:
            self._start_ms = window_start(received_ms, self._window)
            self._end_ms = window_end(received_ms, self._window)
        if slot.payload is not None:
            if slot.received_ms < self._start_ms:
                counters.conflated += slot.before is not None
                slot.before, slot.before_ms = slot.payload, slot.received_ms
            else:
                counters.conflated += 1
        slot.payload = payload
        slot.received_ms = received_ms
        return True

    def change(self, add: Iterable[BookStream], remove: Iterable[BookStream]) -> None:
        """Take the frames of *add*, too, and drop those of *remove*: until the venue has
        unsubscribed them they still arrive.
        """
        for stream in remove:
            name = stream.name.encode()
            slot = self._latest.pop(name, None)
            if slot is not None:
                self._removed.add(name)
                self._last_taken_ms = max(self._last_taken_ms, slot.received_ms)
                unread = (slot.payload is not None) + (slot.before is not None)
                self._counters.drop("unsubscribed", unread)
        if self._all_updates:
            kept = [frame for frame in self._all_updates if frame[0].name.encode() in self._latest]
            self._counters.drop("unsubscribed", len(self._all_updates) - len(kept))
            self._all_updates.clear()
            self._all_updates.extend(kept)
        for stream in add:
            name = stream.name.encode()
            self._removed.discard(name)
            self._latest[name] = _LatestFrame(stream)

    def _drop_removed(self, payload: bytes) -> bool:
        self._counters.messages += 1
        self._counters.bytes += len(payload)
        self._counters.drop("unsubscribed")
        return True

    @property
    def is_empty(self) -> bool:
        return not self._all_updates and all(slot.payload is None for slot in self._latest.values())

    def take(self, before_ms: int) -> list[_Frame]:
        """Frames received before *before_ms* since the last call, oldest first within a stream:
        stream, bytes, receive ms. With a window, only the newest of each stream.
        """
        taken: list[_Frame] = []
        if self._all_updates:
            taken.extend(self._all_updates)
            self._all_updates.clear()
            self._last_taken_ms = taken[-1][2]
        for slot in self._latest.values():
            if slot.payload is None:
                continue
            if slot.received_ms < before_ms:
                taken.append((slot.stream, slot.payload, slot.received_ms))
                self._counters.conflated += slot.before is not None
                slot.payload = slot.before = None
            elif slot.before is not None and slot.before_ms < before_ms:
                taken.append((slot.stream, slot.before, slot.before_ms))
                slot.before = None
        return taken

    @property
    def last_message_ms(self) -> int:
        """Receive time of the newest frame, valid or not, taken or not, epoch ms; 0 before the
        first.
        """
        newest_ms = max((slot.received_ms for slot in self._latest.values()), default=0)
        if self._all_updates:
            newest_ms = max(newest_ms, self._all_updates[-1][2])
        return max(newest_ms, self._last_taken_ms)

    def step_clock(self, step_ms: int, now_ms: int) -> None:
        """The local clock has stepped back to *now_ms*: move the frames that it received before."""
        self._start_ms = self._end_ms = 0
        self._last_taken_ms += step_ms * (self._last_taken_ms > now_ms)
        for slot in self._latest.values():
            slot.received_ms += step_ms * (slot.received_ms > now_ms)
            slot.before_ms += step_ms * (slot.before_ms > now_ms)
        if self._all_updates:
            moved = [
                (stream, payload, at_ms + step_ms * (at_ms > now_ms))
                for stream, payload, at_ms in self._all_updates
            ]
            self._all_updates.clear()
            self._all_updates.extend(moved)


def drain_quotes(
    frames: Sequence[BookFrames],
    counters: FeedCounters,
    offset: ClockOffset | None,
    *,
    every_update: bool,
    before_ms: int = _FOR_EVER,
    floor_ms: int = 0,
) -> list[Quote]:
    """The quotes in *frames*; with a window only that of each stream's newest update id.

    Frames received at or after *before_ms* stay, unless *every_update*. A frame counts as received
    at *floor_ms* at the earliest.
    """
    taken = [frame for each in frames for frame in each.take(before_ms)]
    if every_update and len(frames) > 1:
        taken.sort(key=_received_ms)  # or two sockets that overlap would take turns
    offset_ms, bound_ms = (None, 0.0) if offset is None else (offset.offset_ms, offset.bound_ms)
    late_ms, future_ms = LATE_SUSPECT_MS + bound_ms, -FUTURE_SUSPECT_MS - bound_ms
    quotes: list[Quote] = []
    newest: dict[BookStream, int] = {}
    for stream, payload, received_ms in taken:
        quote = stream.decode(payload, max(received_ms, floor_ms), offset_ms)
        if isinstance(quote, str):
            counters.refuse(stream.key, quote)
            continue
        if quote.lag_ms is not None and not future_ms <= quote.lag_ms <= late_ms:
            counters.mistimed += 1
            counters.future_event_times += quote.lag_ms < 0
        if every_update or stream not in newest:
            newest[stream] = len(quotes)
            quotes.append(quote)
        else:
            # A second connection had a newer one.
            counters.conflated += 1
            quotes[newest[stream]] = quote
    counters.drained += len(quotes)
    return quotes
