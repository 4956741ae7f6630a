"""`exchangeInfo` of the futures, and what both venues have in common.

The same filter has two names: spot says `NOTIONAL.minNotional`, futures `MIN_NOTIONAL.notional`.
"""

from typing import Any

from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec

PERP_LIMITS = {
    "triggerProtect": "0.0500",
    "liquidationFee": "0.012500",
    "marketTakeBound": "0.05",
    "maxMoveOrderLimit": 10000,
}
PERP_FEATURES = {
    "orderTypes": [
        "LIMIT",
        "MARKET",
        "STOP",
        "STOP_MARKET",
        "TAKE_PROFIT",
        "TAKE_PROFIT_MARKET",
        "TRAILING_STOP_MARKET",
    ],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    "permissionSets": ["GRID", "COPY", "RPI", "DCA", "PSB"],
}
POSITION_RISK_CONTROL = {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"}


def perp_exchange_info(specs: list[SymbolSpec], now_ms: int, limits: RateLimits) -> dict[str, Any]:
    """Reply of `GET /fapi/v1/exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": perp_rate_limits(limits),
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in ("USDT", "USDC", "USD1", "BTC", "BNB")
        ],
        "symbols": [_perp_symbol(spec) for spec in specs],
    }


def perp_rate_limits(limits: RateLimits) -> list[dict[str, Any]]:
    """Of USD-M and COIN-M together; the limit of funding requests is not listed."""
    weight = limits.limit(Bucket.FUTURES_WEIGHT)
    return [rate_limit("REQUEST_WEIGHT", "MINUTE", 1, weight), *perp_order_limits(limits)]


def perp_order_limits(limits: RateLimits) -> list[dict[str, Any]]:
    return [
        rate_limit("ORDERS", "MINUTE", 1, limits.limit(Bucket.FUTURES_ORDERS_1M)),
        rate_limit("ORDERS", "SECOND", 10, limits.limit(Bucket.FUTURES_ORDERS_10S)),
    ]


def rate_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }


def _perp_symbol(spec: SymbolSpec) -> dict[str, Any]:
    return {
        "symbol": spec.symbol,
        "pair": spec.pair,
        "contractType": spec.contract_type,
        "deliveryDate": spec.delivery_ms,
        "onboardDate": spec.onboard_ms,
        "status": spec.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.quote,
        "pricePrecision": spec.price_decimals,
        "quantityPrecision": spec.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": spec.underlying_type,
        "underlyingSubType": list(spec.underlying_subtypes),
        **PERP_LIMITS,
        "filters": _perp_filters(spec),
        **PERP_FEATURES,
    }


def _perp_filters(spec: SymbolSpec) -> list[dict[str, Any]]:
    return [
        price_filter(spec),
        lot_size(spec),
        market_lot_size(spec),
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": spec.min_notional},
        percent_price(spec),
        POSITION_RISK_CONTROL,
        *spec.extra_filters,
    ]


def price_filter(spec: SymbolSpec) -> dict[str, Any]:
    return {
        "filterType": "PRICE_FILTER",
        "minPrice": spec.price(1),
        "maxPrice": spec.price(spec.price_ticks * 100),
        "tickSize": spec.price(1),
    }


def lot_size(spec: SymbolSpec) -> dict[str, Any]:
    return {
        "filterType": "LOT_SIZE",
        "minQty": spec.quantity(1),
        "maxQty": spec.quantity(spec.max_steps),
        "stepSize": spec.quantity(1),
    }


def market_lot_size(spec: SymbolSpec) -> dict[str, Any]:
    """Its maximum is far below that of LOT_SIZE."""
    most = spec.quantity(spec.market_max_steps)
    return {**lot_size(spec), "filterType": "MARKET_LOT_SIZE", "maxQty": most}


def percent_price(spec: SymbolSpec) -> dict[str, Any]:
    return {
        "filterType": "PERCENT_PRICE",
        "multiplierUp": f"{1 + spec.price_band / 100:.4f}",
        "multiplierDown": f"{1 - spec.price_band / 100:.4f}",
        "multiplierDecimal": "4",
    }
