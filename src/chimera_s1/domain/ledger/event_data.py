"""Events as the data of ledger records. The tag of their class is the record's type."""

from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import Document, RecordedEvent
from chimera_s1.domain.money import exact_text

_TAG: Final = "type"
_Event = TypeVar("_Event")


class UnknownEvent(Struct, frozen=True):
    """An event written by a newer version of S1: shown, but not acted on."""

    stream: str
    type: str
    v: int


def tag_of(kind: type[Struct]) -> str:
    return str(kind.__struct_config__.tag)


def to_data(event: Struct) -> Document:
    """The fields of *event*, decimals as exact text: `str` would write the smallest with an
    exponent.
    """
    data = msgspec.to_builtins(event, builtin_types=(Decimal,))
    del data[_TAG]
    return {name: _exact_value(value) for name, value in data.items()}


def from_data(record: RecordedEvent, kind: type[_Event]) -> _Event:
    """*record* as an event of *kind*; one class, because msgspec analyses a union on every call.

    Raises:
        LedgerDamagedError: The data does not fit.
    """
    try:
        return msgspec.convert({**record.data, _TAG: record.type}, kind, strict=True)
    except msgspec.ValidationError as error:
        raise LedgerDamagedError(
            f"{record.id}: not an event of type {record.type}: {error}"
        ) from error


def _exact_value(value: object) -> object:
    if isinstance(value, str):
        return value  # most are; each case before a match costs
    match value:
        case Decimal():
            return exact_text(value)
        case dict():
            return {name: _exact_value(member) for name, member in value.items()}
        case list() | tuple():
            return [_exact_value(member) for member in value]
        case _:
            return value
