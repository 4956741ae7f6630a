"""The newest published quotes in memory, to read or to subscribe to."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from msgspec import Struct

from chimera_s1.app.capabilities.market.stream_limit import StreamLimit
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.quote import Quote

_Key = tuple[InstrumentId, str]

WITHDRAWN_MAX = 1_000


class BoardClosedError(ChimeraError):
    """The service is stopping."""

    code = "service.stopping"


class QuoteFilter(Struct, frozen=True):
    """Selects quotes; None and an empty set select all."""

    venue: Venue | None = None
    symbols: frozenset[Symbol] = frozenset()

    def matches(self, instrument: InstrumentId) -> bool:
        return (self.venue is None or instrument.venue is self.venue) and (
            not self.symbols or instrument.symbol in self.symbols
        )


class PostedQuote(Struct, frozen=True, gc=False):
    """A published quote; *number* counts the quotes of the board from 1."""

    number: int
    quote: Quote


class Unread(Struct, frozen=True):
    """What a reader has not read: quotes as they were posted, and instruments whose status has
    changed.
    """

    quotes: tuple[PostedQuote, ...]
    changed: tuple[InstrumentId, ...] = ()


class QuoteSubscription:
    """The newest unread quote of each instrument and source, for one reader.

    Iterate over it for what is unread, never nothing; the iteration ends when the board closes. A
    slow reader misses quotes that were replaced by newer ones.
    """

    def __init__(self, chosen: QuoteFilter, posted: Iterable[PostedQuote], actor: str = "") -> None:
        self.actor = actor
        self._chosen = chosen
        self._unread: dict[_Key, PostedQuote] = {}
        self._changed: dict[InstrumentId, None] = {}
        self._changes = ChangeSignal()
        self._version_read = 0
        self._closed = False
        self.replaced = 0
        """Quotes replaced by a newer one before they were read."""
        for entry in posted:
            self.put(entry)

    @property
    def pending(self) -> int:
        """Unread quotes; at most one of each instrument and source."""
        return len(self._unread)

    def put(self, entry: PostedQuote) -> None:
        """Add *entry* if the filter matches; it replaces an unread quote of its stream."""
        if not self._chosen.matches(entry.quote.instrument):
            return
        key = _key(entry.quote)
        # Removed first: the new entry goes to the end, so that numbers grow within a batch.
        if self._unread.pop(key, None) is not None:
            self.replaced += 1
        self._unread[key] = entry
        self._changes.notify()

    def put_changed(self, instrument: InstrumentId) -> None:
        """The status of *instrument* has changed."""
        if self._chosen.matches(instrument):
            self._changed[instrument] = None
            self._changes.notify()

    def close(self) -> None:
        """End the iteration and drop unread quotes."""
        self._closed = True
        self._changes.notify()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Unread:
        # Quotes are taken after the last await: cancellation loses none.
        await self._changes.next_after(self._version_read)
        if self._closed:
            raise StopAsyncIteration
        self._version_read = self._changes.version
        unread = Unread(tuple(self._unread.values()), tuple(self._changed))
        self._unread.clear()
        self._changed.clear()
        return unread


class QuoteBoard:
    """Keeps the newest published quote of each instrument and source; never waits for a reader."""

    def __init__(self, limit: StreamLimit | None = None) -> None:
        self._limit = limit or StreamLimit()
        self._posted: dict[_Key, PostedQuote] = {}
        self._keys: dict[InstrumentId, list[_Key]] = {}
        self._keys_counted = 0
        self._withdrawn: dict[InstrumentId, str] = {}
        self._subscriptions: set[QuoteSubscription] = set()
        self._number = 0
        self._replaced = 0
        self._closed = False

    @property
    def subscribers(self) -> int:
        """Number of open streams."""
        return len(self._subscriptions)

    @property
    def replaced(self) -> int:
        """Quotes that slow readers missed, over all streams since the start."""
        return self._replaced + sum(each.replaced for each in self._subscriptions)

    def post(self, quotes: Sequence[Quote]) -> None:
        """Post *quotes*, oldest first within a stream."""
        for quote in quotes:
            if self._withdrawn:
                self._withdrawn.pop(quote.instrument, None)
            self._number += 1
            entry = PostedQuote(self._number, quote)
            self._posted[_key(quote)] = entry
            for subscription in self._subscriptions:
                subscription.put(entry)

    def post_changed(self, instrument: InstrumentId) -> None:
        """Tell the readers that the status of *instrument* has changed."""
        for subscription in self._subscriptions:
            subscription.put_changed(instrument)

    def withdraw(self, instruments: Collection[InstrumentId], reason: str) -> None:
        """Remove the quotes of instruments that are gone or not served any more; the next quote of
        one brings it back. The reasons of the last `WITHDRAWN_MAX` are kept.
        """
        self._withdrawn |= dict.fromkeys(instruments, reason)
        while len(self._withdrawn) > WITHDRAWN_MAX:
            del self._withdrawn[next(iter(self._withdrawn))]
        for key in [each for each in self._posted if each[0] in instruments]:
            del self._posted[key]
            self._keys_counted = -1

    def readmit(self, instruments: Iterable[InstrumentId]) -> None:
        """*instruments* are served (again), and may wait long for their first quote."""
        for instrument in instruments:
            self._withdrawn.pop(instrument, None)

    def why_withdrawn(self, instrument: InstrumentId) -> str | None:
        return self._withdrawn.get(instrument)

    def is_newest(self, quote: Quote) -> bool:
        """Whether no other quote of its instrument and source was posted after *quote*."""
        held = self._posted.get(_key(quote))
        return held is not None and held.quote is quote

    def newest(self, instrument: InstrumentId) -> Quote | None:
        """The newest quote of *instrument* over all sources, by `ts`."""
        quotes = [self._posted[key].quote for key in self._keys_of(instrument)]
        if len(quotes) == 1:
            return quotes[0]
        return max(quotes, key=lambda quote: quote.ts, default=None)

    def _keys_of(self, instrument: InstrumentId) -> Sequence[_Key]:
        """Counted again after a new stream or a withdrawal only: `post` is the hot path."""
        if self._keys_counted != len(self._posted):
            self._keys = {}
            for key in sorted(self._posted):
                self._keys.setdefault(key[0], []).append(key)
            self._keys_counted = len(self._posted)
        return self._keys.get(instrument, ())

    def newest_matching(self, chosen: QuoteFilter) -> tuple[Quote, ...]:
        """The newest quotes that match *chosen*, sorted by instrument and source."""
        wanted = [entry.quote for entry in self._posted.values() if _matches(chosen, entry)]
        return tuple(sorted(wanted, key=_key))

    @asynccontextmanager
    async def subscribe(
        self, quote_filter: QuoteFilter, actor: str = ""
    ) -> AsyncIterator[QuoteSubscription]:
        """The newest quotes now, then new ones as they are posted.

        Raises:
            TooManyOfActorError, TooManySubscribersError: See `StreamLimit`.
            BoardClosedError: The service is stopping.
        """
        if self._closed:
            raise BoardClosedError("the service is stopping; connect again in a few seconds")
        self._limit.check(Counter(each.actor for each in self._subscriptions), actor)
        in_order = sorted(self._posted.values(), key=lambda entry: entry.number)
        subscription = QuoteSubscription(quote_filter, in_order, actor)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            self._replaced += subscription.replaced

    def close(self) -> None:
        """End all streams and refuse new ones; `newest` still works."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()


def _key(quote: Quote) -> _Key:
    return quote.instrument, quote.source


def _matches(chosen: QuoteFilter, entry: PostedQuote) -> bool:
    return chosen.matches(entry.quote.instrument)
