"""Conversion of execution events to and from ledger records."""

from typing import Final, get_args

from chimera_s1.domain.execution.entries.events import EntryEvent
from chimera_s1.domain.execution.events import (
    AccountBound,
    ExecutionEvent,
    FillEvent,
    FillRecorded,
    PositionAdopted,
)
from chimera_s1.domain.execution.reports import FillKey
from chimera_s1.domain.ledger.commit import NewEvent, RecordedEvent
from chimera_s1.domain.ledger.event_data import UnknownEvent, from_data, tag_of, to_data

_EVENT_TYPES: Final[dict[str, type[ExecutionEvent]]] = {
    tag_of(kind): kind for kind in get_args(ExecutionEvent)
}
EVENT_VERSIONS: Final[dict[str, int]] = dict.fromkeys(_EVENT_TYPES, 1)
"""The newest known version of each event type."""

ORDER_STREAM_PREFIX: Final = "order/"
FILL_STREAM_PREFIX: Final = "fill/"
POSITION_STREAM_PREFIX: Final = "position/"
ENTRY_STREAM_PREFIX: Final = "entry/"
ACCOUNT_STREAM: Final = "account"


def order_stream(client_id: str) -> str:
    return ORDER_STREAM_PREFIX + client_id


def entry_stream(entry_id: str) -> str:
    return ENTRY_STREAM_PREFIX + entry_id


def fill_stream(key: FillKey) -> str:
    return f"{FILL_STREAM_PREFIX}{key.venue.value}/{key.symbol}/{key.order_id}/{key.trade_id}"


def stream_of(event: ExecutionEvent) -> str:
    if isinstance(event, FillEvent):
        return fill_stream(event.fill.key if isinstance(event, FillRecorded) else event.key)
    if isinstance(event, PositionAdopted):
        return f"{POSITION_STREAM_PREFIX}{event.symbol}/{event.position_side}"
    if isinstance(event, EntryEvent):
        return entry_stream(event.entry_id)
    if isinstance(event, AccountBound):
        return ACCOUNT_STREAM
    return order_stream(event.client_id)


def to_new_event(event: ExecutionEvent) -> NewEvent:
    kind = tag_of(type(event))
    return NewEvent(stream_of(event), kind, EVENT_VERSIONS[kind], to_data(event))


def decode_event(record: RecordedEvent) -> ExecutionEvent | UnknownEvent:
    """Decode *record*.

    Raises:
        LedgerDamagedError: The data does not fit the event type.
    """
    kind = _EVENT_TYPES.get(record.type)
    if kind is None or record.v > EVENT_VERSIONS[record.type]:
        return UnknownEvent(record.stream, record.type, record.v)
    return from_data(record, kind)
