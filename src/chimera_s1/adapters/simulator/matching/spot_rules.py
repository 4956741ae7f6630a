"""What Binance refuses of a spot order before it reaches the book, in its codes and words."""

from collections.abc import Mapping
from decimal import Decimal

from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.new_orders import NewSpotOrder
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.spot_exchange_info import order_types

MARKET_TYPES = frozenset({"MARKET", "STOP_LOSS", "TAKE_PROFIT"})
STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
ORDERS_MAX, STOPS_MAX = 200, 5
_DECIMALS_MAX = 8
_NAMES = {
    "time_in_force": "timeInForce",
    "qty": "quantity",
    "quote_qty": "quoteOrderQty",
    "price": "price",
    "stop_price": "stopPrice",
}
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "LIMIT": ("time_in_force", "qty", "price"),
    "LIMIT_MAKER": ("qty", "price"),
    "MARKET": (),
    "STOP_LOSS": ("qty", "stop_price"),
    "STOP_LOSS_LIMIT": ("time_in_force", "qty", "price", "stop_price"),
    "TAKE_PROFIT": ("qty", "stop_price"),
    "TAKE_PROFIT_LIMIT": ("time_in_force", "qty", "price", "stop_price"),
}
_UNSUPPORTED = {
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}
_BANDS = {False: (Decimal("0.2"), Decimal(5)), True: (Decimal("0.7"), Decimal("1.3"))}
_NOTIONAL_MAX = Decimal(9_000_000)


def check_parameters(new: NewSpotOrder) -> None:
    """Those that may be said without knowing the symbol."""
    if new.side not in {"BUY", "SELL"}:
        raise BinanceError(-1117, "Invalid side.")
    required = _REQUIRED.get(new.type)
    if required is None:
        raise BinanceError(-1116, "Invalid orderType.")
    if new.time_in_force not in {None, "GTC", "IOC", "FOK"}:
        raise BinanceError(-1115, "Invalid timeInForce.")
    if new.type == "MARKET":
        required = (_market_quantity(new),)
    for name, label in _NAMES.items():
        value = getattr(new, name)
        if value is None and name in required:
            raise BinanceError(
                -1102, f"Mandatory parameter '{label}' was not sent, was empty/null, or malformed."
            )
        if value is not None and name not in required:
            raise BinanceError(-1106, f"Parameter '{label}' sent when not required.")
        if isinstance(value, Decimal):
            _check_number(label, value)


def _market_quantity(new: NewSpotOrder) -> str:
    if new.qty is None and new.quote_qty is None:
        raise BinanceError(
            -1102,
            "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
        )
    return "quote_qty" if new.qty is None else "qty"


def _check_number(label: str, value: Decimal) -> None:
    exponent = value.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > _DECIMALS_MAX:
        raise BinanceError(-1111, f"Parameter '{label}' has too much precision.")
    if value <= 0:
        raise BinanceError(-1013, f"Invalid {label}.")


def check_symbol(spec: SymbolSpec, order_type: str) -> None:
    if not spec.is_trading:
        raise BinanceError(-1013, "Market is closed.")
    if order_type not in order_types(spec):
        raise BinanceError(-1013, _UNSUPPORTED[order_type])


def check_filters(spec: SymbolSpec, new: NewSpotOrder, qty: Decimal, last: Decimal) -> None:
    """*qty* is the quantity that a market order by quote comes to; *last* is a price."""
    tick, step = Decimal(spec.price(1)), Decimal(spec.quantity(1))
    for price in (new.price, new.stop_price):
        _require(price is None or tick <= price <= tick * spec.price_ticks * 100, "PRICE_FILTER")
        _require(price is None or price % tick == 0, "PRICE_FILTER")
    low, high = _BANDS[spec.legacy]
    band = "PERCENT_PRICE" if spec.legacy else "PERCENT_PRICE_BY_SIDE"
    _require(new.price is None or last * low <= new.price <= last * high, band)
    _require(step <= qty <= step * spec.max_steps and qty % step == 0, "LOT_SIZE")
    at_market = new.type in MARKET_TYPES
    _require(not at_market or qty <= step * spec.market_max_steps, "MARKET_LOT_SIZE")
    notional = qty * (new.price or new.stop_price or last)
    name = "MIN_NOTIONAL" if spec.legacy else "NOTIONAL"
    _require(notional >= Decimal(spec.min_notional), name)
    _require(at_market or spec.legacy or notional <= _NOTIONAL_MAX, name)


def check_counts(orders: int, stops: int) -> None:
    """How many orders, and stop orders, the symbol would have."""
    _require(orders <= ORDERS_MAX, "MAX_NUM_ORDERS")
    _require(stops <= STOPS_MAX, "MAX_NUM_ALGO_ORDERS")


def _require(kept: bool, name: str) -> None:  # the rule itself
    if not kept:
        raise BinanceError(-1013, f"Filter failure: {name}")


def triggers(side: str, order_type: str, stop_price: Decimal, last: Decimal) -> bool:
    """Whether a stop order goes to the book at the price *last*."""
    if order_type.startswith("STOP_LOSS") == (side == "BUY"):
        return last >= stop_price
    return last <= stop_price
