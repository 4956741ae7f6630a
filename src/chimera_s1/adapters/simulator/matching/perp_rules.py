"""What Binance refuses of a futures order before it reaches the book, in its codes and words."""

import re
from decimal import Decimal

from chimera_s1.adapters.simulator.market.symbols import TRADIFI_PERPETUAL, SymbolSpec
from chimera_s1.adapters.simulator.matching.liquidity import BUY, SELL
from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder, NewPerpOrder
from chimera_s1.adapters.simulator.matching.perp_positions import BOTH, LONG, SHORT
from chimera_s1.adapters.simulator.matching.perp_settings import PerpSettings
from chimera_s1.adapters.simulator.rest.replies import BinanceError

OPEN_ORDERS_MAX = 200
CONDITIONAL_TYPES = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"})
_MOVED_TYPES = CONDITIONAL_TYPES | {"TRAILING_STOP_MARKET"}
TIMES_IN_FORCE = frozenset({"GTC", "IOC", "FOK", "GTX", "GTD"})
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
_CLIENT_ID_LENGTH = 36
_GOOD_TILL_MIN_MS = 600_000


def missing(name: str) -> BinanceError:
    return BinanceError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def not_required(name: str) -> BinanceError:
    return BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def check_parameters(new: NewPerpOrder, now_ms: int) -> None:
    """Types, sides and what each type must and must not have."""
    if new.type in _MOVED_TYPES:
        raise BinanceError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
            "instead.",
        )
    if new.type not in {"LIMIT", "MARKET"}:
        raise BinanceError(-1116, "Invalid orderType.")
    check_side(new.side)
    check_client_id(new.client_id)
    if new.qty is None:
        raise missing("quantity")
    if new.type == "MARKET":
        _check_market_parameters(new)
        return
    if new.price is None:
        raise missing("price")
    if new.time_in_force is None:
        raise missing("timeInForce")
    check_time_in_force(new.time_in_force)
    if new.time_in_force == "GTD":
        _check_good_till(new.good_till_ms, now_ms)


def _check_market_parameters(new: NewPerpOrder) -> None:
    if new.price is not None:
        raise not_required("price")
    if new.time_in_force is not None:
        raise not_required("timeInForce")


def _check_good_till(good_till_ms: int | None, now_ms: int) -> None:
    if good_till_ms is None:
        raise missing("goodTillDate")
    if good_till_ms <= now_ms + _GOOD_TILL_MIN_MS:
        raise BinanceError(-1130, "Data sent for parameter 'goodTillDate' is not valid.")


def check_side(side: str) -> None:
    if side not in {BUY, SELL}:
        raise BinanceError(-1117, "Invalid side.")


def check_time_in_force(time_in_force: str) -> None:
    if time_in_force not in TIMES_IN_FORCE:
        raise BinanceError(-1115, "Invalid timeInForce.")


def check_client_id(client_id: str) -> None:
    """Empty if none was sent."""
    if len(client_id) > _CLIENT_ID_LENGTH:
        raise BinanceError(-4015, "Client order id length should not be more than 36 chars")
    if client_id and not _CLIENT_ID.fullmatch(client_id):
        raise BinanceError(-4015, "Client order id is not valid.")


def check_symbol(spec: SymbolSpec, settings: PerpSettings, *, trading: bool) -> None:
    if not trading:
        raise BinanceError(-4140, "Invalid symbol status for opening position.")
    if spec.contract_type == TRADIFI_PERPETUAL and not settings.tradfi_signed:
        raise BinanceError(-4411, "Please sign TradFi-Perps agreement contract fapi.")


def checked_position_side(new: NewPerpOrder | NewAlgoOrder, settings: PerpSettings) -> str:
    """The position that *new* is for."""
    side = new.position_side or BOTH
    if side not in {BOTH, LONG, SHORT}:
        raise BinanceError(-4060, "Invalid position side.")
    if (side == BOTH) == settings.hedge_mode:
        raise BinanceError(-4061, "Order's position side does not match user's setting.")
    if settings.hedge_mode and new.reduce_only is not None:
        raise not_required("reduceonly")
    return side


def closes_only(side: str, position_side: str, *, reduce_only: bool) -> bool:
    """In hedge mode, an order against its position can open nothing."""
    return reduce_only or (position_side, side) in {(LONG, SELL), (SHORT, BUY)}


def check_quantity(spec: SymbolSpec, qty: Decimal, *, at_market: bool) -> None:
    step = Decimal(spec.quantity(1))
    if qty <= 0:
        raise BinanceError(-4003, "Quantity less than or equal to zero.")
    if qty % step:
        raise BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    if qty > step * (spec.market_max_steps if at_market else spec.max_steps):
        raise BinanceError(-4005, "Quantity greater than max quantity.")


def check_price(spec: SymbolSpec, price: Decimal) -> None:
    tick = Decimal(spec.price(1))
    if price <= 0:
        raise BinanceError(-4001, "Price less than 0.")
    if price % Decimal(1).scaleb(-spec.price_decimals):
        raise BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    if price > tick * spec.price_ticks * 100:
        raise BinanceError(-4002, "Price greater than max price.")
    if price % tick:
        raise BinanceError(-4014, "Price not increased by tick size.")


def check_price_band(spec: SymbolSpec, side: str, price: Decimal, mark: Decimal) -> None:
    """PERCENT_PRICE: a buyer is held from above, a seller from below."""
    part = Decimal(spec.price_band) / 100
    high, low = mark * (1 + part), mark * (1 - part)
    if side == BUY and price > high:
        raise BinanceError(
            -4016, f"Limit price can't be higher than {high:.{spec.price_decimals}f}."
        )
    if side == SELL and price < low:
        raise BinanceError(-4024, f"Limit price can't be lower than {low:.{spec.price_decimals}f}.")


def check_counterparty(spec: SymbolSpec, side: str, best: Decimal, mark: Decimal) -> None:
    """PERCENT_PRICE for a market order: the price it would take first."""
    part = Decimal(spec.price_band) / 100
    if best > mark * (1 + part) if side == BUY else best < mark * (1 - part):
        raise BinanceError(
            -4131,
            "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
        )


def check_notional(spec: SymbolSpec, qty: Decimal, price: Decimal) -> None:
    """Not for orders that only reduce."""
    if qty * price < Decimal(spec.min_notional):
        raise BinanceError(
            -4164,
            f"Order's notional must be no smaller than {Decimal(spec.min_notional):f} (unless you "
            "choose reduce only).",
        )
