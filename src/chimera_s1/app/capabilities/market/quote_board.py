"""The newest published quotes, in memory, for readers over HTTP: as values, or as they change."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from msgspec import Struct

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.quote import Quote

SUBSCRIBERS_MAX = 64
"""Streams open at once; each costs one dictionary entry per instrument and one write per batch."""

_Key = tuple[InstrumentId, str]


class TooManySubscribersError(ChimeraError):
    """`SUBSCRIBERS_MAX` streams are open; one more is taken as soon as one ends."""

    code = "quotes.too_many_subscribers"


class BoardClosedError(ChimeraError):
    """The service is stopping; another instance, or the next start, takes the stream."""

    code = "service.stopping"


class QuoteFilter(Struct, frozen=True):
    """Which quotes a reader wants.

    Attributes:
        venue: Of this venue only; None for all.

        symbols: Of these symbols only; empty for all.
    """

    venue: Venue | None = None
    symbols: frozenset[Symbol] = frozenset()

    def matches(self, instrument: InstrumentId) -> bool:
        """True where the reader wants quotes of *instrument*."""
        return (self.venue is None or instrument.venue is self.venue) and (
            not self.symbols or instrument.symbol in self.symbols
        )


class PostedQuote(Struct, frozen=True, gc=False):
    """A quote on the board.

    Attributes:
        number: Grows by one with each quote the board takes, from 1 at every start.

        quote: As published.
    """

    number: int
    quote: Quote


class QuoteSubscription:
    """A reader's mailbox: the newest quote of each instrument and source that it has not read yet.

    Iterate over it for batches (shape (n,), n >= 1, in the order they were posted); the iteration
    ends when the board closes. A reader that is slow finds newer values, never a longer queue.
    """

    def __init__(self, chosen: QuoteFilter, posted: Iterable[PostedQuote]) -> None:
        self._chosen = chosen
        self._unread: dict[_Key, PostedQuote] = {}
        self._changes = ChangeSignal()
        self._version_read = 0
        self._closed = False
        self.replaced = 0
        """Quotes replaced by a newer one of their stream before they were read."""
        for entry in posted:
            self.put(entry)

    @property
    def pending(self) -> int:
        """Quotes in the mailbox; never more than instruments times their sources."""
        return len(self._unread)

    def put(self, entry: PostedQuote) -> None:
        """Take *entry* where the filter wants it, in place of an unread one of the same stream."""
        if not self._chosen.matches(entry.quote.instrument):
            return
        key = _key(entry.quote)
        # Taken out first, so that the newest stands last and numbers grow within a batch.
        if self._unread.pop(key, None) is not None:
            self.replaced += 1
        self._unread[key] = entry
        self._changes.notify()

    def close(self) -> None:
        """End the iteration; what is still unread is dropped."""
        self._closed = True
        self._changes.notify()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[PostedQuote, ...]:
        # Cancelled while it waits, nothing is lost: the mailbox is emptied after the last await.
        await self._changes.next_after(self._version_read)
        if self._closed:
            raise StopAsyncIteration
        self._version_read = self._changes.version
        batch = tuple(self._unread.values())
        self._unread.clear()
        return batch


class QuoteBoard:
    """Keeps the newest published quote of each instrument and source, and tells subscribers.

    One event loop uses it; no call waits for a reader.
    """

    def __init__(self, *, subscribers_max: int = SUBSCRIBERS_MAX) -> None:
        self._subscribers_max = subscribers_max
        self._posted: dict[_Key, PostedQuote] = {}
        self._subscriptions: set[QuoteSubscription] = set()
        self._number = 0
        self._replaced = 0
        self._closed = False

    @property
    def subscribers(self) -> int:
        """Streams open now."""
        return len(self._subscriptions)

    @property
    def replaced(self) -> int:
        """Quotes that readers were too slow for, over all streams since the start."""
        return self._replaced + sum(each.replaced for each in self._subscriptions)

    def post(self, quotes: Sequence[Quote]) -> None:
        """Post *quotes*, oldest first within a stream; the last of each stream stays.

        A quote that is offered to the store a second time is the same object, and is not posted
        a second time.
        """
        for quote in quotes:
            held = self._posted.get(_key(quote))
            if held is not None and held.quote is quote:
                continue
            self._number += 1
            entry = PostedQuote(self._number, quote)
            self._posted[_key(quote)] = entry
            for subscription in self._subscriptions:
                subscription.put(entry)

    def newest(self, instrument: InstrumentId) -> Quote | None:
        """The newest quote of *instrument* over its sources, by `ts`; None where none was
        published.
        """
        quotes = self.newest_matching(QuoteFilter(instrument.venue, frozenset({instrument.symbol})))
        return max(quotes, key=lambda quote: quote.ts, default=None)

    def newest_matching(self, chosen: QuoteFilter) -> tuple[Quote, ...]:
        """The newest quote of each instrument and source that *chosen* takes, in order of their
        names.
        """
        wanted = [entry.quote for entry in self._posted.values() if _takes(chosen, entry)]
        return tuple(sorted(wanted, key=_key))

    @asynccontextmanager
    async def subscribe(self, quote_filter: QuoteFilter) -> AsyncIterator[QuoteSubscription]:
        """A mailbox that begins with what the board holds and then follows what is posted.

        Raises:
            TooManySubscribersError: As many streams are open as may be.

            BoardClosedError: The service is stopping.
        """
        if self._closed:
            raise BoardClosedError("the service is stopping; connect again in a few seconds")
        if len(self._subscriptions) >= self._subscribers_max:
            raise TooManySubscribersError(
                f"{self._subscribers_max} quote streams are open, which is the limit; close one, "
                "or read the Redis Streams mkt:events:*, which have no such limit"
            )
        in_order = sorted(self._posted.values(), key=lambda entry: entry.number)
        subscription = QuoteSubscription(quote_filter, in_order)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            self._replaced += subscription.replaced

    def close(self) -> None:
        """End every stream and refuse new ones; values can still be read."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()


def _key(quote: Quote) -> _Key:
    return quote.instrument, quote.source


def _takes(chosen: QuoteFilter, entry: PostedQuote) -> bool:
    return chosen.matches(entry.quote.instrument)
