"""Applies frame faults to payloads."""

import re
from typing import Any

import orjson
from msgspec import Struct

from chimera_s1.adapters.simulator.faults.actions import FaultAction
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.streams.malformed import malformed, replace_numbers

_SIDES = (("b", "a"), ("B", "A"), ("bids", "asks"))
_BOOK_FAULTS = frozenset({FaultKind.CROSSED, FaultKind.ZERO, FaultKind.NEGATIVE})
_BOOK_VARIANTS = frozenset({"nan", "infinity"})
_TIMES = re.compile(rb'"([ET])":(\d+)')


class Frame(Struct, frozen=True):
    """A payload to send; a binary one gets no envelope."""

    payload: bytes
    binary: bool = False


def is_applicable(action: FaultAction, payload: bytes) -> bool:
    """Whether *payload* has what *action* changes: a book to cross, a time to shift."""
    if action.kind in _BOOK_FAULTS or action.variant in _BOOK_VARIANTS:
        return _has_book(payload)
    if action.kind in {FaultKind.LATE, FaultKind.FUTURE}:
        return b'"E":' in payload
    return action.kind is not FaultKind.MALFORMED or payload.startswith(b"{")


def _has_book(payload: bytes) -> bool:
    return any(
        f'"{bid}":'.encode() in payload and f'"{ask}":'.encode() in payload for bid, ask in _SIDES
    )


def apply_frame_fault(payload: bytes, action: FaultAction) -> tuple[Frame, ...]:
    """The frames to send in place of *payload*: none for stall and gap, two for duplicate.

    For reorder it is none, too: the caller sends this frame after the next one.
    """
    match action.kind:
        case FaultKind.STALL | FaultKind.GAP | FaultKind.REORDER:
            return ()
        case FaultKind.DUPLICATE:
            return (Frame(payload), Frame(payload))
        case FaultKind.MALFORMED:
            frame = malformed(action.variant, payload)
            return (Frame(frame, binary=action.variant == "binary"),)
        case _:
            return (Frame(_changed(payload, action)),)


def _changed(payload: bytes, action: FaultAction) -> bytes:
    match action.kind:
        case FaultKind.CROSSED:
            return _crossed(payload)
        case FaultKind.ZERO:
            return replace_numbers(payload, lambda _: "0")
        case FaultKind.NEGATIVE:
            return replace_numbers(payload, lambda number: f"-{number}")
        case FaultKind.LATE:
            return _shifted(payload, -action.number)
        case _:
            return _shifted(payload, action.number)


def _crossed(payload: bytes) -> bytes:
    message: Any = orjson.loads(payload)
    for bid, ask in _SIDES:
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
