"""
What the entries of the public streams hold, field by field; every store writes the same.
"""

from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.money import decimal_text

QUOTE_FIELDS = (
    "ts",
    "symbol",
    "bid1",
    "ask1",
    "mid",
    "spread_bps",
    "top1_qty",
    "top1_usdt",
    "src",
)
"""
Names in `mkt:events:spot:*` and `mkt:events:perp:*`, in the order they are written.
"""


def quote_fields(quote: Quote) -> tuple[tuple[str, str], ...]:
    """
    Names and values of a quote's stream entry, in order; numbers in their shortest exact decimal.
    """
    return tuple(zip(QUOTE_FIELDS, quote_values(quote), strict=True))


def quote_values(quote: Quote) -> tuple[str, ...]:
    """
    The values alone, in the order of `QUOTE_FIELDS`.
    """
    return (
        str(quote.ts),
        quote.instrument.symbol,
        decimal_text(quote.bid),
        decimal_text(quote.ask),
        decimal_text(quote.mid),
        decimal_text(quote.spread_bps),
        decimal_text(quote.top1_qty),
        decimal_text(quote.top1_usdt),
        quote.source,
    )
