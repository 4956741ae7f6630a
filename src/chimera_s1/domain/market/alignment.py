"""Convert exchange event times to the local clock."""


def to_local_ms(exchange_ms: int, offset_ms: float) -> int:
    """Local epoch ms of an exchange event time; *offset_ms* is exchange minus local clock."""
    return round(exchange_ms - offset_ms)


def next_ts(last_ts: int, received_ms: int, lag_ms: int | None) -> int:
    """`ts` of the next quote of a stream: its event time, but neither later than its receipt nor
    earlier than the last `ts`.
    """
    event_ms = received_ms if lag_ms is None else received_ms - lag_ms
    return min(received_ms, max(last_ts, event_ms))
