"""Numbers of replies, in their shortest exact form."""

import re
from decimal import Decimal, InvalidOperation

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.order_grid import check_exact
from chimera_s1.domain.money import exact_text

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def bounded_number(text: str) -> Decimal:
    """A JSON number of any size: 1e99999999 has a hundred million digits when it is written out.

    Raises:
        InvalidValueError: Too many digits.
    """
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise InvalidValueError(f"{text[:40]} is too large or too small a number") from error
    check_exact("number", value)
    return value


def exact(name: str, value: Decimal) -> Decimal:
    """Raises:
    InvalidValueError: Negative, not finite, or of too many digits.
    """
    check_exact(name, value)
    if value < 0:
        raise InvalidValueError(f"{name} {exact_text(value)} is below 0")
    return Decimal(exact_text(value))


def signed(name: str, text: str) -> Decimal:
    """Raises:
    InvalidValueError: Not a decimal number, or of too many digits.
    """
    # Decimal also reads 1_000, other digits than 0 to 9, and NaN.
    if _DECIMAL.fullmatch(text) is None:
        raise InvalidValueError(f"{name} {text[:40]!r} is not a decimal number")
    value = bounded_number(text)
    return Decimal(exact_text(value)) if value else Decimal(0)
