"""Times for people, and from them."""

import re
from datetime import UTC, datetime, timedelta

from chimera_s1.domain.errors import InvalidValueError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_MS = re.compile("[0-9]{13}")  # 2001 to 2286
_TO_MINUTE, _TO_SECOND = len("2026-11-26T09:00"), len("2026-11-26T09:00:00")
_AGO = re.compile(r"([0-9]{1,5})(min|h|d)")
_UNIT_MS = {"min": 60_000, "h": 3_600_000, "d": 86_400_000}


def format_utc(epoch_ms: int) -> str:
    """`2026-11-26T09:00:00.123Z`; a number where the time is outside the calendar."""
    try:
        text = (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")
    except OverflowError:
        return str(epoch_ms)
    return text.replace("+00:00", "Z")


def format_second(epoch_ms: int) -> str:
    """`2026-11-26 09:00:00`, UTC."""
    return format_utc(epoch_ms)[:_TO_SECOND].replace("T", " ")


def format_minute(epoch_ms: int) -> str:
    """`2026-11-26 09:00`, UTC."""
    return format_utc(epoch_ms)[:_TO_MINUTE].replace("T", " ")


def parse_since(text: str, now_ms: int) -> int:
    """Epoch ms of `24h`, `7d` or `30min` before *now_ms*, or of an ISO 8601 time, UTC by default.

    Raises:
        InvalidValueError: *text* is neither, or in the future.
    """
    if found := _AGO.fullmatch(text):
        return now_ms - int(found[1]) * _UNIT_MS[found[2]]
    try:
        since_ms = _iso_ms(text)
    except ValueError as error:
        raise InvalidValueError(
            f"{text!r} is not a time; write 24h, 7d or 30min ago, or 2026-11-27T08:00"
        ) from error
    if since_ms > now_ms:
        raise InvalidValueError(f"{text} is in the future; it is {format_utc(now_ms)} now")
    return since_ms


def parse_time(text: str) -> int:
    """Epoch ms of *text*: epoch ms, or an ISO 8601 time, UTC by default.

    Raises:
        InvalidValueError: *text* is neither.
    """
    if _EPOCH_MS.fullmatch(text):
        return int(text)
    if text.isascii() and text.isdigit() and len(text) != len("20261127"):
        raise InvalidValueError(f"{text} is not a time in ms; epoch ms have 13 digits")
    try:
        return _iso_ms(text)
    except ValueError as error:
        raise InvalidValueError(
            f"{text!r} is not a time; write epoch ms, or UTC like 2026-11-27T08:00Z"
        ) from error


def _iso_ms(text: str) -> int:
    given = datetime.fromisoformat(text)
    moment = given if given.tzinfo else given.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)
