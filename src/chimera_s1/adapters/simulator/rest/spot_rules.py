"""What the spot host says about symbols besides their listing: rules and schedules."""

from collections import defaultdict
from collections.abc import Callable

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import PERPETUAL_DELIVERY_MS, SymbolSpec
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import (
    find_symbol,
    required,
    required_symbol,
    symbol_list,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.adapters.simulator.rest.spot_exchange_info import EXCHANGE_FILTERS
from chimera_s1.domain.identifiers import Venue

_RULES_WEIGHT, _RULES_WEIGHT_ALL = 2, 40
_SCHEDULE_WEIGHT = 100
_PRICE_RANGE = {
    "ruleType": "PRICE_RANGE",
    "bidLimitMultUp": "1.05",
    "bidLimitMultDown": "0.95",
    "askLimitMultUp": "1.05",
    "askLimitMultDown": "0.95",
}


class SpotRuleRoutes:
    def __init__(
        self,
        market: Market,
        authenticator: Authenticator,
        clock: ScaledClock,
    ) -> None:
        self._market = market
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        delistings, openings = "/sapi/v1/spot/delist-schedule", "/sapi/v1/spot/open-symbol-list"
        ip, weight = Bucket.SAPI_IP, fixed_weight(_SCHEDULE_WEIGHT)
        return [
            Route("GET", "/api/v3/executionRules", self._execution_rules, _rules_weight),
            Route("GET", "/api/v3/myFilters", self._my_filters, fixed_weight(40)),
            Route("GET", delistings, self._delistings, weight, ip),
            Route("GET", openings, self._openings, weight, ip),
        ]

    async def _execution_rules(self, request: web.Request) -> object:
        given = [key for key in ("symbol", "symbols", "symbolStatus") if key in request.query]
        if len(given) > 1:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        return {"symbolRules": [_rules(market.spec) for market in self._requested(request)]}

    def _requested(self, request: web.Request) -> list[SymbolMarket]:
        query = request.query
        if "symbol" in query:
            return [required_symbol(request, self._market, Venue.SPOT)]
        if "symbols" in query:
            names = symbol_list(query["symbols"])
            return [find_symbol(name, self._market, Venue.SPOT) for name in names]
        status = query.get("symbolStatus")
        listed = self._market.listed(Venue.SPOT)
        return [market for market in listed if status in {None, market.spec.status}]

    async def _my_filters(self, request: web.Request) -> object:
        """Filters of the account; MAX_ASSET is shown nowhere else."""
        parameters = await self._authenticator.authenticate_reader(request)
        symbol = required(parameters, "symbol", r".*")
        spec = find_symbol(symbol, self._market, Venue.SPOT).spec
        most = spec.quantity(spec.max_steps)
        return {
            "exchangeFilters": EXCHANGE_FILTERS,
            "symbolFilters": [{"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 5}],
            "assetFilters": [{"filterType": "MAX_ASSET", "asset": spec.base, "limit": most}],
        }

    async def _delistings(self, request: web.Request) -> object:
        """Needs a key and no signature."""
        self._authenticator.check_key(request)
        return self._schedule("delistTime", lambda spec: spec.delivery_ms)

    async def _openings(self, request: web.Request) -> object:
        self._authenticator.check_key(request)
        return self._schedule("openTime", lambda spec: spec.onboard_ms)

    def _schedule(self, key: str, time_ms: Callable[[SymbolSpec], int]) -> list[dict[str, object]]:
        """The symbols of each time to come, soonest first."""
        symbols: dict[int, list[str]] = defaultdict(list)
        for market in self._market.listed(Venue.SPOT):
            symbols[time_ms(market.spec)].append(market.spec.symbol)
        now_ms = self._clock.now_ms()
        return [
            {key: at_ms, "symbols": symbols[at_ms]}
            for at_ms in sorted(symbols)
            if now_ms < at_ms < PERPETUAL_DELIVERY_MS
        ]


def _rules_weight(request: web.Request) -> int:
    if "symbol" in request.query:
        return _RULES_WEIGHT
    if "symbols" in request.query:
        count = request.query["symbols"].count(",") + 1
        return min(_RULES_WEIGHT * count, _RULES_WEIGHT_ALL)
    return _RULES_WEIGHT_ALL


def _rules(spec: SymbolSpec) -> dict[str, object]:
    """Only the symbols that are traded on margin have a price range."""
    return {"symbol": spec.symbol, "rules": [_PRICE_RANGE] if spec.margin_pair else []}
