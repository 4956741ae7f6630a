"""Mark prices and the running estimates of funding."""

from zlib import crc32

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.settlements import format_rate, realised_rate
from chimera_s1.adapters.simulator.market.symbols import format_fixed

_MARK_DECIMALS = 8
_MINUTE_MS = 60_000
_DRIFT_MINUTES = 120
_DRIFT_UNITS = 8_000


def next_funding_ms(market: SymbolMarket, now_ms: int) -> int:
    """When *market* settles funding next; 0 where it does not, like dated contracts."""
    return market.funding.next_ms(now_ms)


def estimated_rate(market: SymbolMarket, settles_ms: int, now_ms: int) -> str:
    """The running estimate for the settlement at *settles_ms*; empty where there is none.

    It moves every minute, comes nearer to the realised rate, and need not meet it.
    """
    if settles_ms == 0:
        return ""
    minute, left = now_ms // _MINUTE_MS, (settles_ms - now_ms) // _MINUTE_MS + 1
    mixed = crc32(f"{market.spec.symbol}{minute}".encode())
    reach = _DRIFT_UNITS * min(left, _DRIFT_MINUTES) // _DRIFT_MINUTES
    return format_rate(
        realised_rate(market.spec.symbol, settles_ms) + mixed % (2 * reach + 1) - reach
    )


def mark_and_index_price(market: SymbolMarket) -> tuple[str, str]:
    """Both with the eight decimals that Binance sends."""
    spec = market.spec
    unit = 10 ** (_MARK_DECIMALS - spec.price_decimals) * spec.tick
    middle = market.ticks_of_bid_and_ask * unit // 2
    mark, index = middle, middle - middle // 9000
    return format_fixed(mark, _MARK_DECIMALS), format_fixed(index, _MARK_DECIMALS)
