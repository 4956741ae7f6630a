"""The control plane's routes that list, change and delist symbols, and set trading hours."""

from collections import Counter
from collections.abc import Mapping

from aiohttp import web
from msgspec import UNSET

from chimera_s1.adapters.simulator.control.listing_requests import (
    HOURS_HELP,
    LISTING_HELP,
    SYMBOL_HELP,
    HoursRequest,
    ListingRequest,
    SymbolRequest,
)
from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.whole_market import build_whole_market
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.adapters.simulator.streams.listings import Listings
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue


class NotListedError(Exception):
    """The venue or symbol does not exist."""


def find_listed(
    hubs: Mapping[str, StreamHub], request: web.Request
) -> tuple[StreamHub, SymbolMarket]:
    """The hub and market that *request* names in its path, delisted or not.

    Raises:
        NotListedError: There is no such venue or symbol.
    """
    venue, symbol = request.match_info["venue"], request.match_info["symbol"].upper()
    hub = hubs.get(venue)
    if hub is None:
        raise NotListedError(f"{venue!r} is not listed here; write spot or perp")
    market = hub.market.find_ever_listed(hub.venue, symbol)
    if market is None:
        raise NotListedError(
            f"{symbol!r} is not listed here; write a symbol of GET .../exchangeInfo"
        )
    return hub, market


class ListingControl:
    def __init__(self, hubs: Mapping[str, StreamHub], listings: Listings) -> None:
        self._hubs = hubs
        self._listings = listings

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sim/listings", self._list),
            web.post("/sim/listings/whole-market", self._list_whole_market),
            web.post("/sim/symbols/{venue}/{symbol}", self._change),
            web.post("/sim/trading-hours", self._set_hours),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        listing = decode(await request.read(), ListingRequest, LISTING_HELP)
        hub = self._hubs[listing.venue]
        if hub.market.find(hub.venue, listing.symbol) is not None:
            raise InvalidValueError(
                f"symbol: {listing.symbol!r} is listed already; change it with "
                f"POST /sim/symbols/{listing.venue}/{listing.symbol}"
            )
        spec = listing.spec(hub.clock.now_ms())
        market = self._listings.add(hub, spec, announce=listing.announce)
        return json_reply(_view(market), 201)

    async def _list_whole_market(self, _: web.Request) -> web.Response:
        """Adds what was never listed; without events, there would be hundreds."""
        added = Counter(
            spec.venue.value
            for spec in build_whole_market(())
            if self._hubs[spec.venue].market.list_new(spec)
        )
        for hub in self._hubs.values():
            hub.listings_changed()
        return json_reply(dict(added), 201)

    async def _change(self, request: web.Request) -> web.Response:
        hub, market = find_listed(self._hubs, request)
        change = decode(await request.read(), SymbolRequest, SYMBOL_HELP)
        delisted = market.delisted if change.status is UNSET else change.status is None
        spec = change.applied_to(market.spec)
        self._listings.change(hub, market, spec, delisted=delisted, announce=change.announce)
        return json_reply(_view(market))

    async def _set_hours(self, request: web.Request) -> web.Response:
        change = decode(await request.read(), HoursRequest, HOURS_HELP)
        hours = self._hubs[Venue.PERP].market.hours
        if change.session is None:
            hours.fixed.pop(change.underlying_type, None)
        else:
            hours.fixed[change.underlying_type] = change.session
        return json_reply({"fixed": hours.fixed})


def _view(market: SymbolMarket) -> dict[str, object]:
    spec = market.spec
    view: dict[str, object] = {"venue": spec.venue.value, "symbol": spec.symbol}
    view["status"] = None if market.delisted else spec.status
    if spec.venue is Venue.PERP:
        view |= {"onboard_ms": spec.onboard_ms, "delivery_ms": spec.delivery_ms}
    return view
