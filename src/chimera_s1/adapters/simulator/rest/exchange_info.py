"""`exchangeInfo` of both venues, with each venue's own filters and key names.

The same filter has two names: spot says `NOTIONAL.minNotional`, futures `MIN_NOTIONAL.notional`.
Many spot symbols say "0" in MARKET_LOT_SIZE, which means that LOT_SIZE applies.
"""

from typing import Any

from chimera_s1.adapters.simulator.config import SPOT_IP_WEIGHT
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec

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
    "permissionSets": ["GRID", "COPY", "RPI", "DCA", "PSB"],
}
POSITION_RISK_CONTROL = {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"}


def spot_exchange_info(
    specs: list[SymbolSpec], now_ms: int, *, permission_sets: bool
) -> dict[str, Any]:
    """Reply of `GET /api/v3/exchangeInfo` for *specs*."""
    reply = {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, SPOT_IP_WEIGHT),
            _limit("ORDERS", "SECOND", 10, 100),
            _limit("ORDERS", "DAY", 1, 200_000),
            _limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ],
        "exchangeFilters": EXCHANGE_FILTERS,
        "symbols": [_spot_symbol(spec, permission_sets=permission_sets) for spec in specs],
    }
    sors = _order_routing(specs)
    return {**reply, "sors": sors} if sors else reply


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


def perp_exchange_info(specs: list[SymbolSpec], now_ms: int, ip_weight: int) -> dict[str, Any]:
    """Reply of `GET /fapi/v1/exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": perp_rate_limits(ip_weight),
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in ("USDT", "USDC", "USD1", "BTC", "BNB")
        ],
        "symbols": [_perp_symbol(spec) for spec in specs],
    }


def perp_rate_limits(ip_weight: int) -> list[dict[str, Any]]:
    """Of USD-M and COIN-M together; the limit of funding requests is not listed."""
    return [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, ip_weight),
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
        "permissionSets": [_permissions(spec)] if permission_sets else [],
        **_SELF_TRADE_PREVENTION,
    }


def _permissions(spec: SymbolSpec) -> list[str]:
    return [spec.trading_group] if spec.trading_group else _SPOT_PERMISSIONS


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
        lot_size(spec),
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {**market_lot_size(spec), "minQty": "0.00000000", "stepSize": market_step},
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
