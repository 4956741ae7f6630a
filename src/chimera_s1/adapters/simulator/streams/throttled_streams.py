"""The streams with a push interval: depths, mark prices, aggregated trades, all-market streams."""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.order_books import changed_asks, changed_bids
from chimera_s1.adapters.simulator.streams.payloads import (
    BookTickerEncoder,
    agg_trade,
    all_mark_prices,
    book_ticker_times,
    diff_depth,
    mark_price,
    partial_depth,
    trading_sessions,
)
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import StreamKind
from chimera_s1.adapters.simulator.streams.topic import Topic
from chimera_s1.domain.ports.clock import Clock

TICK_MS = 50
"""Divides every push interval of Binance."""


class ThrottledStreams:
    """Pushes what is due, every TICK_MS of local time."""

    def __init__(self, hubs: Sequence[StreamHub], clock: Clock) -> None:
        self._hubs = hubs
        self._clock = clock

    async def run(self) -> None:
        """Push until cancelled."""
        tick = 0
        start = self._clock.monotonic_ms()
        while True:
            for hub in self._hubs:
                _push(hub, tick)
            tick += 1
            await anyio.sleep(max(0.0, start + tick * TICK_MS - self._clock.monotonic_ms()) / 1000)


def _push(hub: StreamHub, tick: int) -> None:
    hub.begin_batch()
    now_ms = hub.clock.now_ms()
    for topic in tuple(hub.topics.values()):
        period = topic.stream.period_ms // TICK_MS
        # The phase spreads streams of the same interval over different ticks.
        if period and (tick + topic.phase) % period == 0:
            for payload in _payloads(hub, topic, now_ms):
                hub.publish(topic, payload)
    hub.end_batch()


def _payloads(hub: StreamHub, topic: Topic, now_ms: int) -> list[bytes]:
    """The payloads due for *topic*; none if its book has not changed since the last one."""
    match topic.stream.kind:
        case StreamKind.ALL_MARK_PRICES:
            return all_mark_prices([*hub.market.listed(hub.venue), hub.market.unlisted], now_ms)
        case StreamKind.ALL_BOOK_TICKERS:
            times = book_ticker_times(hub.venue, now_ms)
            markets = hub.market.trading(hub.venue)
            return [BookTickerEncoder(market).encode(times) for market in markets]
        case StreamKind.TRADING_SESSIONS:
            return trading_sessions(hub.market.hours, now_ms)
        case StreamKind.BOOK_TICKER | StreamKind.CONTRACT_INFO:
            return []  # sent when they change
        case kind:
            market = topic.market
            if market is None or market.delisted:
                return []
            return _symbol_payloads(kind, topic, market, now_ms)


def _symbol_payloads(
    kind: StreamKind, topic: Topic, market: SymbolMarket, now_ms: int
) -> list[bytes]:
    if kind is StreamKind.MARK_PRICE:
        return [mark_price(market, now_ms)]
    previous, topic.last_version = topic.last_version, market.version
    if topic.last_version == previous:
        return []
    if kind is StreamKind.AGG_TRADE:
        return [agg_trade(market.spec, market.next_trade(), now_ms)]
    if kind is StreamKind.PARTIAL_DEPTH:
        return [partial_depth(market, topic.stream.levels, previous, now_ms)]
    books = market.books_since(previous)
    return [diff_depth(market, changed_bids(books), changed_asks(books), previous, now_ms)]
