"""Time alignment: the exchange's event time on our own clock."""


def to_local_ms(exchange_ms: int, offset_ms: float) -> int:
    """An exchange event time as local epoch ms: `exchange - offset`, to the nearest ms.

    Args:
        exchange_ms: Event time by the exchange's clock, epoch ms.

        offset_ms: Exchange minus local clock as last measured, ms.
    """
    return round(exchange_ms - offset_ms)
