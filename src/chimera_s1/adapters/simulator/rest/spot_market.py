"""Public market data endpoints of spot (`/api/v3`)."""

from collections.abc import Callable, Collection

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.market.candles import MINUTE_MS, Candle, candle
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.order_books import BOOK_LEVELS, asks_of, bids_of
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.rest.parameters import (
    TIME_MAX_MS,
    depth_limit,
    find_symbol,
    integer,
    one_of,
    required,
    required_symbol,
    symbol_list,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight, weight_by_symbol
from chimera_s1.adapters.simulator.rest.spot_exchange_info import (
    spot_exchange_info,
    spot_rate_limits,
)
from chimera_s1.adapters.simulator.rest.tickers import (
    Row,
    average_price,
    book_row,
    mini_day_row,
    price_row,
    spot_day_row,
)
from chimera_s1.domain.identifiers import Venue

_DEPTH_DEFAULT = 100
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
_DEPTH_WEIGHT_MAX = 250
_DAY_WEIGHTS = ((20, 2), (100, 40))
_DAY_WEIGHT_ALL = 80
_AVERAGE_MINUTES = 5
_KLINES_DEFAULT, _KLINES_MAX = 500, 1000
_DEFAULT_PERMISSIONS = ("SPOT", "MARGIN", "LEVERAGED")
_COMMON_PERMISSIONS = frozenset({"SPOT", "MARGIN"})
_DAY_ROWS = {"FULL": spot_day_row, "MINI": mini_day_row}


class SpotMarketRoutes:
    def __init__(self, market: Market, clock: ScaledClock, limits: RateLimits) -> None:
        self._market = market
        self._clock = clock
        self._limits = limits

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v3/ping", self._ping, fixed_weight(1)),
            Route("GET", "/api/v3/time", self._time, fixed_weight(1)),
            Route("GET", "/api/v3/exchangeInfo", self._exchange_info, fixed_weight(20)),
            Route("GET", "/api/v3/depth", self._depth, _depth_weight),
            Route("GET", "/api/v3/ticker/bookTicker", self._book_ticker, weight_by_symbol(2, 4)),
            Route("GET", "/api/v3/ticker/price", self._price, weight_by_symbol(2, 4)),
            Route("GET", "/api/v3/ticker/24hr", self._day, _day_weight),
            Route("GET", "/api/v3/klines", self._klines, fixed_weight(2)),
            Route("GET", "/api/v3/avgPrice", self._average_price, fixed_weight(2)),
        ]

    async def _ping(self, _: web.Request) -> object:
        return {}

    async def _time(self, _: web.Request) -> object:
        return {"serverTime": self._clock.now_ms()}

    async def _exchange_info(self, request: web.Request) -> object:
        status = request.query.get("symbolStatus")
        specs = [market.spec for market in self._requested(request)]
        groups = _trading_groups(request)
        return spot_exchange_info(
            [s for s in specs if status in {None, s.status} and _permitted(s, groups)],
            self._clock.now_ms(),
            spot_rate_limits(self._limits),
            permission_sets=request.query.get("showPermissionSets") != "false",
        )

    async def _depth(self, request: web.Request) -> object:
        market = required_symbol(request, self._market, Venue.SPOT)
        levels = min(depth_limit(request, _DEPTH_DEFAULT), BOOK_LEVELS)
        return {
            "lastUpdateId": market.update_id,
            "bids": market.spec.levels(bids_of(market.book, levels)),
            "asks": market.spec.levels(asks_of(market.book, levels)),
        }

    async def _book_ticker(self, request: web.Request) -> object:
        return self._one_or_all(request, book_row)

    async def _price(self, request: web.Request) -> object:
        return self._one_or_all(request, price_row)

    async def _day(self, request: web.Request) -> object:
        kind = one_of({"type": "FULL", **request.query}, "type", _DAY_ROWS)
        now_ms = self._clock.now_ms()
        return self._one_or_all(request, lambda market: _DAY_ROWS[kind](market, now_ms))

    async def _average_price(self, request: web.Request) -> object:
        market = required_symbol(request, self._market, Venue.SPOT)
        now_ms = self._clock.now_ms()
        return {"mins": _AVERAGE_MINUTES, "price": average_price(market), "closeTime": now_ms}

    async def _klines(self, request: web.Request) -> object:
        """Candles of one minute; other intervals are not simulated."""
        market = required_symbol(request, self._market, Venue.SPOT)
        if required(request.query, "interval", r"[0-9]{1,2}[smhdwM]") != "1m":
            raise BinanceError(-1120, "Invalid interval.")
        limit = integer(request.query, "limit", _KLINES_DEFAULT, lowest=1, highest=_KLINES_MAX)
        onboard_ms, now_ms = market.spec.onboard_ms, self._clock.now_ms()
        end_ms = min(integer(request.query, "endTime", now_ms, highest=TIME_MAX_MS), now_ms)
        last_ms = end_ms // MINUTE_MS * MINUTE_MS
        latest_ms = last_ms - (limit - 1) * MINUTE_MS
        start_ms = integer(request.query, "startTime", max(latest_ms, 0), highest=TIME_MAX_MS)
        first_ms = -(-max(start_ms, onboard_ms) // MINUTE_MS) * MINUTE_MS
        opens = range(first_ms, last_ms + 1, MINUTE_MS)[:limit]
        return [_kline(candle(market.spec, open_ms)) for open_ms in opens]

    def _one_or_all(self, request: web.Request, describe: Callable[[SymbolMarket], Row]) -> object:
        """An object for `symbol`, else an array."""
        rows = [describe(market) for market in self._requested(request)]
        return rows[0] if "symbol" in request.query else rows

    def _requested(self, request: web.Request) -> list[SymbolMarket]:
        """The symbols that `symbol` or `symbols` name, or all."""
        if "symbol" in request.query and "symbols" in request.query:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in request.query:
            return [required_symbol(request, self._market, Venue.SPOT)]
        if "symbols" in request.query:
            names = symbol_list(request.query["symbols"])
            return [find_symbol(name, self._market, Venue.SPOT) for name in names]
        return self._market.listed(Venue.SPOT)


def _trading_groups(request: web.Request) -> Collection[str] | None:
    """`permissions=SPOT` or `permissions=["SPOT","MARGIN"]`; None shows a symbol that is named.

    Raises:
        BinanceError: -1128, with `symbol` or `symbols`; -1100, it cannot be parsed.
    """
    named = "symbol" in request.query or "symbols" in request.query
    text = request.query.get("permissions")
    if text is None:
        return None if named else _DEFAULT_PERMISSIONS
    if named:
        raise BinanceError(-1128, "Combination of optional parameters invalid.")
    return symbol_list(text, "permissions") if text.startswith("[") else (text,)


def _permitted(spec: SymbolSpec, permissions: Collection[str] | None) -> bool:
    if permissions is None:
        return True
    granted = {spec.trading_group} if spec.trading_group else _COMMON_PERMISSIONS
    return not granted.isdisjoint(permissions)


def _depth_weight(request: web.Request) -> int:
    text = request.query.get("limit", "")
    limit = int(text) if text.isascii() and text.isdigit() else _DEPTH_DEFAULT
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), _DEPTH_WEIGHT_MAX)


def _day_weight(request: web.Request) -> int:
    """By the number of symbols; a list that cannot be parsed costs as one symbol does."""
    if "symbol" in request.query:
        return 2
    if "symbols" not in request.query:
        return _DAY_WEIGHT_ALL
    count = request.query["symbols"].count(",") + 1
    return next((weight for most, weight in _DAY_WEIGHTS if count <= most), _DAY_WEIGHT_ALL)


def _kline(each: Candle) -> list[object]:
    prices, close_ms = [each.open, each.high, each.low, each.close], each.open_ms + MINUTE_MS - 1
    traded = [each.volume, close_ms, each.quote_volume, each.trades]
    bought = [each.volume, each.quote_volume, "0"]
    return [each.open_ms, *prices, *traded, *bought]
