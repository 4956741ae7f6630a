"""What a frame fault makes of one payload."""

import re
from typing import Any

import orjson
from msgspec import Struct

from chimera_s1.adapters.simulator.faults.actions import FaultAction, FaultKind
from chimera_s1.adapters.simulator.streams.malformed import malformed, with_numbers

_SIDES = ((b"b", b"a"), (b"B", b"A"), (b"bids", b"asks"))
_BOOK_FAULTS = frozenset({FaultKind.CROSSED, FaultKind.ZERO, FaultKind.NEGATIVE})
_BOOK_VARIANTS = frozenset({"nan", "infinity"})
_TIMES = re.compile(rb'"([ET])":(\d+)')


class Frame(Struct, frozen=True):
    """A payload on its way; a binary one has no envelope."""

    payload: bytes
    binary: bool = False


def is_applicable(action: FaultAction, payload: bytes) -> bool:
    """Whether *action* can make something of *payload*: a book to cross, a time to shift."""
    if action.kind in _BOOK_FAULTS or action.variant in _BOOK_VARIANTS:
        return any(b'"%b":' % bid in payload and b'"%b":' % ask in payload for bid, ask in _SIDES)
    if action.kind in {FaultKind.LATE, FaultKind.FUTURE}:
        return b'"E":' in payload
    return action.kind is not FaultKind.MALFORMED or payload.startswith(b"{")


def apply_frame_fault(payload: bytes, action: FaultAction) -> tuple[Frame, ...]:
    """The frames to send in place of *payload*: none for stall and gap, two for duplicate.

    A reordered frame is withheld here, too; whoever sends lets it follow the next one.
    """
    match action.kind:
        case FaultKind.STALL | FaultKind.GAP | FaultKind.REORDER:
            return ()
        case FaultKind.DUPLICATE:
            return (Frame(payload), Frame(payload))
        case FaultKind.MALFORMED:
            wrong = malformed(action.variant, payload)
            return (Frame(wrong, binary=action.variant == "binary"),)
        case _:
            return (Frame(_changed(payload, action)),)


def _changed(payload: bytes, action: FaultAction) -> bytes:
    match action.kind:
        case FaultKind.CROSSED:
            return _crossed(payload)
        case FaultKind.ZERO:
            return with_numbers(payload, lambda _: "0")
        case FaultKind.NEGATIVE:
            return with_numbers(payload, lambda number: f"-{number}")
        case FaultKind.LATE:
            return _shifted(payload, -action.number)
        case _:
            return _shifted(payload, action.number)


def _crossed(payload: bytes) -> bytes:
    message: Any = orjson.loads(payload)
    for bid, ask in ((bid.decode(), ask.decode()) for bid, ask in _SIDES):
        if bid in message and ask in message:
            message[bid], message[ask] = message[ask], message[bid]
    return orjson.dumps(message)


def _shifted(payload: bytes, by_ms: int) -> bytes:
    # The T of a mark price is the next funding time, not an event time.
    keep_t = b'"markPriceUpdate"' in payload

    def shift(found: re.Match[bytes]) -> bytes:
        if keep_t and found[1] == b"T":
            return found[0]
        return b'"%b":%d' % (found[1], int(found[2]) + by_ms)

    return _TIMES.sub(shift, payload)
