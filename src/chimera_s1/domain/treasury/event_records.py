"""Conversion of treasury events to and from ledger records."""

from typing import Final, get_args

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import NewEvent, RecordedEvent
from chimera_s1.domain.ledger.event_data import UnknownEvent, from_data, tag_of, to_data
from chimera_s1.domain.treasury.events import (
    CapEvent,
    ForeignMovementObserved,
    MovementEvent,
    TransferRejected,
    TransferRequested,
    TreasuryEvent,
)

_EVENT_TYPES: Final[dict[str, type[TreasuryEvent]]] = {
    tag_of(kind): kind for kind in get_args(TreasuryEvent)
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
    kind = tag_of(type(event))
    return NewEvent(stream_of(event), kind, EVENT_VERSIONS[kind], to_data(event))


def decode_event(record: RecordedEvent) -> TreasuryEvent | UnknownEvent:
    """Decode *record*.

    Raises:
        LedgerDamagedError: The data does not fit the event type.
    """
    kind = _EVENT_TYPES.get(record.type)
    if kind is None or record.v > EVENT_VERSIONS[record.type]:
        return UnknownEvent(record.stream, record.type, record.v)
    return from_data(record, kind)
