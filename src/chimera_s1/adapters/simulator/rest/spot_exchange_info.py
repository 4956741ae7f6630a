"""`exchangeInfo` of spot, with its own filters and key names.

Many spot symbols say "0" in MARKET_LOT_SIZE, which means that LOT_SIZE applies. Some still have
older filters: MIN_NOTIONAL for NOTIONAL, PERCENT_PRICE for PERCENT_PRICE_BY_SIDE.
"""

from typing import Any

from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.rest.exchange_info import (
    lot_size,
    market_lot_size,
    price_filter,
    rate_limit,
)

_PRECISIONS = {
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "baseCommissionPrecision": 8,
    "quoteCommissionPrecision": 8,
}
_SPOT_FEATURES: dict[str, Any] = {
    "orderTypes": [
        "LIMIT",
        "LIMIT_MAKER",
        "MARKET",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
    ],
    "icebergAllowed": True,
    "ocoAllowed": True,
    "otoAllowed": True,
    "opoAllowed": True,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": True,
    "cancelReplaceAllowed": True,
    "amendAllowed": True,
    "pegInstructionsAllowed": True,
    "isSpotTradingAllowed": True,
}
_LEGACY_FEATURES: dict[str, Any] = {
    "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
    "otoAllowed": False,
    "opoAllowed": False,
    "amendAllowed": False,
    "pegInstructionsAllowed": False,
}
_SELF_TRADE_PREVENTION = {
    "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
    "allowedSelfTradePreventionModes": [
        "EXPIRE_TAKER",
        "EXPIRE_MAKER",
        "EXPIRE_BOTH",
        "DECREMENT",
        "TRANSFER",
    ],
}
_SPOT_PERMISSIONS = ["SPOT", "MARGIN", *(f"TRD_GRP_{n:03d}" for n in range(4, 214))]
"""Binance names more than 200 of them for one symbol."""

_SOR_ASSETS = ("BTC", "ETH")
_SOR_QUOTES = frozenset({"USDT", "USDC"})
EXCHANGE_FILTERS: list[dict[str, Any]] = [
    {"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 1000},
    {"filterType": "EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 200},
    {"filterType": "EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 10_000},
    {"filterType": "EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
]
_TRAILING_DELTA = {
    "filterType": "TRAILING_DELTA",
    "minTrailingAboveDelta": 10,
    "maxTrailingAboveDelta": 2000,
    "minTrailingBelowDelta": 10,
    "maxTrailingBelowDelta": 2000,
}
_PERCENT_PRICE_BY_SIDE = {
    "filterType": "PERCENT_PRICE_BY_SIDE",
    "bidMultiplierUp": "5",
    "bidMultiplierDown": "0.2",
    "askMultiplierUp": "5",
    "askMultiplierDown": "0.2",
    "avgPriceMins": 5,
}
_PERCENT_PRICE = {
    "filterType": "PERCENT_PRICE",
    "multiplierUp": "1.3000",
    "multiplierDown": "0.7000",
    "avgPriceMins": 5,
}
_SPOT_ORDER_COUNTS: list[dict[str, Any]] = [
    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
    {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
]


def spot_exchange_info(
    specs: list[SymbolSpec],
    now_ms: int,
    rate_limits: list[dict[str, Any]],
    *,
    permission_sets: bool,
) -> dict[str, Any]:
    """Reply of `GET /api/v3/exchangeInfo` for *specs*."""
    reply = {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": rate_limits,
        "exchangeFilters": EXCHANGE_FILTERS,
        "symbols": [_spot_symbol(spec, permission_sets=permission_sets) for spec in specs],
    }
    sors = _order_routing(specs)
    return {**reply, "sors": sors} if sors else reply


def order_types(spec: SymbolSpec) -> tuple[str, ...]:
    features = _LEGACY_FEATURES if spec.legacy else _SPOT_FEATURES
    return tuple(features["orderTypes"])


def spot_rate_limits(limits: RateLimits) -> list[dict[str, Any]]:
    weight, raw = limits.limit(Bucket.SPOT_WEIGHT), limits.limit(Bucket.SPOT_RAW)
    return [
        rate_limit("REQUEST_WEIGHT", "MINUTE", 1, weight),
        *spot_order_limits(limits),
        rate_limit("RAW_REQUESTS", "MINUTE", 5, raw),
    ]


def spot_order_limits(limits: RateLimits) -> list[dict[str, Any]]:
    return [
        rate_limit("ORDERS", "SECOND", 10, limits.limit(Bucket.SPOT_ORDERS_10S)),
        rate_limit("ORDERS", "DAY", 1, limits.limit(Bucket.SPOT_ORDERS_1D)),
    ]


def _order_routing(specs: list[SymbolSpec]) -> list[dict[str, Any]]:
    """Smart order routing between the dollar pairs of an asset; absent where there is none."""
    pairs = {
        base: [spec.symbol for spec in specs if spec.base == base and spec.quote in _SOR_QUOTES]
        for base in _SOR_ASSETS
    }
    return [
        {"baseAsset": base, "symbols": symbols}
        for base, symbols in pairs.items()
        if len(symbols) > 1
    ]


def _spot_symbol(spec: SymbolSpec, *, permission_sets: bool) -> dict[str, Any]:
    return {
        "symbol": spec.symbol,
        "status": spec.status,
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        **_PRECISIONS,
        **_SPOT_FEATURES,
        **(_LEGACY_FEATURES if spec.legacy else {}),
        "isMarginTradingAllowed": spec.margin_pair,
        "filters": _spot_filters(spec),
        "permissions": [],
        "permissionSets": [_permissions(spec)] if permission_sets else [],
        **_SELF_TRADE_PREVENTION,
    }


def _permissions(spec: SymbolSpec) -> list[str]:
    return [spec.trading_group] if spec.trading_group else _SPOT_PERMISSIONS


def _spot_filters(spec: SymbolSpec) -> list[dict[str, Any]]:
    market_step = "0.00000000" if spec.market_step_zero else spec.quantity(1)
    return [
        price_filter(spec),
        lot_size(spec),
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {**market_lot_size(spec), "minQty": "0.00000000", "stepSize": market_step},
        _TRAILING_DELTA,
        *(_legacy_value_filters(spec) if spec.legacy else _value_filters(spec)),
        *_SPOT_ORDER_COUNTS,
        *spec.extra_filters,
    ]


def _value_filters(spec: SymbolSpec) -> list[dict[str, Any]]:
    notional = {
        "filterType": "NOTIONAL",
        "minNotional": spec.min_notional,
        "applyMinToMarket": True,
        "maxNotional": "9000000.00000000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    }
    return [_PERCENT_PRICE_BY_SIDE, notional]


def _legacy_value_filters(spec: SymbolSpec) -> list[dict[str, Any]]:
    notional = {
        "filterType": "MIN_NOTIONAL",
        "minNotional": spec.min_notional,
        "applyToMarket": True,
        "avgPriceMins": 5,
    }
    most = {"filterType": "MAX_POSITION", "maxPosition": spec.quantity(spec.max_steps)}
    return [_PERCENT_PRICE, notional, most]
