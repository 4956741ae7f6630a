"""Public endpoints of the COIN-M futures (`/dapi/v1`), which share host and weight with USD-M here.

Binance counts both on one limit since their integration of June 2026. Clients that load every
market (ccxt) read the listing; nothing else of COIN-M is simulated.
"""

from typing import Any

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.rest.exchange_info import (
    PERP_FEATURES,
    PERP_LIMITS,
    lot_size,
    market_lot_size,
    percent_price,
    perp_rate_limits,
    price_filter,
)
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.domain.identifiers import Venue

_CONTRACT_SIZES = {"BTC": 100}
_CONTRACT_SIZE_DEFAULT = 10


class CoinMarketRoutes:
    def __init__(self, market: Market, clock: ScaledClock, limits: RateLimits) -> None:
        self._market = market
        self._clock = clock
        self._limits = limits

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/dapi/v1/ping", self._ping, fixed_weight(1)),
            Route("GET", "/dapi/v1/time", self._time, fixed_weight(1)),
            Route("GET", "/dapi/v1/exchangeInfo", self._exchange_info, fixed_weight(1)),
        ]

    async def _ping(self, _: web.Request) -> object:
        return {}

    async def _time(self, _: web.Request) -> object:
        return {"serverTime": self._clock.now_ms()}

    async def _exchange_info(self, _: web.Request) -> object:
        specs = [market.spec for market in self._market.listed(Venue.PERP)]
        return {
            "timezone": "UTC",
            "serverTime": self._clock.now_ms(),
            "rateLimits": perp_rate_limits(self._limits),
            "exchangeFilters": [],
            "symbols": [_contract(spec) for spec in specs if not spec.is_usd_margined],
        }


def _contract(spec: SymbolSpec) -> dict[str, Any]:
    """COIN-M says `contractStatus` where USD-M says `status`, and counts in contracts of USD."""
    return {
        "symbol": spec.symbol,
        "pair": spec.pair,
        "contractType": spec.contract_type,
        "deliveryDate": spec.delivery_ms,
        "onboardDate": spec.onboard_ms,
        "contractStatus": spec.status,
        "contractSize": _CONTRACT_SIZES.get(spec.base, _CONTRACT_SIZE_DEFAULT),
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.base,
        "pricePrecision": spec.price_decimals,
        "quantityPrecision": spec.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "equalQtyPrecision": 4,
        "underlyingType": spec.underlying_type,
        "underlyingSubType": list(spec.underlying_subtypes),
        **PERP_LIMITS,
        "filters": _filters(spec),
        **PERP_FEATURES,
    }


def _filters(spec: SymbolSpec) -> list[dict[str, Any]]:
    return [
        price_filter(spec),
        lot_size(spec),
        market_lot_size(spec),
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        percent_price(spec),
    ]
