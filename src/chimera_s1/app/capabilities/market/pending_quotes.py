"""Quotes that Redis did not acknowledge: the newest of each stream, to be written again."""

from collections.abc import Collection, Sequence

from msgspec import Struct

from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote, StreamKey
from chimera_s1.domain.ports.clock import Clock

FRESH_MS = 5_000
"""Older quotes, by their receive time, are not published."""


class PublishingCounters(Struct):
    """Written by `PublishQuotes` and its parts only; see `publishing_source` for their meaning."""

    windows: int = 0
    windows_merged: int = 0
    superseded: int = 0
    withheld: int = 0
    expired: int = 0


class _PendingQuote(Struct, frozen=True):
    """*fresh_until_ms* is monotonic, so that a step of the wall clock does not extend it."""

    quote: Quote
    fresh_until_ms: float


class PendingQuotes:
    """A quote leaves it when a write has ended, never while one is under way."""

    def __init__(self, board: QuoteBoard, clock: Clock, counters: PublishingCounters) -> None:
        """Args: board: Knows the newest quote of each stream."""
        self._board = board
        self._clock = clock
        self._counters = counters
        self._pending: dict[StreamKey, _PendingQuote] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def count_with(self, quotes: Sequence[Quote]) -> int:
        """Streams with a pending quote or one of *quotes*."""
        return len(self._pending.keys() | {(quote.instrument, quote.source) for quote in quotes})

    def to_retry(self) -> list[Quote]:
        """Those without a newer quote of their stream, which may already be in flight."""
        quotes = [each.quote for each in self._pending.values()]
        return [quote for quote in quotes if self._board.is_newest(quote)]

    def drop_expired(self) -> None:
        now_ms = self._clock.monotonic_ms()
        expired = [key for key, each in self._pending.items() if each.fresh_until_ms < now_ms]
        for key in expired:
            del self._pending[key]
        self._counters.expired += len(expired)

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        """*instruments* are not served any more."""
        self._pending = {k: each for k, each in self._pending.items() if k[0] not in instruments}

    def settle(self, written: Sequence[Quote], unpublished: Sequence[Quote]) -> None:
        """After a write of *written*: *unpublished* quotes become pending or stay so, unless a
        newer one of their stream has come; others do not wait any more.
        """
        tried: dict[StreamKey, _PendingQuote] = {}
        for quote in written:
            key = quote.instrument, quote.source
            waiting = self._pending.get(key)
            if waiting and (waiting.quote is quote or not self._board.is_newest(waiting.quote)):
                tried[key] = self._pending.pop(key)
                self._counters.superseded += waiting.quote is not quote
        for quote in unpublished:
            if self._board.is_newest(quote):
                key = quote.instrument, quote.source
                earlier = tried.get(key)
                again = earlier is not None and earlier.quote is quote
                self._pending[key] = earlier if earlier and again else self._from_now(quote)
            else:
                self._counters.superseded += 1

    def _from_now(self, quote: Quote) -> _PendingQuote:
        age_ms = max(0, self._clock.now_ms() - quote.received_ms)
        return _PendingQuote(quote, self._clock.monotonic_ms() + FRESH_MS - age_ms)
