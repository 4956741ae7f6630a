"""The price of an asset in USDT: `GET /api/v3/klines`, weight 2, no key."""

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.exact_numbers import signed
from chimera_s1.adapters.binance.funding.row_fields import EpochMs
from chimera_s1.adapters.binance.http.signing import Parameters
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_source import Candle

PATH = "/api/v3/klines"
MINUTE_MS = 60_000


class _CandleRow(Struct, array_like=True):
    opened: EpochMs
    open: Raw
    high: Raw
    low: Raw
    close: str


def minute_of(time: int) -> int:
    """Its first ms."""
    return time - time % MINUTE_MS


def candle_parameters(symbol: Symbol, time: int) -> Parameters:
    """Of the candle of the minute that contains *time*."""
    opened = minute_of(time)
    return (
        ("symbol", symbol),
        ("interval", "1m"),
        ("startTime", str(opened)),
        ("endTime", str(opened + MINUTE_MS - 1)),
        ("limit", "1"),
    )


def decode_candle(row: Raw) -> Candle:
    """Raises:
    msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    candle = msgspec.json.decode(row, type=_CandleRow)
    price = signed("close", candle.close)
    if price <= 0:
        raise InvalidValueError(f"close {candle.close} is not above 0")
    return Candle(price, candle.opened)
