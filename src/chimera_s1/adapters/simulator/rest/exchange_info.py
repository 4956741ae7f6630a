"""`exchangeInfo` of both venues, with each venue's own filters and key names.

The same filter has two names: spot says `NOTIONAL.minNotional`, futures `MIN_NOTIONAL.notional`.
Many spot symbols say "0" in MARKET_LOT_SIZE, which means that LOT_SIZE applies.
"""

from typing import Any

from chimera_s1.adapters.simulator.config import PERP_IP_WEIGHT, SPOT_IP_WEIGHT
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec

_QUANTITY_MAX_STEPS = 900_000_000
_PRECISIONS = {
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "baseCommissionPrecision": 8,
    "quoteCommissionPrecision": 8,
}
_SPOT_FEATURES = {
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
_SELF_TRADE_PREVENTION = {
    "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
    "allowedSelfTradePreventionModes": [
        "EXPIRE_TAKER",
        "EXPIRE_MAKER",
        "EXPIRE_BOTH",
        "DECREMENT",
    ],
}
_SPOT_PERMISSIONS = ["SPOT", "MARGIN", "TRD_GRP_004", "TRD_GRP_005"]
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
_SPOT_ORDER_COUNTS: list[dict[str, Any]] = [
    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
    {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
]
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
    "permissionSets": ["GRID", "COPY"],
}
PERCENT_PRICE = {
    "filterType": "PERCENT_PRICE",
    "multiplierUp": "1.0500",
    "multiplierDown": "0.9500",
    "multiplierDecimal": "4",
}


def spot_exchange_info(
    specs: list[SymbolSpec], now_ms: int, *, permission_sets: bool
) -> dict[str, Any]:
    """Reply of `GET /api/v3/exchangeInfo` for *specs*."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, SPOT_IP_WEIGHT),
            _limit("ORDERS", "SECOND", 10, 100),
            _limit("ORDERS", "DAY", 1, 200_000),
            _limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ],
        "exchangeFilters": [],
        "symbols": [_spot_symbol(spec, permission_sets=permission_sets) for spec in specs],
    }


def perp_exchange_info(specs: list[SymbolSpec], now_ms: int) -> dict[str, Any]:
    """Reply of `GET /fapi/v1/exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": perp_rate_limits(),
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in ("USDT", "USDC", "BTC")
        ],
        "symbols": [_perp_symbol(spec) for spec in specs],
    }


def perp_rate_limits() -> list[dict[str, Any]]:
    return [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, PERP_IP_WEIGHT),
        _limit("ORDERS", "MINUTE", 1, 1200),
        _limit("ORDERS", "SECOND", 10, 300),
    ]


def _limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }


def _spot_symbol(spec: SymbolSpec, *, permission_sets: bool) -> dict[str, Any]:
    return {
        "symbol": spec.symbol,
        "status": spec.status,
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        **_PRECISIONS,
        **_SPOT_FEATURES,
        "isMarginTradingAllowed": spec.margin_pair,
        "filters": _spot_filters(spec),
        "permissions": [],
        "permissionSets": [_SPOT_PERMISSIONS] if permission_sets else [],
        **_SELF_TRADE_PREVENTION,
    }


def _spot_filters(spec: SymbolSpec) -> list[dict[str, Any]]:
    market_step = "0.00000000" if spec.market_step_zero else spec.quantity(1)
    notional = {
        "filterType": "NOTIONAL",
        "minNotional": spec.min_notional,
        "applyMinToMarket": True,
        "maxNotional": "9000000.00000000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    }
    return [
        price_filter(spec),
        lot_size("LOT_SIZE", spec, spec.quantity(1), spec.quantity(1)),
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        lot_size("MARKET_LOT_SIZE", spec, "0.00000000", market_step),
        _TRAILING_DELTA,
        _PERCENT_PRICE_BY_SIDE,
        notional,
        *_SPOT_ORDER_COUNTS,
        *spec.extra_filters,
    ]


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
        lot_size("LOT_SIZE", spec, spec.quantity(1), spec.quantity(1)),
        lot_size("MARKET_LOT_SIZE", spec, spec.quantity(1), spec.quantity(1)),
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": spec.min_notional},
        PERCENT_PRICE,
        *spec.extra_filters,
    ]


def price_filter(spec: SymbolSpec) -> dict[str, Any]:
    return {
        "filterType": "PRICE_FILTER",
        "minPrice": spec.price(1),
        "maxPrice": spec.price(spec.price_ticks * 100),
        "tickSize": spec.price(1),
    }


def lot_size(kind: str, spec: SymbolSpec, smallest: str, step: str) -> dict[str, Any]:
    return {
        "filterType": kind,
        "minQty": smallest,
        "maxQty": spec.quantity(_QUANTITY_MAX_STEPS),
        "stepSize": step,
    }
