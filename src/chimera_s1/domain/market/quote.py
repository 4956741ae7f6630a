"""A quote: best bid and best ask with their quantities."""

from enum import StrEnum
from math import isfinite

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.entry_id import EntryId

StreamKey = tuple[InstrumentId, str]
"""An instrument and the source of its quotes."""


class Quote(Struct, frozen=True, gc=False):
    """A valid top of book: prices in the quote asset, quantities in the base asset.

    Attributes:
        ts: Exchange event time on the local clock, or the receive time; epoch ms.
        source: Like `binance.spot.bookTicker`.
        update_id: The venue's order book update id; grows within a stream.
        received_ms: When the frame was read from the socket, local epoch ms.
        lag_ms: Receive time minus exchange event time on the local clock, not limited: negative
            where the event seems to be in the future. None where the frame has no event time.
        entry_id: The id of its stream entry where it is not the natural one; see `stream_ids`.
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
    lag_ms: int | None = None
    entry_id: EntryId | None = None

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2

    @property
    def spread_bps(self) -> float:
        """Basis points; 0 for a locked book."""
        return (self.ask - self.bid) / self.mid * 1e4

    @property
    def top1_qty(self) -> float:
        """The smaller of the two quantities, base asset."""
        return min(self.bid_qty, self.ask_qty)

    @property
    def top1_usdt(self) -> float:
        """Depth at the top of book, quote asset (USDT)."""
        return self.top1_qty * self.mid


class BookDefect(StrEnum):
    """Why a book is dropped; the value is the `reason` label of the drop counter."""

    NON_FINITE = "non_finite"
    NEGATIVE = "negative"
    LOCKED_AT_ZERO = "locked_at_zero"
    EMPTY = "empty"
    CROSSED = "crossed"


def book_defect(bid: float, bid_qty: float, ask: float, ask_qty: float) -> BookDefect | None:
    """The defect of a top of book; None for a valid one.

    Binance sends an empty side as price 0 and quantity 0. A locked book (bid equal to ask, above
    zero) is valid.
    """
    # This product is at least as large as mid and top1_usdt: if it is finite, so are they.
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
