"""Moves the books of all symbols that are subscribed, or have open orders, at the configured rate.

One book update is one `@bookTicker` frame to each listener, at once; the throttled streams show it
at their next push. Due updates are made in batches with one write per connection, because a wake-up
and a write cost more than a frame.
"""

import itertools
from collections.abc import Mapping, Sequence

import anyio

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.matching.desk import Desk
from chimera_s1.adapters.simulator.streams.payloads import book_ticker_times
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import StreamKind
from chimera_s1.adapters.simulator.streams.topic import Topic
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.clock import Clock

BATCH_MAX = 1000
_BATCH_PAUSE_S = 0.002
_IDLE_PAUSE_S = 0.02

_Book = tuple[StreamHub, SymbolMarket, Topic | None]


class BookUpdater:
    """Updates the subscribed books in rotation.

    Attributes:
        rate: Updates per second over all books; may be changed at any time.
        storm_rate: Replaces *rate* unless None.
        updates: Made since the start.
    """

    def __init__(
        self,
        hubs: Sequence[StreamHub],
        rate: float,
        clock: Clock,
        desks: Mapping[Venue, Desk],
    ) -> None:
        self.rate = rate
        self.storm_rate: float | None = None
        self.updates = 0
        self._hubs = hubs
        self._desks = desks
        self._clock = clock
        self._books: list[_Book] = []
        self._rotation = itertools.cycle(self._books)
        self._turns = 0
        self._version: tuple[object, ...] = ()

    @property
    def current_rate(self) -> float:
        """Updates per second now."""
        return self.rate if self.storm_rate is None else self.storm_rate

    async def run(self) -> None:
        """Update until cancelled."""
        before = self._clock.monotonic_ms()
        due = 0.0
        while True:
            now = self._clock.monotonic_ms()
            # Updates that could not be made in time are dropped, not made up for.
            due = min(due + (now - before) * self.current_rate / 1000, BATCH_MAX)
            before = now
            self._refresh()
            due = due if self._books else 0.0
            count = int(due)
            due -= count
            queued = self._move(count) if count else 0
            await anyio.sleep(self._pause(count, queued))

    def _pause(self, count: int, queued: int) -> float:
        if not self._books:
            return _IDLE_PAUSE_S
        if count < BATCH_MAX:
            return min(max(_BATCH_PAUSE_S, 0.5 / self.current_rate), _IDLE_PAUSE_S)
        # As fast as the clients read: if nothing was queued, all of them are behind.
        return 0 if queued else _BATCH_PAUSE_S

    def _refresh(self) -> None:
        """List the books again after subscriptions, listings or open orders changed."""
        watched = {venue: desk.watched_symbols() for venue, desk in self._desks.items()}
        version = (sum(hub.subscription_version for hub in self._hubs), *watched.values())
        if version == self._version:
            return
        self._version = version
        books = [
            book for hub in self._hubs for book in _books(hub, watched.get(hub.venue, frozenset()))
        ]
        # The next one in turn stays the next: else frequent changes leave the last ones out.
        turn = self._turns % len(self._books) if self._books else 0
        order = [*self._books[turn:], *self._books[:turn]]
        places = {id(market): place for place, (_, market, _) in enumerate(order)}
        self._books = sorted(books, key=lambda book: places.get(id(book[1]), len(places)))
        self._rotation = itertools.cycle(self._books)
        self._turns = 0

    def _move(self, count: int) -> int:
        """Make *count* updates; the number of frames queued."""
        before = sum(hub.frames_sent for hub in self._hubs)
        times = {}
        for hub in self._hubs:
            hub.begin_batch()
            times[hub.venue] = book_ticker_times(hub.venue, hub.clock.now_ms())
        for hub, market, topic in itertools.islice(self._rotation, count):
            if not market.is_trading:
                continue  # halted or delisted since it was subscribed
            market.advance()
            if topic is not None and topic.encoder is not None:
                hub.publish(topic, topic.encoder.encode(times[hub.venue]))
        for desk in self._desks.values():
            desk.advance()
        self.updates += count
        self._turns += count
        for hub in self._hubs:
            hub.end_batch()
        return sum(hub.frames_sent for hub in self._hubs) - before


def _books(hub: StreamHub, watched: frozenset[str]) -> list[_Book]:
    found = ((symbol, hub.market.find(hub.venue, symbol)) for symbol in sorted(watched))
    markets = {symbol: market for symbol, market in found if market is not None}
    for topic in hub.book_topics():
        if topic.stream.kind is StreamKind.ALL_BOOK_TICKERS:
            markets |= {market.spec.symbol: market for market in hub.market.listed(hub.venue)}
        elif topic.market is not None:
            markets[topic.market.spec.symbol] = topic.market
    return [(hub, m, hub.book_ticker_topic(m)) for m in markets.values() if m.spec.is_trading]
