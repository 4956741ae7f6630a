"""Numbers of rules, in their shortest exact form."""

from decimal import Decimal

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.order_grid import check_exact
from chimera_s1.domain.money import exact_text


def exact(name: str, value: Decimal) -> Decimal:
    """Raises:
    InvalidValueError: Negative, not finite, or of too many digits.
    """
    check_exact(name, value)
    if value < 0:
        raise InvalidValueError(f"{name} {exact_text(value)} is below 0")
    return Decimal(exact_text(value))
