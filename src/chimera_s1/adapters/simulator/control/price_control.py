"""The control plane's route that moves the price of a symbol."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from aiohttp import web

from chimera_s1.adapters.simulator.control.listing_control import NotListedError
from chimera_s1.adapters.simulator.control.order_requests import PRICE_HELP, PriceRequest
from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.matching.desk import Desk
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub


class PriceControl:
    def __init__(self, hubs: Sequence[StreamHub], desks: Sequence[Desk]) -> None:
        self._hubs = {hub.venue: hub for hub in hubs}
        self._desks = desks

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/sim/price", self._move)]

    async def _move(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), PriceRequest, PRICE_HELP)
        hub, symbol = self._hubs[body.venue], body.symbol.upper()
        market = hub.market.find(body.venue, symbol)
        if market is None:
            raise NotListedError(f"{symbol!r} is not listed here; see GET .../exchangeInfo")
        target = body.target(_last_price(market)) / Decimal(market.spec.price(1))
        market.move_price(int(target.to_integral_value(ROUND_HALF_UP)))
        # The encoders of its streams keep the books of the old path.
        hub.listings_changed(market)
        for desk in self._desks:
            desk.advance()
        price = market.spec.price(market.last_trade[0])
        return json_reply({"venue": body.venue.value, "symbol": symbol, "price": price})


def _last_price(market: SymbolMarket) -> Decimal:
    ticks, _ = market.last_trade
    return Decimal(market.spec.price(ticks))
