"""Public market data endpoints of the USD-M futures (`/fapi/v1`)."""

from collections.abc import Callable

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.market.mark_prices import (
    estimated_rate,
    mark_and_index_price,
    next_funding_ms,
)
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.order_books import BOOK_LEVELS, asks_of, bids_of
from chimera_s1.adapters.simulator.rest.exchange_info import perp_exchange_info
from chimera_s1.adapters.simulator.rest.parameters import depth_limit, required_symbol
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight, weight_by_symbol
from chimera_s1.adapters.simulator.rest.tickers import Row, book_row, day_row, price_row
from chimera_s1.domain.identifiers import Venue

_DEPTH_DEFAULT = 500
_DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_DEPTH_WEIGHT_MAX = 20


class PerpMarketRoutes:
    def __init__(self, market: Market, clock: ScaledClock, limits: RateLimits) -> None:
        self._market = market
        self._clock = clock
        self._limits = limits

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/fapi/v1/ping", self._ping, fixed_weight(1)),
            Route("GET", "/fapi/v1/time", self._time, fixed_weight(1)),
            Route("GET", "/fapi/v1/exchangeInfo", self._exchange_info, fixed_weight(1)),
            Route("GET", "/fapi/v1/depth", self._depth, _depth_weight),
            Route("GET", "/fapi/v1/ticker/bookTicker", self._book_ticker, weight_by_symbol(2, 5)),
            Route("GET", "/fapi/v1/ticker/price", self._price, weight_by_symbol(1, 2)),
            Route("GET", "/fapi/v2/ticker/price", self._price, weight_by_symbol(1, 2)),
            Route("GET", "/fapi/v1/ticker/24hr", self._day, weight_by_symbol(1, 40)),
            Route("GET", "/fapi/v1/premiumIndex", self._premium_index, weight_by_symbol(1, 10)),
        ]

    async def _ping(self, _: web.Request) -> object:
        return {}

    async def _time(self, _: web.Request) -> object:
        return {"serverTime": self._clock.now_ms()}

    async def _exchange_info(self, _: web.Request) -> object:
        specs = [market.spec for market in self._market.listed(Venue.PERP)]
        usd_margined = [spec for spec in specs if spec.is_usd_margined]
        return perp_exchange_info(usd_margined, self._clock.now_ms(), self._limits)

    async def _depth(self, request: web.Request) -> object:
        market = required_symbol(request, self._market, Venue.PERP)
        limit = depth_limit(request, _DEPTH_DEFAULT)
        if limit not in _DEPTH_WEIGHTS:
            raise BinanceError(-4021, f"{limit} is not valid depth limit.")
        levels, now = min(limit, BOOK_LEVELS), self._clock.now_ms()
        return {
            "lastUpdateId": market.update_id,
            "E": now,
            "T": now - 1,
            "bids": market.spec.levels(bids_of(market.book, levels)),
            "asks": market.spec.levels(asks_of(market.book, levels)),
        }

    async def _book_ticker(self, request: web.Request) -> object:
        return self._one_or_all(request, self._book_row)

    async def _price(self, request: web.Request) -> object:
        now_ms = self._clock.now_ms()
        return self._one_or_all(request, lambda market: {**price_row(market), "time": now_ms})

    async def _day(self, request: web.Request) -> object:
        now_ms = self._clock.now_ms()
        return self._one_or_all(request, lambda market: day_row(market, now_ms))

    async def _premium_index(self, request: web.Request) -> object:
        """Without `symbol` also the contracts that do not trade."""
        markets = self._market.listed(Venue.PERP)
        return self._one_or_all(request, self._premium, markets)

    def _one_or_all(
        self,
        request: web.Request,
        describe: Callable[[SymbolMarket], Row],
        markets: list[SymbolMarket] | None = None,
    ) -> object:
        """The symbol that is named, or all *markets*, by default those that trade."""
        if "symbol" in request.query:
            return describe(required_symbol(request, self._market, Venue.PERP))
        if markets is None:
            markets = self._market.trading(Venue.PERP)
        return [describe(market) for market in markets if market.spec.is_usd_margined]

    def _book_row(self, market: SymbolMarket) -> Row:
        times = {"time": self._clock.now_ms(), "lastUpdateId": market.update_id}
        return {**book_row(market), **times}

    def _premium(self, market: SymbolMarket) -> Row:
        now = self._clock.now_ms()
        mark, index = mark_and_index_price(market)
        settles = next_funding_ms(market, now)
        return {
            "symbol": market.spec.symbol,
            "markPrice": mark,
            "indexPrice": index,
            "estimatedSettlePrice": index,
            "lastFundingRate": estimated_rate(market, settles, now),
            "interestRate": "0.00010000",
            "nextFundingTime": settles,
            "time": now,
        }


def _depth_weight(request: web.Request) -> int:
    text = request.query.get("limit", str(_DEPTH_DEFAULT))
    limit = int(text) if text.isascii() and text.isdigit() else 0
    return _DEPTH_WEIGHTS.get(limit, _DEPTH_WEIGHT_MAX)
