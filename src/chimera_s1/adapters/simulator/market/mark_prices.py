"""Mark prices and funding of the futures."""

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import (
    TRADIFI_PERPETUAL,
    SymbolSpec,
    format_fixed,
)

_HOUR_MS = 3_600_000
_MARK_DECIMALS = 8


def next_funding_ms(spec: SymbolSpec, now_ms: int) -> int:
    """When *spec* settles funding next; 0 for dated contracts, which have none."""
    if spec.contract_type not in {"PERPETUAL", TRADIFI_PERPETUAL}:
        return 0
    interval = spec.funding_hours * _HOUR_MS
    return (now_ms // interval + 1) * interval


def funding_rate(spec: SymbolSpec, settles_ms: int) -> str:
    """The running estimate for the settlement at *settles_ms*; empty for dated contracts."""
    if settles_ms == 0:
        return ""
    hundred_millionths = (settles_ms // _HOUR_MS * 7919 + sum(spec.symbol.encode())) % 40_000
    signed = hundred_millionths - 10_000
    sign = "-" if signed < 0 else ""
    return f"{sign}0.{abs(signed):08d}"


def mark_and_index_price(market: SymbolMarket) -> tuple[str, str]:
    """Both with the eight decimals that Binance sends."""
    spec, book = market.spec, market.book
    unit = 10 ** (_MARK_DECIMALS - spec.price_decimals) * spec.tick
    middle = (book.bid + book.ask) * unit // 2
    mark, index = middle, middle - middle // 9000
    return format_fixed(mark, _MARK_DECIMALS), format_fixed(index, _MARK_DECIMALS)
