"""Trading hours of TradFi contracts."""

from msgspec import Struct


class TradingSession(Struct, frozen=True):
    """Of an underlying type; *kind* is Binance's text: `REGULAR`, `NO_TRADING`. Epoch ms."""

    start: int
    end: int
    kind: str
