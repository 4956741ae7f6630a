"""What every store gives back as it was given."""

from collections.abc import Iterable, Mapping

INTEGER_MIN = -(1 << 63)
INTEGER_MAX = (1 << 63) - 1


def inexact_value_error(value: object) -> str:
    """Why *value* may come back as another one than it was; empty where it does not."""
    match value:
        case None | bool() | str():
            return ""
        case int():
            fits = INTEGER_MIN <= value <= INTEGER_MAX
            return "" if fits else f"{value} does not fit into 64 bits; write decimal text"
        case float():
            return "a ledger holds no floats; write decimal text"
        case Mapping():
            named = all(isinstance(name, str) for name in value)
            return _first(value.values()) if named else "the names in JSON are text"
        case list() | tuple():
            return _first(value)
        case _:
            return f"{type(value).__name__} is no JSON value"


def _first(values: Iterable[object]) -> str:
    return next(filter(None, map(inexact_value_error, values)), "")
