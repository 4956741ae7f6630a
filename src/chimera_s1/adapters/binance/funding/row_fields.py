"""Fields that rows about funding have in common."""

from typing import Annotated, TypeAlias

from msgspec import Meta

from chimera_s1.domain.errors import InvalidValueError

EpochMs: TypeAlias = Annotated[int, Meta(ge=1, le=253_402_300_799_999)]
"""Up to the year 9999."""

_LENGTH_MAX = 32


def parse_name(field: str, text: str) -> str:
    """A type or an asset: the exchange may add one at any time.

    Raises:
        InvalidValueError: Not a name.
    """
    if not 0 < len(text) <= _LENGTH_MAX or not text.isprintable() or " " in text:
        raise InvalidValueError(f"{field} {text[:_LENGTH_MAX]!r} is not a name")
    return text
