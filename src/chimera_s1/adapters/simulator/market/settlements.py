"""Settlements of funding as pure functions of a contract and a time.

The history of every contract since its listing needs no memory, and is the same after a restart.
"""

from typing import Final
from zlib import crc32

from msgspec import Struct

from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.symbols import (
    TRADIFI_PERPETUAL,
    SymbolSpec,
    format_fixed,
)

REGULAR: Final = "Regular"
SPECIAL: Final = "Special"
LATE_MAX_MS: Final = 20
"""The time of a row is at most this long after the full hour."""

MARK_PRICES_SINCE_MS: Final = 1_640_995_200_000
"""2022-01-01: older rows have no mark price, as at Binance."""

_RATE_DECIMALS = 8
_LATE_ONE_IN = 4
_DAY_MS = 24 * HOUR_MS
_DIVIDEND_DAYS = 30
_PRICE_SWING = 5_000


class Settlement(Struct, frozen=True, gc=False):
    """One row of the history.

    Attributes:
        due_ms: The full hour it belongs to.
        time_ms: As it is published; a few rows are some ms late.
        mark_price: Empty on old rows.
    """

    symbol: str
    due_ms: int
    time_ms: int
    rate_type: str
    rate: str
    mark_price: str


def regular_settlement(spec: SymbolSpec, due_ms: int) -> Settlement:
    """That of a contract which settles at *due_ms*."""
    rate = format_rate(realised_rate(spec.symbol, due_ms))
    return _settlement(spec, due_ms, REGULAR, rate)


def dividend(spec: SymbolSpec, due_ms: int) -> Settlement | None:
    """Stocks have a Special settlement at 00:00 of one day in 30, besides the Regular one."""
    stock = spec.contract_type == TRADIFI_PERPETUAL and spec.underlying_type.endswith("EQUITY")
    if not stock or due_ms % _DAY_MS:
        return None
    mixed = crc32(spec.symbol.encode())
    if due_ms // _DAY_MS % _DIVIDEND_DAYS != mixed % _DIVIDEND_DAYS:
        return None
    return _settlement(spec, due_ms, SPECIAL, format_rate(-(mixed % 500_000)))


def special_settlement(spec: SymbolSpec, time_ms: int, rate: str) -> Settlement:
    """One that was ordered."""
    due_ms = time_ms // HOUR_MS * HOUR_MS
    return Settlement(spec.symbol, due_ms, time_ms, SPECIAL, rate, _mark_price(spec, due_ms))


def realised_rate(symbol: str, due_ms: int) -> int:
    """In units of the eighth decimal: -0.01 % to 0.03 %."""
    return (due_ms // HOUR_MS * 7919 + crc32(symbol.encode())) % 40_000 - 10_000


def format_rate(units: int) -> str:
    sign = "-" if units < 0 else ""
    return sign + format_fixed(abs(units), _RATE_DECIMALS)


def _settlement(spec: SymbolSpec, due_ms: int, rate_type: str, rate: str) -> Settlement:
    mixed = crc32(f"{spec.symbol}{due_ms}".encode())
    late_ms = mixed // _LATE_ONE_IN % LATE_MAX_MS + 1 if mixed % _LATE_ONE_IN == 0 else 0
    mark_price = _mark_price(spec, due_ms)
    return Settlement(spec.symbol, due_ms, due_ms + late_ms, rate_type, rate, mark_price)


def _mark_price(spec: SymbolSpec, due_ms: int) -> str:
    """About where the price path of *spec* starts."""
    if due_ms < MARK_PRICES_SINCE_MS:
        return ""
    start = spec.price_ticks * spec.tick * 10 ** (_RATE_DECIMALS - spec.price_decimals)
    swing = crc32(f"{due_ms}{spec.base}".encode()) % (2 * _PRICE_SWING + 1) - _PRICE_SWING
    return format_fixed(start + start * swing // 1_000_000, _RATE_DECIMALS)
