"""Convert exchange event times to the local clock."""


def to_local_ms(exchange_ms: int, offset_ms: float) -> int:
    """Local epoch ms of an exchange event time; *offset_ms* is exchange minus local clock."""
    return round(exchange_ms - offset_ms)
