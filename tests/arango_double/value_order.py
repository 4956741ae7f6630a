"""The order in which AQL sorts and compares values.

Types come first: null < boolean < number < string; a missing attribute is null. Strings compare by
language and not by code point: for ASCII this is the ICU root collation (punctuation < digits <
letters, `a` < `A` < `b`).
"""

from typing import Any

from tests.arango_double.errors import UnknownRequestError

_BEFORE_LETTERS = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FIRST_LETTER = len(_BEFORE_LETTERS) + 1

# Case decides only between strings that are otherwise equal, so it has no weight here.
_WEIGHTS = str.maketrans(
    {
        **{each: chr(weight) for weight, each in enumerate(_BEFORE_LETTERS, start=1)},
        **{each: chr(weight) for weight, each in enumerate(_LETTERS, _FIRST_LETTER)},
        **{each.upper(): chr(weight) for weight, each in enumerate(_LETTERS, _FIRST_LETTER)},
    }
)


def order_of(value: Any) -> tuple[Any, ...]:
    """A sort key; two are equal exactly when AQL calls the values equal."""
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, int | float):
        return (2, value)
    if isinstance(value, str):
        return (3, value.translate(_WEIGHTS), value.swapcase())
    raise UnknownRequestError(f"how to compare {value!r} in AQL")
