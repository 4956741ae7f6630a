"""What Binance refuses of an OCO before it reaches the book."""

from decimal import Decimal

from chimera_s1.adapters.simulator.matching.new_orders import NewOco, OcoLeg
from chimera_s1.adapters.simulator.rest.replies import BinanceError

_LIMITS = frozenset({"LIMIT_MAKER"})
_STOPS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT"})
_PROFITS = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


def check_legs(new: NewOco) -> None:
    """One leg takes profit, the other stops the loss, each on its side of the market."""
    above, below = new.above.type, new.below.type
    if not {above, below} <= _LIMITS | _STOPS | _PROFITS:
        raise BinanceError(-1158, "Order type not supported in OCO.")
    if above in _LIMITS and below in _LIMITS:
        raise BinanceError(-1168, "At least one OCO order must be contingent.")
    if new.side == "BUY":
        _refuse(above in _LIMITS, -1165, "A limit order in a buy OCO must be below.")
        _refuse(below in _STOPS, -1196, "A stop loss order in a buy OCO must be above.")
        _refuse(above in _PROFITS, -1198, "A take profit order in a buy OCO must be below.")
    else:
        _refuse(below in _LIMITS, -1166, "A limit order in a sell OCO must be above.")
        _refuse(above in _STOPS, -1197, "A stop loss order in a sell OCO must be below.")
        _refuse(below in _PROFITS, -1199, "A take profit order in a sell OCO must be above.")


def check_prices(new: NewOco, last: Decimal) -> None:
    """The market lies between the legs."""
    above, below = _trigger(new.above), _trigger(new.below)
    _refuse(
        not below < last < above,
        -2010,
        "The relationship of the prices for the orders is not correct.",
    )


def _trigger(leg: OcoLeg) -> Decimal:
    return leg.stop_price or leg.price or Decimal(0)


def _refuse(wrong: bool, code: int, message: str) -> None:  # the rule itself
    if wrong:
        raise BinanceError(code, message)
