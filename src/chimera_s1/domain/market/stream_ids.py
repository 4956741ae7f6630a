"""The entry ids of quotes: ours, so that Redis refuses what is repeated or older."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Channel, InstrumentId, Venue
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote

STARTING_MS = 5_000
"""How long after reading a stream's last entry quotes may arrive that it already holds."""

REPEAT_MS = 2_000
"""How much later than its predecessor a process may receive the same update: two machines' clocks,
and a server that lags. Update ids that are smaller after that were counted from 1 again.
"""

AHEAD_MS = 1_000
"""With window 0, ids may be ahead of the clock by this much: frames of one millisecond."""

_BEFORE_ALL: Final = EntryId(0, 0)

_CHANNEL_NUMBERS: Final = {Channel.BOOK_TICKER: 0, Channel.DEPTH5: 1}
"""They are part of ids on streams: never change one, never use one twice."""


def natural_entry_id(quote: Quote, window: WindowMs) -> EntryId:
    """`<window end, ms>-<channel number>`; with window 0 `<receive ms>-<book update id>`."""
    if window == 0:
        return EntryId(quote.received_ms, quote.update_id)
    return EntryId(window_end(quote.received_ms, window), channel_number(quote.source))


def entry_id(quote: Quote, window: WindowMs) -> EntryId:
    """The id that *quote* is written with: the one assigned to it, else its natural one."""
    return quote.entry_id or natural_entry_id(quote, window)


def following_id(natural: EntryId, last: EntryId) -> EntryId:
    """*natural* if it is above *last*, else the first id above *last* that has its number."""
    if natural > last:
        return natural
    return EntryId(last.ms + (natural.number <= last.number), natural.number)


def channel_number(source: str) -> int:
    """The number of the channel in a source like `binance.spot.bookTicker`.

    Raises:
        InvalidValueError: *source* does not end in a channel.
    """
    name = source.rpartition(".")[2]
    try:
        return _CHANNEL_NUMBERS[Channel(name)]
    except ValueError:
        raise InvalidValueError(f"{source!r} does not end in a channel") from None


class LastEntry(Struct, frozen=True):
    """The newest entry of a stream, as far as ids and times are concerned; *ts* is epoch ms."""

    entry_id: EntryId
    ts: int


