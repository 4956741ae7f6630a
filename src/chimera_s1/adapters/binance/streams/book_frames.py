"""The newest frame of each stream, as bytes; parsed only when a window closes.

    socket -> BookFrames.put (bytes) -> drain_quotes (decode, check, align) -> Quote

One `BookStream` for each stream holds what outlives a connection (its last update id); one
`BookFrames` for each connection holds its frames. While two connections overlap, each has its own
frames and the newest update id of both wins.
"""

from collections import deque
from collections.abc import Iterable

from chimera_s1.adapters.binance.endpoints import source_name, stream_name
from chimera_s1.adapters.binance.streams.book_messages import (
    DECODE_ERRORS,
    DecodedTop,
    stream_of,
    top_decoder,
)
from chimera_s1.domain.identifiers import Channel, InstrumentId
from chimera_s1.domain.market.alignment import to_local_ms
from chimera_s1.domain.market.quote import Quote, book_defect
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

_PREFIX = b'{"stream":"'
_NAME_AT = len(_PREFIX)


class BookStream:
    """One subscribed book stream: its decoder and its last update id."""

    __slots__ = ("_decode", "instrument", "name", "order", "source")

    def __init__(
        self, instrument: InstrumentId, channel: Channel, *, replayed: bool = False
    ) -> None:
        self.instrument = instrument
        self.name = stream_name(instrument, channel)
        self.source = source_name(instrument.venue, channel, replayed=replayed)
        self.order = UpdateIdTracker()
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
        return Quote(
            self.instrument,
            received_ms - max(0, lag_ms or 0),
            top.bid,
            top.bid_qty,
            top.ask,
            top.ask_qty,
            self.source,
            top.update_id,
            received_ms,
            lag_ms,
        )

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


class _LatestFrame:
    __slots__ = ("payload", "received_ms", "stream")

    def __init__(self, stream: BookStream) -> None:
        self.stream = stream
        self.payload: bytes | None = None
        self.received_ms = 0


class BookFrames:
    """The frames of one connection. `put` is the hot path: it reads the stream's name only.

    Attributes:
        last_message_ms: Receive time of the newest frame taken, valid or not, epoch ms; 0 before
            the first.
    """

    def __init__(
        self, streams: Iterable[BookStream], counters: FeedCounters, *, every_update: bool
    ) -> None:
        self._latest = {stream.name.encode(): _LatestFrame(stream) for stream in streams}
        self._counters = counters
        self.last_message_ms = 0
        self._all_updates: deque[tuple[BookStream, bytes, int]] | None = (
            deque() if every_update else None
        )

    def put(self, payload: bytes, received_ms: int) -> bool:
        """Keep a data message; False where it belongs to none of these streams."""
        slot = self._latest.get(payload[_NAME_AT : payload.find(b'"', _NAME_AT)])
        if slot is None:
            slot = self._latest.get(stream_of(payload))
        if slot is None:
            return False
        counters = self._counters
        size = len(payload)
        counters.messages += 1
        counters.bytes += size
        if size > FRAME_BYTES_MAX:
            counters.drop("oversized")
            return True
        if self._all_updates is not None and len(self._all_updates) < EVERY_UPDATE_MAX:
            self._all_updates.append((slot.stream, payload, received_ms))
            return True
        if slot.payload is not None:
            counters.conflated += 1
        slot.payload = payload
        slot.received_ms = received_ms
        return True

    def take(self) -> list[tuple[BookStream, bytes, int]]:
        """Frames since the last call, oldest first within a stream: stream, bytes, receive ms."""
        taken: list[tuple[BookStream, bytes, int]] = []
        if self._all_updates:
            taken.extend(self._all_updates)
            self._all_updates.clear()
        for slot in self._latest.values():
            if slot.payload is not None:
                taken.append((slot.stream, slot.payload, slot.received_ms))
                slot.payload = None
        if taken:
            self.last_message_ms = max(received_ms for _, _, received_ms in taken)
        return taken


def drain_quotes(
    frames: Iterable[BookFrames],
    counters: FeedCounters,
    offset: ClockOffset | None,
    *,
    every_update: bool,
) -> list[Quote]:
    """The quotes in *frames*; with a window only that of each stream's newest update id."""
    offset_ms, bound_ms = (None, 0.0) if offset is None else (offset.offset_ms, offset.bound_ms)
    late_ms, future_ms = LATE_SUSPECT_MS + bound_ms, -FUTURE_SUSPECT_MS - bound_ms
    quotes: list[Quote] = []
    newest: dict[BookStream, int] = {}
    for each in frames:
        for stream, payload, received_ms in each.take():
            quote = stream.decode(payload, received_ms, offset_ms)
            if isinstance(quote, str):
                counters.drop(quote)
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
