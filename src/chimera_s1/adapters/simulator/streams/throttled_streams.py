"""The streams that push on a rhythm: depths, mark prices, aggregated trades, all-market streams."""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.simulator.market.market import SymbolMarket, changed_asks, changed_bids
from chimera_s1.adapters.simulator.market.payloads import (
    BookTickerEncoder,
    agg_trade,
    all_mark_prices,
    book_ticker_times,
    contract_info,
    diff_depth,
    mark_price,
    partial_depth,
)
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import StreamKind
from chimera_s1.adapters.simulator.streams.topic import Topic
from chimera_s1.domain.ports.clock import Clock

TICK_MS = 50
"""Divides every push interval Binance has."""


class ThrottledStreams:
    """Pushes what is due, every TICK_MS of local time."""

    def __init__(self, hubs: Sequence[StreamHub], clock: Clock) -> None:
        self._hubs = hubs
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
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
        # Streams of one rhythm push at different ticks, so that they do not all come at once.
        if period and (tick + topic.phase) % period == 0:
            for payload in render(hub, topic, now_ms):
                hub.publish(topic, payload)
    hub.end_batch()


def render(hub: StreamHub, topic: Topic, now_ms: int) -> list[bytes]:
    """What *topic* has to say now; nothing where its book has not changed since its last frame."""
    match topic.stream.kind:
        case StreamKind.ALL_MARK_PRICES:
            return all_mark_prices(_trading(hub), now_ms)
        case StreamKind.ALL_BOOK_TICKERS:
            times = book_ticker_times(hub.venue, now_ms)
            return [BookTickerEncoder(market).encode(times) for market in _trading(hub)]
        case StreamKind.CONTRACT_INFO:
            contracts = _trading(hub)
            return [contract_info(contracts[now_ms // 1000 % len(contracts)].spec, now_ms)]
        case StreamKind.BOOK_TICKER:
            return []
        case kind:
            market = topic.market
            return [] if market is None else _of_symbol(kind, topic, market, now_ms)


def _of_symbol(kind: StreamKind, topic: Topic, market: SymbolMarket, now_ms: int) -> list[bytes]:
    if kind is StreamKind.MARK_PRICE:
        return [mark_price(market, now_ms)]
    if topic.last_id == market.update_id:
        return []
    previous, topic.last_id = topic.last_id, market.update_id
    if kind is StreamKind.AGG_TRADE:
        return [agg_trade(market, now_ms)]
    if kind is StreamKind.PARTIAL_DEPTH:
        return [partial_depth(market, topic.stream.levels, previous, now_ms)]
    return [_diff(market, previous, now_ms)]


def _diff(market: SymbolMarket, previous: int, now_ms: int) -> bytes:
    books = market.books_since(previous)
    return diff_depth(market, changed_bids(books), changed_asks(books), previous, now_ms)


def _trading(hub: StreamHub) -> list[SymbolMarket]:
    return [market for market in hub.market.listed(hub.venue) if market.spec.is_trading]
