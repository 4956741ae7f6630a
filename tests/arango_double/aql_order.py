"""
How AQL compares any two values.

Types come first: null < boolean < number < string < array < object; a missing attribute is null,
so it is smaller than every number. Texts compare by language and not by code point: for ASCII this
is the root collation (punctuation < digits < letters, `a` < `A` < `b`).
"""

from typing import Any

_BEFORE_LETTERS = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FIRST_LETTER = len(_BEFORE_LETTERS) + 1

# Case decides only between texts that are else the same: it has no weight here.
_WEIGHTS = str.maketrans(
    {
        **{each: chr(weight) for weight, each in enumerate(_BEFORE_LETTERS, start=1)},
        **{each: chr(weight) for weight, each in enumerate(_LETTERS, _FIRST_LETTER)},
        **{each.upper(): chr(weight) for weight, each in enumerate(_LETTERS, _FIRST_LETTER)},
    }
)

Order = tuple[Any, ...]
"""
Compares as the value does; equal for equal values only.
"""


def order_of(value: Any) -> Order:
    """
    The place of *value* among all values.
    """
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, int | float):
        return (2, value)
    if isinstance(value, str):
        return (3, value.translate(_WEIGHTS), value.swapcase())
    if isinstance(value, list):
        return (4, tuple(order_of(each) for each in value))
    return (5, tuple((name, order_of(each)) for name, each in sorted(value.items())))
