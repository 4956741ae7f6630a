"""Conversion of execution events to and from ledger records."""

from decimal import Decimal
from typing import Final, get_args

import msgspec
from msgspec import Struct

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.execution.events import (
    ExecutionEvent,
    FillEvent,
    FillRecorded,
    PositionAdopted,
)
from chimera_s1.domain.execution.reports import FillKey
from chimera_s1.domain.ledger.commit import NewEvent, RecordedEvent
from chimera_s1.domain.money import exact_text

_TAG: Final = "type"
_EVENT_TYPES: Final[dict[str, type[ExecutionEvent]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(ExecutionEvent)
}
EVENT_VERSIONS: Final[dict[str, int]] = dict.fromkeys(_EVENT_TYPES, 1)
"""The newest known version of each event type."""

ORDER_STREAM_PREFIX: Final = "order/"
FILL_STREAM_PREFIX: Final = "fill/"
POSITION_STREAM_PREFIX: Final = "position/"


class UnknownEvent(Struct, frozen=True):
    """An event written by a newer version of S1: shown, but not acted on."""

    stream: str
    type: str
    v: int


def order_stream(client_id: str) -> str:
    return ORDER_STREAM_PREFIX + client_id


def fill_stream(key: FillKey) -> str:
    return f"{FILL_STREAM_PREFIX}{key.venue.value}/{key.symbol}/{key.order_id}/{key.trade_id}"


def stream_of(event: ExecutionEvent) -> str:
    if isinstance(event, FillEvent):
        return fill_stream(event.fill.key if isinstance(event, FillRecorded) else event.key)
    if isinstance(event, PositionAdopted):
        return f"{POSITION_STREAM_PREFIX}{event.symbol}/{event.position_side}"
    return order_stream(event.client_id)


def to_new_event(event: ExecutionEvent) -> NewEvent:
    data = msgspec.to_builtins(event, builtin_types=(Decimal,))
    kind: str = data.pop(_TAG)
    exact = {name: _exact_value(value) for name, value in data.items()}
    return NewEvent(stream_of(event), kind, EVENT_VERSIONS[kind], exact)


def _exact_value(value: object) -> object:
    """Decimals as exact text: `str` would write the smallest with an exponent."""
    match value:
        case Decimal():
            return exact_text(value)
        case dict():
            return {name: _exact_value(member) for name, member in value.items()}
        case list() | tuple():
            return [_exact_value(member) for member in value]
        case _:
            return value


def decode_event(record: RecordedEvent) -> ExecutionEvent | UnknownEvent:
    """Decode *record*.

    Raises:
        LedgerDamagedError: The data does not fit the event type.
    """
    kind = _EVENT_TYPES.get(record.type)
    if kind is None or record.v > EVENT_VERSIONS[record.type]:
        return UnknownEvent(record.stream, record.type, record.v)
    try:
        # One class, not the union: msgspec analyses a union again on every call.
        event: ExecutionEvent = msgspec.convert(
            {**record.data, _TAG: record.type}, kind, strict=True
        )
    except msgspec.ValidationError as error:
        raise LedgerDamagedError(
            f"{record.id}: not an event of type {record.type}: {error}"
        ) from error
    return event
