"""Conversion of treasury events to and from ledger records."""

from decimal import Decimal
from typing import Final, get_args

import msgspec
from msgspec import Struct

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Document, NewEvent, RecordedEvent
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.events import (
    CapEvent,
    ForeignMovementObserved,
    MovementEvent,
    TransferRejected,
    TransferRequested,
    TreasuryEvent,
)

_TAG: Final = "type"
_EVENT_TYPES: Final[dict[str, type[TreasuryEvent]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(TreasuryEvent)
}
_RENAMED_WALLET = (TransferRequested, TransferRejected, ForeignMovementObserved)
"""Version 2 names the wallet FUT, version 1 named it FUTURES; both are read."""

EVENT_VERSIONS: Final[dict[str, int]] = {
    tag: 2 if kind in _RENAMED_WALLET else 1 for tag, kind in _EVENT_TYPES.items()
}
"""The newest known version of each event type."""

TRANSFER_STREAM_PREFIX: Final = "transfer/"
CAP_STREAM_PREFIX: Final = "cap/"
MOVEMENT_STREAM_PREFIX: Final = "tran/"


class UnknownEvent(Struct, frozen=True):
    """An event written by a newer version of S1: shown, but not acted on."""

    stream: str
    type: str
    v: int


def transfer_stream(transfer_id: TransferId) -> str:
    return TRANSFER_STREAM_PREFIX + transfer_id


def cap_stream(day: str) -> str:
    return CAP_STREAM_PREFIX + day


def movement_stream(tran_id: str) -> str:
    return MOVEMENT_STREAM_PREFIX + tran_id


def stream_of(event: TreasuryEvent) -> str:
    if isinstance(event, CapEvent):
        return cap_stream(event.day)
    if isinstance(event, MovementEvent):
        return movement_stream(event.tran_id)
    return transfer_stream(event.transfer_id)


def to_new_event(event: TreasuryEvent) -> NewEvent:
    data = msgspec.to_builtins(event, builtin_types=(Decimal,))
    kind: str = data.pop(_TAG)
    return NewEvent(stream_of(event), kind, EVENT_VERSIONS[kind], _with_exact_amounts(data))


def _with_exact_amounts(data: Document) -> Document:
    """Amounts as exact text. `str` would write the smallest with an exponent."""
    return {name: _exact_value(value) for name, value in data.items()}


def _exact_value(value: object) -> object:
    match value:
        case Decimal():
            return exact_text(value)
        case dict():
            return _with_exact_amounts(value)
        case _:
            return value


def decode_event(record: RecordedEvent) -> TreasuryEvent | UnknownEvent:
    """Decode *record*.

    Raises:
        LedgerDamagedError: The data does not fit the event type.
    """
    newest = EVENT_VERSIONS.get(record.type, 0)
    if record.v > newest:
        return UnknownEvent(record.stream, record.type, record.v)
    # One class, not the union: msgspec analyses a union again on every call.
    kind = _EVENT_TYPES.get(record.type, TreasuryEvent)
    try:
        event: TreasuryEvent = msgspec.convert(
            {**record.data, _TAG: record.type}, kind, strict=True
        )
    except msgspec.ValidationError as error:
        raise LedgerDamagedError(
            f"{record.id}: not an event of type {record.type}: {error}"
        ) from error
    return event