class StreamIds:
    """The last id of each stream, and the ids of the quotes that follow.

    A process that begins to publish reads the last entry of each stream first. Quotes that the
    streams already hold are left out, so that a new publisher repeats and reorders nothing. Where
    the last id is ahead of the clock (it was stepped back, or another one was wrong), ids continue
    1 ms after it until the clock has caught up.

    Attributes:
        repeated: Quotes left out: their window, or a newer update, is on the stream.
        ahead: Quotes whose id is ahead of the clock.
        last_ahead: The newest of these ids and its stream; None before the first.
    """

    def __init__(self, window: WindowMs, *, channels: int = 1) -> None:
        """Args: channels: Of each stream; with several, quotes are sorted by their ids."""
        self.repeated = 0
        self.ahead = 0
        self.last_ahead: tuple[InstrumentId, EntryId] | None = None
        self._window = window
        self._sorted = window > 0 and channels > 1
        self._last: dict[InstrumentId, EntryId] = {}
        self._found: dict[InstrumentId, LastEntry] = {}
        self._moved: dict[InstrumentId, EntryId] = {}  # the natural id of a last id that is ahead
        self._began_ms = 0
        self._found_ms = -STARTING_MS

    def begin(self, now_ms: int) -> None:
        """Forget all streams: another process may have written them until now."""
        self._last.clear()
        self._found.clear()
        self._moved.clear()
        self._began_ms = now_ms

    def seed(self, instrument: InstrumentId, last: LastEntry | None, now_ms: int) -> None:
        """Continue after *last*; None: the stream is empty, or cannot be read."""
        given = self._last.get(instrument, _BEFORE_ALL)
        self._last[instrument] = given if last is None else max(given, last.entry_id)
        self._moved.pop(instrument, None)
        if last is not None:
            self._found[instrument] = last
            self._found_ms = now_ms

    def is_seeded(self, instrument: InstrumentId) -> bool:
        return instrument in self._last

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        for ids in (self._last, self._found, self._moved):
            for instrument in instruments:
                ids.pop(instrument, None)
        if self.last_ahead is not None and self.last_ahead[0] in instruments:
            self.last_ahead = None

    def newest_ms(self, venue: Venue) -> int:
        """The newest id of all streams of *venue*, epoch ms; 0 if all are empty."""
        return max((last.ms for each, last in self._last.items() if each.venue is venue), default=0)

    def last_id(self, instrument: InstrumentId) -> EntryId:
        return self._last.get(instrument, _BEFORE_ALL)

    def assign(self, quotes: Sequence[Quote], now_ms: int) -> tuple[list[Quote], list[Quote]]:
        """The quotes to publish, with their ids, and those of streams that are not seeded."""
        admitted: list[Quote] = []
        unseeded: list[Quote] = []
        starting = 0 <= now_ms - self._found_ms < STARTING_MS
        last_ids = self._last
        for natural, quote in self._in_order(quotes):
            instrument = quote.instrument
            last = last_ids.get(instrument)
            if last is None:
                unseeded.append(quote)
            elif natural > last and not starting:
                last_ids[instrument] = natural
                admitted.append(quote)
                if self._moved:
                    self._moved.pop(instrument, None)
            else:
                assigned = self._following(quote, natural, last, now_ms, starting=starting)
                if assigned is None:
                    self.repeated += 1
                    continue
                last_ids[instrument] = assigned.entry_id or natural
                admitted.append(assigned)
        return admitted, unseeded

    def _in_order(self, quotes: Sequence[Quote]) -> Iterable[tuple[EntryId, Quote]]:
        """*quotes* with their natural ids; those of several channels sorted by them."""
        if self._window == 0:
            return ((EntryId(quote.received_ms, quote.update_id), quote) for quote in quotes)
        ids = self._window_ids(quotes)
        if self._sorted:
            order = sorted(range(len(quotes)), key=ids.__getitem__)
            return [(ids[position], quotes[position]) for position in order]
        return zip(ids, quotes, strict=True)

    def _window_ids(self, quotes: Iterable[Quote]) -> list[EntryId]:
        """The same as `natural_entry_id` of each, computed once for each window and source."""
        ids: list[EntryId] = []
        known: dict[str, EntryId] = {}
        start_ms = end_ms = 0
        for quote in quotes:
            if not start_ms <= quote.received_ms < end_ms:
                start_ms, end_ms = quote.received_ms, window_end(quote.received_ms, self._window)
                known = {}
            natural = known.get(quote.source)
            if natural is None:
                natural = known[quote.source] = natural_entry_id(quote, self._window)
            ids.append(natural)
        return ids

    def _following(
        self, quote: Quote, natural: EntryId, last: EntryId, now_ms: int, *, starting: bool
    ) -> Quote | None:
        """*quote* with an id above *last*; None if its stream already holds it or a newer one."""
        found = self._found.get(quote.instrument) if starting else None
        if found is not None:
            if self._window == 0 and _holds_update(found.entry_id, quote):
                return None
            if quote.ts < found.ts:
                quote = structs.replace(quote, ts=min(quote.received_ms, found.ts))
        if natural > last:
            self._moved.pop(quote.instrument, None)
            return quote
        if self._window == 0:
            assigned = following_id(natural, last)
            return self._move(quote, natural, assigned, ahead=assigned.ms > now_ms + AHEAD_MS)
        end_ms = window_end(now_ms, self._window)
        if self._is_repeated(quote, natural, last, end_ms, starting=starting):
            return None
        return self._move(quote, natural, EntryId(last.ms + 1, natural.number), ahead=True)

    def _is_repeated(
        self, quote: Quote, natural: EntryId, last: EntryId, end_ms: int, *, starting: bool
    ) -> bool:
        """Whether the stream holds the window of *quote*, rather than an id ahead of the clock."""
        moved = self._moved.get(quote.instrument)
        if moved is not None:
            return natural == moved
        return last.ms <= end_ms or (starting and quote.received_ms < self._began_ms)

    def _move(self, quote: Quote, natural: EntryId, assigned: EntryId, *, ahead: bool) -> Quote:
        if self._window > 0:
            self._moved[quote.instrument] = natural
        if ahead:
            self.ahead += 1
            self.last_ahead = quote.instrument, assigned
        return structs.replace(quote, entry_id=assigned)


def _holds_update(last: EntryId, quote: Quote) -> bool:
    """Whether a stream whose *last* entry has the id of an update holds *quote*, or a newer one."""
    return quote.update_id <= last.number and quote.received_ms <= last.ms + REPEAT_MS
