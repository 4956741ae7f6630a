"""The entry ids of quotes: ours, so that Redis refuses what is repeated or older."""

from typing import Final

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Channel
from chimera_s1.domain.market.conflation import WindowMs, window_end
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.quote import Quote

_CHANNEL_NUMBERS: Final = {Channel.BOOK_TICKER: 0, Channel.DEPTH5: 1}
"""They are part of ids on streams: never change one, never use one twice."""


def natural_entry_id(quote: Quote, window: WindowMs) -> EntryId:
    """`<window end, ms>-<channel number>`; with window 0 `<receive ms>-<book update id>`."""
    if window == 0:
        return EntryId(quote.received_ms, quote.update_id)
    return EntryId(window_end(quote.received_ms, window), channel_number(quote.source))


def entry_id(quote: Quote, window: WindowMs) -> EntryId:
    """The id that *quote* is written with: the one assigned to it, else its natural one."""
    return quote.entry_id or natural_entry_id(quote, window)


def channel_number(source: str) -> int:
    """The number of the channel in a source like `binance.spot.bookTicker`.

    Raises:
        InvalidValueError: *source* does not end in a channel.
    """
    name = source.rpartition(".")[2]
    try:
        return _CHANNEL_NUMBERS[Channel(name)]
    except ValueError:
        raise InvalidValueError(f"{source!r} does not end in a channel") from None
