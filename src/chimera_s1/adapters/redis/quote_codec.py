"""Quotes as XADD commands, and stream entries back as `PublishedQuote`."""

from collections.abc import Mapping

from chimera_s1.adapters.event_codec import QUOTE_FIELDS, quote_values
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_reader import PublishedQuote

_TS, _SYMBOL, _BID, _ASK, _MID, _SPREAD, _TOP_QTY, _TOP_USDT, _SRC = QUOTE_FIELDS


def encode_quote_command(quote: Quote, maxlen: int) -> tuple[str | int, ...]:
    """`XADD <stream> MAXLEN ~ <maxlen> * ts ... src ...`, argument by argument.

    Args:
        quote: What is appended.

        maxlen: Entries the stream keeps, about; Redis trims whole nodes of its radix tree.
    """
    ts, symbol, bid, ask, mid, spread, top_qty, top_usdt, source = quote_values(quote)
    return (
        "XADD", quote_stream(quote.instrument), "MAXLEN", "~", maxlen, "*",
        _TS, ts, _SYMBOL, symbol, _BID, bid, _ASK, ask, _MID, mid, _SPREAD, spread,
        _TOP_QTY, top_qty, _TOP_USDT, top_usdt, _SRC, source,
    )  # fmt: skip


def decode_quote(instrument: InstrumentId, entry: tuple[str, Mapping[str, str]]) -> PublishedQuote:
    """One entry as redis-py reads it off a stream: the id, then names and values in their order."""
    entry_id, fields = entry
    return PublishedQuote(
        entry_id=entry_id,
        instrument=instrument,
        fields=tuple(fields.items()),
    )
