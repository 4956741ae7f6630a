"""Quotes as entries of their streams: the XADD command, its fields, and the way back."""

from collections.abc import Mapping, Sequence
from itertools import chain

import msgspec

from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.market.stream_ids import entry_id
from chimera_s1.domain.money import decimal_text
from chimera_s1.domain.ports.quote_reader import PublishedQuote

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
"""In the order they are written. Other services parse them."""

ID_REFUSED = "The ID specified in XADD is equal or smaller"
"""In the reply to an XADD whose id is not above the last id of its stream."""

_json = msgspec.json.Encoder().encode


def quote_fields(quote: Quote) -> tuple[tuple[str, str], ...]:
    return tuple(zip(QUOTE_FIELDS, quote_values(quote), strict=True))


def quote_values(quote: Quote) -> tuple[str, ...]:
    """The values in the order of `QUOTE_FIELDS`; numbers as their shortest exact decimal."""
    numbers = (quote.bid, quote.ask, quote.mid, quote.spread_bps, quote.top1_qty, quote.top1_usdt)
    return (str(quote.ts), quote.instrument.symbol, *decimal_texts_fast(numbers), quote.source)


def decimal_texts_fast(values: Sequence[float]) -> list[str]:
    """Same as `decimal_text` for each value, several times faster: most of the cost of an entry."""
    text = _json(values).decode()
    # JSON has the digits of `repr`, but writes exponents.
    if "e" in text:
        return [decimal_text(value) for value in values]
    return f"{text[1:-1]},".replace(".0,", ",")[:-1].split(",")


def encode_quote_command(quote: Quote, maxlen: int, window: WindowMs) -> tuple[str | int, ...]:
    """`XADD <stream> MAXLEN ~ <maxlen> <id> ts ... src ...`, one item per argument."""
    name, written_as = quote_stream(quote.instrument), str(entry_id(quote, window))
    fields = chain.from_iterable(quote_fields(quote))
    return ("XADD", name, "MAXLEN", "~", maxlen, written_as, *fields)


def decode_quote(instrument: InstrumentId, entry: tuple[str, Mapping[str, str]]) -> PublishedQuote:
    """One entry as redis-py returns it: the id, then the fields in their order."""
    entry_id, fields = entry
    return PublishedQuote(entry_id, instrument, tuple(fields.items()))
