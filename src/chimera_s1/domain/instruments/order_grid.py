"""Legal values of a price or a quantity: evenly spaced, within bounds. Decimal throughout."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_DOWN, Context, Decimal, localcontext
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.money import exact_text

EXACT_PRECISION = 100
"""Enough digits that no sum, product or quotient of checked numbers is rounded."""

EXACT = Context(prec=EXACT_PRECISION)

_DIGITS_MAX = 40
_EXPONENT_MAX = 30


class Rounding(StrEnum):
    """*NEAREST* takes the lower of two values that are as near."""

    DOWN = "down"
    UP = "up"
    NEAREST = "nearest"


class Grid(Struct, frozen=True, kw_only=True):
    """The values *origin* + n x *step*, from *minimum* to *maximum*, above 0.

    Attributes:
        name: In errors: `price`.
        step, minimum, maximum: None where the venue sets no such rule.
    """

    name: str
    step: Decimal | None
    origin: Decimal = Decimal(0)
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def defect(self, value: Decimal) -> str:
        """Why *value* is not legal; empty if it is."""
        check_exact(self.name, value)
        text = f"{self.name} {exact_text(value)} is"
        if value <= 0:
            return f"{text} not above 0"
        if self.minimum is not None and value < self.minimum:
            return f"{text} below the minimum {exact_text(self.minimum)}"
        if self.maximum is not None and value > self.maximum:
            return f"{text} above the maximum {exact_text(self.maximum)}"
        if self.step is not None and not self.contains(value):
            start = f" from {exact_text(self.origin)}" if self.origin else ""
            return f"{text} not a multiple of {exact_text(self.step)}{start}"
        return ""

    def round(self, value: Decimal, rounding: Rounding) -> Decimal:
        """The legal value next to *value*.

        Raises:
            InvalidValueError: It is out of bounds: a bound never turns a value into another one.
        """
        snapped = self.snap(value, rounding)
        if defect := self.defect(snapped):
            raise InvalidValueError(
                f"{defect} ({exact_text(value)} rounded {rounding.value})"
                if snapped != value
                else defect
            )
        return snapped

    def contains(self, value: Decimal) -> bool:
        """Whether *value*, an exact number, is on the grid, within the bounds or not."""
        if self.step is None:
            return True
        return not EXACT.remainder(EXACT.subtract(value, self.origin), self.step)

    def snap(self, value: Decimal, rounding: Rounding) -> Decimal:
        """The value on the grid next to *value*, within the bounds or not."""
        check_exact(self.name, value)
        if self.step is None:
            return value
        with localcontext(prec=EXACT_PRECISION):
            steps, rest = divmod(value - self.origin, self.step)
            if not rest:
                return value
            nearest = steps + rest / self.step
            return self.origin + self.step * nearest.to_integral_value(_mode(rounding))


def _mode(rounding: Rounding) -> str:
    match rounding:
        case Rounding.DOWN:
            return ROUND_FLOOR
        case Rounding.UP:
            return ROUND_CEILING
        case Rounding.NEAREST:
            return ROUND_HALF_DOWN
        case _:
            assert_never(rounding)


def check_exact(name: str, value: Decimal) -> None:
    """Raises:
    InvalidValueError: Not a finite decimal of a size that exact arithmetic is made for.
    """
    if not isinstance(value, Decimal):
        raise InvalidValueError(f"{name} {value!r} is not a Decimal; a float is not exact")
    if (
        not value.is_finite()
        or len(value.as_tuple().digits) > _DIGITS_MAX
        or abs(value.adjusted()) > _EXPONENT_MAX
    ):
        text = str(value)[:_DIGITS_MAX]
        raise InvalidValueError(f"{name} {text} is not a number of at most {_DIGITS_MAX} digits")
