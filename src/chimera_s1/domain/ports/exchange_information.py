"""Port: a venue's listings, clock and top of book."""

from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Listing


class TopOfBook(Struct, frozen=True):
    """The top of a book as reported by the venue; 0 for an empty side.

    *update_id* is of the same count as that of a quote.
    """

    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    update_id: int


class ExchangeInformation(Protocol):
    """Public reads of a venue; all may be repeated. Each call raises `ExchangeUnavailableError`
    without a usable answer, and `ExchangeRefusedError` if the venue refuses the request.
    """

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        """Every instrument that the venue lists, whatever its status."""
        ...

    async def server_time_ms(self, venue: Venue) -> int:
        """The venue's clock, epoch ms."""
        ...

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook: ...
