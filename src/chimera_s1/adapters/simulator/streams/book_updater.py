"""
Moves the books of all symbols somebody listens to, at the configured rate.

One book update is one `@bookTicker` frame to each listener, at once; the throttled streams tell of
it when their time comes. Due updates are made in batches with one write per connection, because a
wake-up and a write cost more than a frame.
"""

import itertools
from collections.abc import Sequence

import anyio

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.payloads import book_ticker_times
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import StreamKind
from chimera_s1.adapters.simulator.streams.topic import Topic
from chimera_s1.domain.ports.clock import Clock

BATCH_MAX = 1000
_TURN_S = 0.002
_IDLE_S = 0.02

Lane = tuple[StreamHub, SymbolMarket, Topic | None]


class BookPump:
    """
    Owns the pace.

    Attributes:
        rate: Updates per second over all lanes; may be changed at any time.

        storm: What takes the place of `rate` while a storm lasts.

        updates: Made since the start.
    """

    def __init__(self, hubs: Sequence[StreamHub], rate: float, clock: Clock) -> None:
        self.rate = rate
        self.storm: float | None = None
        self.updates = 0
        self._hubs = hubs
        self._clock = clock
        self._lanes: list[Lane] = []
        self._turn = itertools.cycle(self._lanes)
        self._changes = -1

    @property
    def pace(self) -> float:
        """
        Updates per second now.
        """
        return self.rate if self.storm is None else self.storm

    async def run(self) -> None:
        """
        Until cancelled.
        """
        before = self._clock.monotonic_ms()
        owed = 0.0
        while True:
            now = self._clock.monotonic_ms()
            # What could not be made in time is not made up for: the rate is a rate, not a backlog.
            owed = min(owed + (now - before) * self.pace / 1000, BATCH_MAX)
            before = now
            self._refresh()
            owed = owed if self._lanes else 0.0
            count = int(owed)
            owed -= count
            queued = self._move(count) if count else 0
            await anyio.sleep(self._pause(count, queued))

    def _pause(self, count: int, queued: int) -> float:
        if not self._lanes:
            return _IDLE_S
        if count < BATCH_MAX:
            return min(max(_TURN_S, 0.5 / self.pace), _IDLE_S)
        # As fast as the clients read: nothing queued means that all of them are behind.
        return 0 if queued else _TURN_S

    def _refresh(self) -> None:
        changes = sum(hub.changes for hub in self._hubs)
        if changes == self._changes:
            return
        self._changes = changes
        self._lanes = [lane for hub in self._hubs for lane in _lanes_of(hub)]
        self._turn = itertools.cycle(self._lanes)

    def _move(self, count: int) -> int:
        before = sum(hub.frames for hub in self._hubs)
        times = {}
        for hub in self._hubs:
            hub.begin()
            times[hub.venue] = book_ticker_times(hub.venue, hub.clock.now_ms())
        for hub, market, topic in itertools.islice(self._turn, count):
            market.advance()
            if topic is not None and topic.press is not None:
                hub.publish(topic, topic.press.print(times[hub.venue]))
        self.updates += count
        for hub in self._hubs:
            hub.end()
        return sum(hub.frames for hub in self._hubs) - before


def _lanes_of(hub: StreamHub) -> list[Lane]:
    markets: dict[str, SymbolMarket] = {}
    for topic in hub.book_topics():
        if topic.stream.kind is StreamKind.ALL_BOOK_TICKERS:
            markets |= {market.spec.symbol: market for market in hub.market.listed(hub.venue)}
        elif topic.market is not None:
            markets[topic.market.spec.symbol] = topic.market
    return [(hub, m, hub.ticker_of(m)) for m in markets.values() if m.spec.trades]
