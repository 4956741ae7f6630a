"""Names of things: venue, channel, symbol, instrument, transfer."""

import re
from enum import StrEnum
from typing import NewType, Self

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError

Symbol = NewType("Symbol", str)
"""The venue's own code in upper case, `BTCUSDT`. Binance allows any UTF-8 letter since 2025-12."""

TransferId = NewType("TransferId", str)
"""What the caller calls a transfer, and at the same time the key that makes it happen once."""

SYMBOL_LENGTH_MAX = 64
TRANSFER_ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:~@+=,-]{0,127}"
_TRANSFER_ID = re.compile(TRANSFER_ID_PATTERN)
_FORBIDDEN = frozenset("/@:*,\"'\\ {}[]")


class Venue(StrEnum):
    """Where an instrument trades; the value is the word used in stream names and URLs."""

    SPOT = "spot"
    PERP = "perp"


class Channel(StrEnum):
    """A kind of top-of-book stream; the value is its name in stream sources."""

    BOOK_TICKER = "bookTicker"
    DEPTH5 = "depth5"


class InstrumentId(Struct, frozen=True, order=True, gc=False):
    """One tradable thing on one venue; prints as `spot/BTCUSDT`."""

    venue: Venue
    symbol: Symbol

    def __str__(self) -> str:
        return f"{self.venue.value}/{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `spot/BTCUSDT`.

        Raises:
            InvalidValueError: The text has no known venue or no valid symbol.
        """
        venue, slash, symbol = text.partition("/")
        if not slash or venue not in tuple(Venue):
            raise InvalidValueError(
                f"{text!r} is not an instrument; write venue/SYMBOL, like spot/BTCUSDT"
            )
        return cls(Venue(venue), parse_symbol(symbol))


def parse_symbol(text: str) -> Symbol:
    """Accept *text* as a symbol, in upper case.

    Raises:
        InvalidValueError: It is empty, longer than 64 characters, or has a character no symbol has.
    """
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
    """Accept *text* as a transfer id; a UUID will do.

    Raises:
        InvalidValueError: It is not 1 to 128 characters that are safe in a header and in a URL.
    """
    if _TRANSFER_ID.fullmatch(text) is None:
        raise InvalidValueError(
            "a transfer id has 1 to 128 letters, digits or any of . _ : ~ @ + = , - and begins "
            "with a letter or a digit; a UUID is a good one"
        )
    return TransferId(text)
