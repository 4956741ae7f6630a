"""JSON values that every store returns unchanged."""

from collections.abc import Iterable, Mapping

INTEGER_MIN = -(1 << 63)
INTEGER_MAX = (1 << 63) - 1


def inexact_value_error(value: object) -> str:
    """Why a store may return *value* changed; empty if none does."""
    if value is None or isinstance(value, str | bool):
        return ""  # most are; each case before a match costs
    match value:
        case int():
            fits = INTEGER_MIN <= value <= INTEGER_MAX
            return "" if fits else f"{value} does not fit into 64 bits; write decimal text"
        case float():
            return "a ledger holds no floats; write decimal text"
        case Mapping():
            named = all(isinstance(name, str) for name in value)
            return _first_error(value.values()) if named else "JSON names must be text"
        case list() | tuple():
            return _first_error(value)
        case _:
            return f"{type(value).__name__} is not a JSON value"


def _first_error(values: Iterable[object]) -> str:
    for value in values:
        if problem := inexact_value_error(value):
            return problem
    return ""
