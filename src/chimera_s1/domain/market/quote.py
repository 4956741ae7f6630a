"""A quote: best bid and best ask with quantities at one moment, and what follows from them."""

from enum import StrEnum
from math import isfinite

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId

StreamKey = tuple[InstrumentId, str]
"""One sequence of quotes: an instrument and the source it is read from."""


class Quote(Struct, frozen=True, gc=False):
    """A top of book that may be published; `book_defect` says which books may not.

    Attributes:
        instrument: What is quoted.

        ts: When it was true, local epoch ms (aligned exchange time, or the receive time).

        bid: Best bid price, quote asset.

        bid_qty: Quantity at the best bid, base asset.

        ask: Best ask price, quote asset.

        ask_qty: Quantity at the best ask, base asset.

        source: Where it came from, `binance.spot.bookTicker`.

        update_id: The venue's order book update id; grows within one stream.

        received_ms: When the frame was read from the socket, local epoch ms.
    """

    instrument: InstrumentId
    ts: int
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    source: str
    update_id: int
    received_ms: int

    @property
    def mid(self) -> float:
        """`(bid + ask) / 2`, quote asset."""
        return (self.bid + self.ask) / 2

    @property
    def spread_bps(self) -> float:
        """`(ask - bid) / mid * 1e4`, basis points; 0 for a locked book."""
        return (self.ask - self.bid) / self.mid * 1e4

    @property
    def top1_qty(self) -> float:
        """What can be traded on either side at the top: the smaller quantity, base asset."""
        return min(self.bid_qty, self.ask_qty)

    @property
    def top1_usdt(self) -> float:
        """`top1_qty * mid`: top-of-book depth, quote asset (USDT)."""
        return self.top1_qty * self.mid


class BookDefect(StrEnum):
    """Why a top of book is not published; the value is the `reason` label of the drop counter."""

    NON_FINITE = "non_finite"
    NEGATIVE = "negative"
    LOCKED_AT_ZERO = "locked_at_zero"
    EMPTY = "empty"
    CROSSED = "crossed"


def book_defect(bid: float, bid_qty: float, ask: float, ask_qty: float) -> BookDefect | None:
    """What is wrong with a top of book, or None.

    Binance shows an empty side as price 0 and quantity 0. A locked book (bid equal to ask, above
    zero) is unusual but true, so it passes with a spread of 0.
    """
    # The product bounds mid and top1_usdt: where it is finite, all that is published is.
    if 0.0 < bid <= ask and bid_qty > 0.0 and ask_qty > 0.0:
        if isfinite((bid + ask) * (bid_qty + ask_qty)):
            return None
        return BookDefect.NON_FINITE
    numbers = (bid, ask, bid_qty, ask_qty)
    if not all(map(isfinite, numbers)):
        return BookDefect.NON_FINITE
    if min(numbers) < 0:
        return BookDefect.NEGATIVE
    if min(numbers) > 0:
        return BookDefect.CROSSED
    return BookDefect.LOCKED_AT_ZERO if bid == ask == 0 else BookDefect.EMPTY
