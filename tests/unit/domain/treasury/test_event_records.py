"""Event records: events written by any earlier version stay readable."""

import json
from decimal import Decimal
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import RecordedEvent
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.ledger.json_exactness import inexact_value_error
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.event_records import (
    EVENT_VERSIONS,
    decode_event,
    stream_of,
    to_new_event,
)
from chimera_s1.domain.treasury.events import (
    CapRebooked,
    Evidence,
    FailureReason,
    ForeignMovementObserved,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.limits import Direction
from tests.transfer_events import (
    AMOUNT,
    AT,
    CLAIMED,
    CORRECTED,
    DAY,
    DISPUTED,
    ID,
    NOT_PROCESSED,
    REJECTED,
    RELEASED,
    REQUESTED,
    RESERVED,
    REVIEW,
    SETTLED,
    STARTED,
    UNKNOWN,
    VERIFIED,
    completed_event,
    failed_event,
)

GOLDEN = Path(__file__).parent / "golden"
EVENTS: list[TreasuryEvent] = [
    REQUESTED,
    REJECTED,
    STARTED,
    NOT_PROCESSED,
    UNKNOWN,
    completed_event(Evidence.OPERATOR, "seen"),
    failed_event(FailureReason.ABSENT, reads=(AT, AT + 1)),
    VERIFIED,
    DISPUTED,
    CORRECTED,
    REVIEW,
    RESERVED,
    SETTLED,
    RELEASED,
    CapRebooked(day=DAY, transfer_id=ID, amount=AMOUNT),
    CLAIMED,
    ForeignMovementObserved(
        tran_id="78", direction=Direction.FUT_TO_SPOT, amount=Decimal("0.00000001"), moved_at=AT
    ),
]

SHAPES = {
    "treasury.transfer.requested": (2, "transfer_id terms"),
    "treasury.transfer.rejected": (2, "transfer_id terms rule message"),
    "treasury.submission.started": (
        1,
        "transfer_id attempt signed_at recv_window_ms request_hash",
    ),
    "treasury.submission.not_executed": (1, "transfer_id attempt why cause not_before"),
    "treasury.outcome.unknown": (1, "transfer_id attempt cause at"),
    "treasury.transfer.completed": (1, "transfer_id attempt tran_id evidence at note"),
    "treasury.transfer.failed": (1, "transfer_id attempt kind message at reads"),
    "treasury.transfer.verified": (1, "transfer_id tran_id note"),
    "treasury.transfer.disputed": (1, "transfer_id cause at"),
    "treasury.transfer.corrected": (1, "transfer_id tran_id evidence at note"),
    "treasury.transfer.review_requested": (1, "transfer_id cause at"),
    "treasury.cap.reserved": (1, "day transfer_id amount cap"),
    "treasury.cap.settled": (1, "day transfer_id amount"),
    "treasury.cap.released": (1, "day transfer_id amount"),
    "treasury.cap.rebooked": (1, "day transfer_id amount"),
    "treasury.movement.claimed": (1, "tran_id transfer_id"),
    "treasury.movement.foreign": (2, "tran_id direction amount moved_at"),
}
"""Tag, version and field names. Lines are added, never changed; see `domain/treasury/events.py`."""

WORDS = {
    "Evidence": "reply history operator",
    "FailureReason": "refused forbidden turned_away expired absent operator",
    "NotExecutedReason": "not_sent turned_away",
    "TreasuryMode": "wallet subaccount",
    "Direction": "SPOT_TO_FUT FUT_TO_SPOT",
    "LimitRule": "direction_not_allowed below_min above_max over_daily_cap",
}
"""Enum values in events. None may be removed; an older version cannot read a new one.

A renamed one is still read: version 1 says `SPOT_TO_FUTURES` and `FUTURES_TO_SPOT`.
"""


def recorded(event: TreasuryEvent) -> RecordedEvent:
    new = to_new_event(event)
    data = json.loads(msgspec.json.encode(new.data))
    return RecordedEvent(0, "treasury-1-0", new.stream, 1, new.type, new.v, data)


def tag(event: TreasuryEvent) -> str:
    return str(event.__struct_config__.tag)


def test_the_tests_cover_every_event_class() -> None:
    kinds = set(get_args(TreasuryEvent))

    assert {type(event) for event in EVENTS} == kinds
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(SHAPES)


def test_event_fields_and_versions_are_unchanged() -> None:
    shapes = {
        str(kind.__struct_config__.tag): " ".join(kind.__struct_fields__)
        for kind in get_args(TreasuryEvent)
    }

    assert {name: (EVENT_VERSIONS[name], fields) for name, fields in shapes.items()} == SHAPES


def test_enum_values_in_events_are_unchanged() -> None:
    from chimera_s1.domain.treasury import events, limits  # noqa: PLC0415 (looked up by name)

    words = {
        name: " ".join(word.value for word in getattr(events, name, getattr(limits, name, ())))
        for name in WORDS
    }

    assert words == WORDS


@pytest.mark.parametrize("event", EVENTS, ids=tag)
def test_an_event_survives_a_json_round_trip(event: TreasuryEvent) -> None:
    record = recorded(event)

    assert decode_event(record) == event
    assert record.type == tag(event)
    assert record.stream == stream_of(event)
    assert inexact_value_error(record.data) == ""
    assert "type" not in record.data


@pytest.mark.parametrize("event", EVENTS, ids=tag)
def test_golden_events_stay_readable(event: TreasuryEvent) -> None:
    """The golden files are never changed, like the ledgers that contain such events."""
    paths = list(GOLDEN.rglob(f"{tag(event)}.json"))

    for path in paths:
        old = msgspec.json.decode(path.read_bytes(), type=RecordedEvent)
        assert decode_event(old) == event, path
    assert len(paths) == EVENT_VERSIONS[tag(event)]


@pytest.mark.parametrize("event", EVENTS, ids=tag)
def test_optional_fields_may_be_missing_and_unknown_fields_present(event: TreasuryEvent) -> None:
    record = recorded(event)
    defaults = dict(
        zip(
            reversed(type(event).__struct_fields__),
            reversed(type(event).__struct_defaults__),
            strict=False,
        )
    )
    old = {
        name: value
        for name, value in record.data.items()
        if defaults.get(name, msgspec.NODEFAULT) is msgspec.NODEFAULT
    }

    assert type(decode_event(msgspec.structs.replace(record, data=old))) is type(event)
    newer = {**record.data, "added_later": "x"}
    assert decode_event(msgspec.structs.replace(record, data=newer)) == event


@pytest.mark.parametrize(
    ("kind", "version"), [(tag(REQUESTED), 3), ("treasury.transfer.reversed", 1), ("", 7)]
)
def test_an_event_of_a_newer_version_decodes_as_unknown(kind: str, version: int) -> None:
    record = RecordedEvent(0, "x", "transfer/t-1", 3, kind, version, {"terms": [1]})

    assert decode_event(record) == UnknownEvent("transfer/t-1", kind, version)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"transfer_id": 7, "tran_id": "77"},
        {"transfer_id": "t-1", "tran_id": None},
        {"transfer_id": "t-1"},
    ],
)
def test_event_data_of_the_wrong_shape_is_damage(data: dict[str, object]) -> None:
    record = RecordedEvent(0, "treasury-9-0", "transfer/t-1", 3, tag(VERIFIED), 1, data)

    with pytest.raises(LedgerDamagedError, match="treasury-9-0: not an event of type treasury"):
        decode_event(record)


def test_an_unknown_enum_value_is_damage() -> None:
    record = recorded(completed_event(Evidence.REPLY))
    record.data["evidence"] = "hearsay"

    with pytest.raises(LedgerDamagedError, match="hearsay"):
        decode_event(record)


def test_event_data_cannot_override_the_event_type() -> None:
    record = recorded(SETTLED)
    record.data["type"] = tag(RELEASED)

    assert decode_event(record) == SETTLED


@given(st.text(min_size=1, max_size=40), st.decimals("-1e20", "1e20", places=8))
def test_amounts_and_ids_survive_a_round_trip_exactly(name: str, amount: Decimal) -> None:
    event = CapRebooked(day=DAY, transfer_id=TransferId(name), amount=amount)

    again = decode_event(recorded(event))

    assert again == event
    assert isinstance(again, CapRebooked)
    assert recorded(event).data["amount"] == exact_text(amount)
