"""The parts of the market capability that decide which instruments are served."""

import random
from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.listing_news import BinanceListingNews
from chimera_s1.app.capabilities.market.constant_choice import ConstantChoice
from chimera_s1.app.capabilities.market.read_listings import ReadListings
from chimera_s1.app.capabilities.market.serve_feed import SelectionFollower, ServeFeed
from chimera_s1.app.capabilities.market.settings import MarketSettings
from chimera_s1.app.capabilities.operations.wiring import Operations, report_unusable_row
from chimera_s1.app.foundation import Foundation, served_endpoints
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.ports.market_feed import MarketFeed


class FollowedSelection(Struct, frozen=True):
    workers: tuple[Worker, ...]
    health: tuple[HealthSource, ...]


def make_selection(
    settings: MarketSettings,
    base: Foundation,
    operations: Operations,
    feeds: Sequence[MarketFeed],
    follower: SelectionFollower,
) -> FollowedSelection:
    """What each feed serves, from the listings and the choice of symbols."""
    backoff = settings.reconnect_policy.backoff
    listings = ReadListings(operations.exchange, base.clock, backoff, random.random)
    choice = ConstantChoice(settings.symbol_filter)
    servers = tuple(
        ServeFeed(
            feed,
            listings,
            choice,
            shard=settings.shard,
            follower=follower,
            report_unknown_contract=partial(_report_unknown_contract, operations),
        )
        for feed in feeds
    )
    # Spot has no stream of listings.
    news = [_listing_news(settings, base, operations)] if Venue.PERP in settings.venues else []
    return FollowedSelection(
        workers=(
            *(Worker(f"listing.{v}", partial(listings.follow, v)) for v in settings.venues),
            *(Worker("listing news", partial(each.run, listings.on_notice)) for each in news),
            *(Worker(f"feed.{server.venue}", server.run) for server in servers),
        ),
        health=(
            *(HealthSource(f"feed.{s.venue.value}", s.report, required=True) for s in servers),
            *(HealthSource("listings.perp", each.report, required=False) for each in news),
        ),
    )


def _listing_news(
    settings: MarketSettings, base: Foundation, operations: Operations
) -> BinanceListingNews:
    endpoints = served_endpoints(settings)[Venue.PERP]
    return BinanceListingNews(
        endpoints.ws_url,
        policy=settings.reconnect_policy,
        clock=base.clock,
        gate=base.gates[Venue.PERP],
        draw=random.random,
        listener=operations.outbox.on_feed_event,
        rows=RowReader(partial(report_unusable_row, operations.outbox)),
        egress=endpoints.egress,
    )


def _report_unknown_contract(operations: Operations, contract_type: str, example: str) -> None:
    operations.outbox.record(
        "listing.contract_unknown", {"contract_type": contract_type, "example": example}
    )
