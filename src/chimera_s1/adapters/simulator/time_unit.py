"""Times in microseconds, for spot clients that ask for them.

Binance, Spot "General API Information": streams opened with `timeUnit=MICROSECOND`, and requests
under `/api` with the header `X-MBX-TIME-UNIT: MICROSECOND`, get every time in microseconds. Futures
and `/sapi` have milliseconds only.
"""

import re

_STREAM_TIMES = re.compile(rb'"([A-Za-z])":(\d{13})(?=[,}])')
_STREAM_TIME_KEYS = frozenset(b"ETtOCWw")
_UNITS = {
    "MILLISECOND": False,
    "millisecond": False,
    "MICROSECOND": True,
    "microsecond": True,
}


def is_microseconds(unit: str) -> bool | None:
    """Whether *unit* names microseconds; None for a value that Binance refuses."""
    return _UNITS.get(unit)


def in_microseconds(payload: bytes) -> bytes:
    """A stream payload with its times in microseconds."""

    def rewrite(found: re.Match[bytes]) -> bytes:
        key, milliseconds = found[1], int(found[2])
        if key[0] not in _STREAM_TIME_KEYS:
            return found[0]
        return b'"%b":%d' % (key, _microseconds(milliseconds))

    return _STREAM_TIMES.sub(rewrite, payload)


def reply_in_microseconds(reply: object) -> object:
    """A REST reply with its times in microseconds: every positive integer named `time`, `...Time`.

    `workingTime` is -1 for an order that does not work yet.
    """
    if isinstance(reply, list):
        return [reply_in_microseconds(each) for each in reply]
    if isinstance(reply, dict):
        return {key: _field_in_microseconds(key, value) for key, value in reply.items()}
    return reply


def _field_in_microseconds(key: str, value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return _microseconds(value) if key.lower().endswith("time") and value > 0 else value
    return reply_in_microseconds(value)


def _microseconds(milliseconds: int) -> int:
    # Not simply zeros: a client must not get away with cutting them off.
    return milliseconds * 1000 + milliseconds * 7919 % 1000
