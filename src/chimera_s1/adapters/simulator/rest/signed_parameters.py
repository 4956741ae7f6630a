"""Reading the parameters of signed requests, from query and body alike, with Binance's errors."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

from chimera_s1.adapters.simulator.rest.replies import BinanceError

_AMOUNT = r"([0-9]{1,20})(\.[0-9]{1,20})?"
_DECIMALS_MAX = 8


def required(parameters: Mapping[str, str], name: str, form: str) -> str:
    """The parameter *name*, which must be there and match the expression *form*.

    Raises:
        BinanceError: -1102 or -1100.
    """
    text = parameters.get(name, "")
    if not text:
        raise BinanceError(
            -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    if re.fullmatch(form, text, re.DOTALL) is None:
        raise BinanceError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^{form}$'."
        )
    return text


def integer(
    parameters: Mapping[str, str], name: str, default: int, *, lowest: int = 0, highest: int
) -> int:
    """A number that may be left out.

    Raises:
        BinanceError: -1100, it is no integer number; -1130, it is too small or too large.
    """
    if name not in parameters:
        return default
    value = int(required(parameters, name, r"[0-9]{1,20}"))
    if not lowest <= value <= highest:
        raise invalid_parameter(name)
    return value


def one_of(parameters: Mapping[str, str], name: str, allowed: Collection[str]) -> str:
    """One of the words *allowed*.

    Raises:
        BinanceError: -1102, it is missing; -1100 or -1130, it is another.
    """
    text = required(parameters, name, r"[A-Z_]{1,40}")
    if text not in allowed:
        raise invalid_parameter(name)
    return text


def positive_amount(parameters: Mapping[str, str]) -> Decimal:
    """The amount to execute_transfer, above zero.

    Raises:
        BinanceError: -1102, -1100, -1111 with more than eight decimals, -1130 for nothing.
    """
    text = required(parameters, "amount", _AMOUNT)
    if len(text.partition(".")[2].rstrip("0")) > _DECIMALS_MAX:
        raise BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    amount = Decimal(text)
    if not amount:
        raise invalid_parameter("amount")
    return amount


def invalid_parameter(name: str) -> BinanceError:
    """A parameter that can be read and makes no sense."""
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")
