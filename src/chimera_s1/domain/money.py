"""
How numbers are written for other services: the shortest exact decimal, never an exponent.
"""

from decimal import Decimal


def decimal_text(value: float) -> str:
    """
    The shortest decimal that reads back as the same float64: `0.00001`, `25`, `67403.8`.

    The market path is float64 end to end, so `repr` already names the shortest digits; only its
    exponent and its trailing `.0` have to go.

    Args:
        value: Finite. What is not finite must not reach a stream; the caller rejects it before.
    """
    text = repr(value)
    if "e" in text:
        return format(Decimal(text), "f")
    return text.removesuffix(".0")
