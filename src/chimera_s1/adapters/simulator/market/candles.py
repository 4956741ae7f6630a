"""Candles of one minute of spot, as a pure function of symbol and time.

They are near the books' prices, and independent of them.
"""

from zlib import crc32

from msgspec import Struct

from chimera_s1.adapters.simulator.market.symbols import SymbolSpec

MINUTE_MS = 60_000
_SWING = 2_000
_TRADES_MAX = 500


class Candle(Struct, frozen=True):
    """Prices and quantities as text; *open_ms* is a full minute."""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int


def candle(spec: SymbolSpec, open_ms: int) -> Candle:
    """That of the minute which begins at *open_ms*; it opens where the one before closed."""
    opened, closed = _ticks_at(spec, open_ms - MINUTE_MS), _ticks_at(spec, open_ms)
    mixed = crc32(f"{spec.symbol}{open_ms}".encode())
    steps, trades = 1 + mixed % 1_000_000, 1 + mixed % _TRADES_MAX
    return Candle(
        open_ms=open_ms,
        open=spec.price(opened),
        high=spec.price(max(opened, closed) + mixed % 3),
        low=spec.price(min(opened, closed)),
        close=spec.price(closed),
        volume=spec.quantity(steps),
        quote_volume=spec.value(closed, steps),
        trades=trades,
    )


def price_at(spec: SymbolSpec, moment_ms: int) -> str:
    """The close of the minute that contains *moment_ms*."""
    return spec.price(_ticks_at(spec, moment_ms // MINUTE_MS * MINUTE_MS))


def _ticks_at(spec: SymbolSpec, open_ms: int) -> int:
    """Within 0.2 % of where the price path of *spec* starts."""
    swing = crc32(f"{open_ms}{spec.base}".encode()) % (2 * _SWING + 1) - _SWING
    return spec.price_ticks + spec.price_ticks * swing // 1_000_000
