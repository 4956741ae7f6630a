"""A market feed of Binance for a command, without clock samples and timed reads."""

import random
from collections.abc import Callable

from chimera_s1.adapters.binance.market_feed import BinanceMarketFeed, FeedPlan
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.app.foundation import served_endpoints
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.conflation import WINDOW_MS_MAX, parse_window
from chimera_s1.domain.operations.clock_skew import NO_OFFSET
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import FeedListener


def direct_feed(
    settings: Settings,
    venue: Venue,
    clock: Clock,
    gate: DialGate,
    listener: FeedListener,
    *,
    record: Callable[[bytes, int], None] | None = None,
) -> BinanceMarketFeed:
    """A feed whose sockets are read at once, so that receive times are exact.

    It need not be drained: only the newest frame of each stream is kept.
    """
    endpoints = served_endpoints(settings)[venue]
    plan = FeedPlan(
        venue=venue,
        ws_url=endpoints.ws_url,
        egress=endpoints.egress,
        channels=settings.channels,
        window=parse_window(WINDOW_MS_MAX),
        streams_per_connection=settings.streams_per_connection,
        policy=settings.reconnect_policy,
    )
    return BinanceMarketFeed(
        plan,
        clock=clock,
        gate=gate,
        pacer=ReadPacer(clock, interval_ms=0),
        draw=random.random,
        clock_offset=lambda: NO_OFFSET,
        listener=listener,
        record=record,
    )
