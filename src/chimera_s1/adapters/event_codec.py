"""What the entries of the public streams hold, field by field; every store writes the same."""

from collections.abc import Sequence

import msgspec

from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.money import decimal_text

_json = msgspec.json.Encoder().encode

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
"""Names in `mkt:events:spot:*` and `mkt:events:perp:*`, in the order they are written."""


def quote_fields(quote: Quote) -> tuple[tuple[str, str], ...]:
    """Names and values of a quote's stream entry, in order; numbers in their shortest exact
    decimal.
    """
    return tuple(zip(QUOTE_FIELDS, quote_values(quote), strict=True))


def quote_values(quote: Quote) -> tuple[str, ...]:
    """The values alone, in the order of `QUOTE_FIELDS`."""
    numbers = (quote.bid, quote.ask, quote.mid, quote.spread_bps, quote.top1_qty, quote.top1_usdt)
    return (str(quote.ts), quote.instrument.symbol, *decimal_texts_fast(numbers), quote.source)


def decimal_texts_fast(values: Sequence[float]) -> list[str]:
    """Each as `decimal_text` writes it, several times faster: this is most of what an entry costs.

    JSON's shortest digits are those of `repr`; its exponents, where it has any, are not.
    """
    text = _json(values).decode()
    if "e" in text:
        return [decimal_text(value) for value in values]
    return f"{text[1:-1]},".replace(".0,", ",")[:-1].split(",")
