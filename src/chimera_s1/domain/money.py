"""Amounts of money, and how numbers are written for other services: the shortest exact decimal,
never an exponent.
"""

import re
from decimal import Decimal, InvalidOperation, localcontext

from chimera_s1.domain.errors import InvalidValueError

USDT_DECIMALS = 8
USDT_MAX = Decimal(10) ** 12
"""No amount is larger; more than there are. It bounds what arithmetic has to hold exactly."""

_PRECISION = 40
_NUMBER = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(s?nan|inf(inity)?)", re.ASCII | re.IGNORECASE
)


def decimal_text(value: float) -> str:
    """The shortest decimal that reads back as the same float64: `0.00001`, `25`, `67403.8`.

    The market path is float64 end to end, so `repr` already names the shortest digits; only its
    exponent and its trailing `.0` have to go.

    Args:
        value: Finite. What is not finite must not reach a stream; the caller rejects it before.
    """
    text = repr(value)
    if "e" in text:
        return format(Decimal(text), "f")
    return text.removesuffix(".0")


def exact_text(amount: Decimal) -> str:
    """The shortest plain decimal of *amount*: `10`, `0.5`, never `1E+1` or `0.50`."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_usdt(amount: Decimal | str | int) -> Decimal:
    """An amount of USDT, more than 0, in the one form in which it is stored and compared.

    Raises:
        InvalidValueError: Not a number, not finite, not above 0, more than 8 decimals, or more
            than there are.
    """
    with localcontext(prec=_PRECISION):
        # Decimal reads more than people write: 1_000, Arabic digits, white space around.
        if isinstance(amount, str) and _NUMBER.fullmatch(amount) is None:
            raise InvalidValueError("an amount is a decimal number, like 12.5")
        try:
            value = Decimal(amount)
        except InvalidOperation as error:
            raise InvalidValueError("an amount is a decimal number, like 12.5") from error
        if not value.is_finite():
            raise InvalidValueError("an amount is a finite decimal number, like 12.5")
        if value <= 0:
            raise InvalidValueError("an amount is more than 0")
        if value > USDT_MAX:
            raise InvalidValueError(f"an amount is at most {USDT_MAX}")
        too_many_decimals = InvalidValueError(f"an amount has at most {USDT_DECIMALS} decimals")
        if value.adjusted() < -USDT_DECIMALS:
            raise too_many_decimals  # before it is written out: 1e-999999999 takes a gigabyte
        shortest = Decimal(exact_text(value))
        if -int(shortest.as_tuple().exponent) > USDT_DECIMALS:
            raise too_many_decimals
        return shortest
