"""Amounts of money, and numbers as text: the shortest exact decimal, never an exponent."""

import re
from decimal import Decimal, InvalidOperation, localcontext

from chimera_s1.domain.errors import InvalidValueError

USDT_DECIMALS = 8
USDT_MAX = Decimal(10) ** 12
"""Upper bound of an amount, above the total supply; keeps arithmetic exact."""

_PRECISION = 40
_NUMBER = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(s?nan|inf(inity)?)", re.ASCII | re.IGNORECASE
)


def decimal_text(value: float) -> str:
    """The shortest decimal that parses to the same float64: `0.00001`, `25`, `67403.8`.

    `repr` gives the shortest digits; only its exponent and a trailing `.0` are removed. *value*
    must be finite: the caller rejects other values.
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
    """An amount above 0 with at most 8 decimals, in its canonical form."""
    with localcontext(prec=_PRECISION):
        # Decimal accepts too much: 1_000, Arabic digits, surrounding whitespace.
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
            raise too_many_decimals  # before formatting: 1e-999999999 would take a gigabyte
        shortest = Decimal(exact_text(value))
        if -int(shortest.as_tuple().exponent) > USDT_DECIMALS:
            raise too_many_decimals
        return shortest
