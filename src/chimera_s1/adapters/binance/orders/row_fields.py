"""Fields that all rows about orders write in the same way."""

from decimal import Context, Decimal

from chimera_s1.adapters.binance.exact_numbers import signed

_PRICES = Context(prec=16)
"""Average prices are quotients; a float64 holds as many digits."""


def number(name: str, text: str) -> Decimal:
    """0 where Binance writes nothing.

    Raises:
        InvalidValueError: Not a decimal number.
    """
    return signed(name, text) if text else Decimal(0)


def average(quote: Decimal, qty: Decimal) -> Decimal | None:
    return _PRICES.divide(quote, qty) if quote > 0 and qty > 0 else None


def id_text(number: int) -> str:
    """Empty for the -1 and 0 that stand for none."""
    return str(number) if number > 0 else ""
