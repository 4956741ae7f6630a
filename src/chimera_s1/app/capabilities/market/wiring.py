"""The parts of the service that face the exchange, from the settings that choose them."""

import random
from collections.abc import Mapping

from chimera_s1.adapters.binance.endpoints import LIVE_ENDPOINTS, TESTNET_ENDPOINTS, Endpoints
from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.market_feed import BinanceMarketFeed, FeedPlan
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.app.capabilities.market.probe_books import ProbeBooks
from chimera_s1.app.capabilities.market.serve_feed import ServeFeed
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capabilities.operations.patrol_clock import PatrolClock
from chimera_s1.app.settings.settings import Settings
from chimera_s1.app.settings.types import BinanceEnvironment
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation
from chimera_s1.domain.ports.market_feed import FeedEvent, MarketFeed
from chimera_s1.domain.ports.market_status import MarketStatus


def build_endpoints(settings: Settings) -> Mapping[Venue, Endpoints]:
    """Where each venue served listens."""
    return endpoints_for(settings, settings.venues)


def endpoints_for(settings: Settings, venues: tuple[Venue, ...]) -> Mapping[Venue, Endpoints]:
    """Where each of *venues* listens: the environment's hosts, overridden one by one."""
    hosts = (
        TESTNET_ENDPOINTS if settings.binance_env is BinanceEnvironment.TESTNET else LIVE_ENDPOINTS
    )
    overrides = {
        Venue.SPOT: (settings.binance_spot_rest_url, settings.binance_spot_ws_url),
        Venue.PERP: (settings.binance_perp_rest_url, settings.binance_perp_ws_url),
    }
    return {
        venue: Endpoints(
            overrides[venue][0] or hosts[venue].rest_url, overrides[venue][1] or hosts[venue].ws_url
        )
        for venue in venues
    }


def build_exchange(
    endpoints: Mapping[Venue, Endpoints], clock: Clock, budgets: Mapping[Venue, WeightBudget]
) -> BinanceExchangeInformation:
    """Public reads of the venues."""
    return BinanceExchangeInformation(endpoints, clock, budgets)


def build_patrols(
    settings: Settings, exchange: ExchangeInformation, clock: Clock
) -> tuple[PatrolClock, ...]:
    """A clock patrol for each venue served."""
    interval_ms = settings.clock_patrol_ms
    return tuple(PatrolClock(venue, exchange, clock, interval_ms) for venue in settings.venues)


def build_liveness_watches(
    settings: Settings, status: MarketStatus, exchange: ExchangeInformation, clock: Clock
) -> tuple[WatchLiveness, ...]:
    """A watch over each venue's instruments."""
    probes = ProbeBooks(exchange, clock)
    return tuple(WatchLiveness(venue, status, probes, clock) for venue in settings.venues)


def build_pacer(settings: Settings, clock: Clock) -> ReadPacer:
    """The rests between reads, one for all sockets."""
    return ReadPacer(clock, settings.read_interval_ms)


def build_feeds(  # noqa: PLR0917 (the container passes collaborators by position)
    settings: Settings,
    endpoints: Mapping[Venue, Endpoints],
    clock: Clock,
    pacer: ReadPacer,
    patrols: tuple[PatrolClock, ...],
    operations: OperationsOutbox,
    watching: tuple[WatchLiveness, ...],
) -> tuple[MarketFeed, ...]:
    """A feed for each venue served; its times are aligned by the venue's clock patrol."""

    def listen(event: FeedEvent) -> None:
        operations.on_feed_event(event)
        for watch in watching:
            watch.on_feed_event(event)

    return tuple(
        BinanceMarketFeed(
            FeedPlan(
                venue=patrol.venue,
                ws_url=endpoints[patrol.venue].ws_url,
                channels=settings.channels,
                window=settings.conflation_ms,
                streams_per_connection=settings.streams_per_connection,
                policy=settings.reconnect_policy,
                renew_after_ms=settings.renew_after_ms,
            ),
            clock=clock,
            pacer=pacer,
            draw=random.random,
            clock_offset_ms=patrol.offset_ms,
            on_clock_suspect=patrol.request_refresh,
            listener=listen,
        )
        for patrol in patrols
    )


def build_feed_servers(
    settings: Settings,
    feeds: tuple[MarketFeed, ...],
    exchange: ExchangeInformation,
    clock: Clock,
) -> tuple[ServeFeed, ...]:
    """What keeps each feed subscribed."""
    return tuple(
        ServeFeed(
            feed,
            exchange,
            choice=settings.symbols,
            shard=settings.shard,
            clock=clock,
            backoff=settings.reconnect_policy.backoff,
            draw=random.random,
        )
        for feed in feeds
    )
