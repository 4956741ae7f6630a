"""Times for people."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_utc(epoch_ms: int) -> str:
    """`2026-11-26T09:00:00.123Z`; a number where the time is outside the calendar."""
    try:
        text = (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")
    except OverflowError:
        return str(epoch_ms)
    return text.replace("+00:00", "Z")
