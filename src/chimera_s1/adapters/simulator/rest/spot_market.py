"""Spot REST endpoints of market data (`/api/v3`)."""

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import (
    BOOK_LEVELS,
    Market,
    SymbolMarket,
    asks_of,
    bids_of,
)
from chimera_s1.adapters.simulator.rest.exchange_info import spot_exchange_info
from chimera_s1.adapters.simulator.rest.parameters import (
    find_symbol,
    fixed_weight,
    integer_of,
    required_symbol,
    symbol_list,
    weight_by_symbol,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.rest_server import Route
from chimera_s1.domain.identifiers import Venue

_DEPTH_DEFAULT = 100
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
_DEPTH_WEIGHT_MAX = 250


class SpotMarketRoutes:
    """What needs no key."""

    def __init__(self, market: Market, clock: ScaledClock) -> None:
        self._market = market
        self._clock = clock

    def routes(self) -> list[Route]:
        """With Binance's weights."""
        return [
            Route("GET", "/api/v3/ping", self._ping, fixed_weight(1)),
            Route("GET", "/api/v3/time", self._time, fixed_weight(1)),
            Route("GET", "/api/v3/exchangeInfo", self._exchange_info, fixed_weight(20)),
            Route("GET", "/api/v3/depth", self._depth, _depth_weight),
            Route("GET", "/api/v3/ticker/bookTicker", self._book_ticker, weight_by_symbol(2, 4)),
        ]

    async def _ping(self, _: web.Request) -> object:
        return {}

    async def _time(self, _: web.Request) -> object:
        return {"serverTime": self._clock.now_ms()}

    async def _exchange_info(self, request: web.Request) -> object:
        chosen = self._chosen(request)
        status = request.query.get("symbolStatus")
        specs = [m.spec for m in chosen if status is None or m.spec.status == status]
        return spot_exchange_info(
            specs,
            self._clock.now_ms(),
            permission_sets=request.query.get("showPermissionSets") != "false",
        )

    async def _depth(self, request: web.Request) -> object:
        market = required_symbol(request, self._market, Venue.SPOT)
        levels = min(integer_of(request, "limit", _DEPTH_DEFAULT), BOOK_LEVELS)
        spec = market.spec
        return {
            "lastUpdateId": market.update_id,
            "bids": [(spec.price(p), spec.quantity(q)) for p, q in bids_of(market.book, levels)],
            "asks": [(spec.price(p), spec.quantity(q)) for p, q in asks_of(market.book, levels)],
        }

    async def _book_ticker(self, request: web.Request) -> object:
        tickers = [_ticker(market) for market in self._chosen(request)]
        return tickers[0] if "symbol" in request.query else tickers

    def _chosen(self, request: web.Request) -> list[SymbolMarket]:
        if "symbol" in request.query and "symbols" in request.query:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in request.query:
            return [required_symbol(request, self._market, Venue.SPOT)]
        if "symbols" in request.query:
            names = symbol_list(request.query["symbols"])
            return [find_symbol(name, self._market, Venue.SPOT) for name in names]
        return self._market.listed(Venue.SPOT)


def _depth_weight(request: web.Request) -> int:
    limit = request.query.get("limit", "")
    wanted = int(limit) if limit.isascii() and limit.isdigit() else _DEPTH_DEFAULT
    return next((weight for most, weight in _DEPTH_WEIGHTS if wanted <= most), _DEPTH_WEIGHT_MAX)


def _ticker(market: SymbolMarket) -> dict[str, str]:
    spec, book = market.spec, market.book
    return {
        "symbol": spec.symbol,
        "bidPrice": spec.price(book.bid),
        "bidQty": spec.quantity(book.bid_steps),
        "askPrice": spec.price(book.ask),
        "askQty": spec.quantity(book.ask_steps),
    }
