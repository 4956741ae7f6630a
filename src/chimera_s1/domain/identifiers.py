"""Identifiers: venue, channel, symbol, instrument, transfer."""

import re
from enum import StrEnum
from typing import NewType, Self

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError

Symbol = NewType("Symbol", str)
"""The venue's code in upper case, `BTCUSDT`. Binance allows any UTF-8 letter since 2025-12."""

TransferId = NewType("TransferId", str)
"""The caller's id of a transfer, also its idempotency key."""

SYMBOL_LENGTH_MAX = 64
TRANSFER_ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:~@+=,-]{0,127}"
SYMBOL_PATTERN = r"""[^/@:*,"'\\\s{}\[\]\u0000-\u001f\u007f-\u009f]{1,64}"""
"""For descriptions; `parse_symbol` decides, and refuses other unprintable characters too."""

_TRANSFER_ID = re.compile(TRANSFER_ID_PATTERN)
_FORBIDDEN = frozenset("/@:*,\"'\\ {}[]")


class Venue(StrEnum):
    """Market of an instrument, in stream names and URLs: `spot`, or `perp` for USD-M futures."""

    SPOT = "spot"
    PERP = "perp"


class Channel(StrEnum):
    """A top-of-book stream; the value is used in the `src` field."""

    BOOK_TICKER = "bookTicker"
    DEPTH5 = "depth5"


class InstrumentId(Struct, frozen=True, order=True, gc=False):
    """A symbol on a venue; `str` gives `spot/BTCUSDT`."""

    venue: Venue
    symbol: Symbol

    def __str__(self) -> str:
        return f"{self.venue.value}/{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `spot/BTCUSDT`."""
        venue, slash, symbol = text.partition("/")
        if not slash or venue not in tuple(Venue):
            raise InvalidValueError(
                f"{text!r} is not an instrument; write venue/SYMBOL, like spot/BTCUSDT"
            )
        return cls(Venue(venue), parse_symbol(symbol))


def parse_symbol(text: str) -> Symbol:
    """*text* as a symbol, in upper case."""
    symbol = text.strip().upper()
    if not symbol or len(symbol) > SYMBOL_LENGTH_MAX:
        raise InvalidValueError(
            f"{text!r} is not a symbol; write 1 to {SYMBOL_LENGTH_MAX} characters, like BTCUSDT"
        )
    bad = sorted({c for c in symbol if c in _FORBIDDEN or not c.isprintable()})
    if bad:
        raise InvalidValueError(
            f"{text!r} is not a symbol: {' '.join(map(repr, bad))} cannot be part of one"
        )
    return Symbol(symbol)


def parse_transfer_id(text: str) -> TransferId:
    """*text* as a transfer id: 1 to 128 characters that are safe in a header and a URL."""
    if _TRANSFER_ID.fullmatch(text) is None:
        raise InvalidValueError(
            "a transfer id has 1 to 128 letters, digits or any of . _ : ~ @ + = , - and begins "
            "with a letter or a digit; for example a UUID"
        )
    return TransferId(text)
