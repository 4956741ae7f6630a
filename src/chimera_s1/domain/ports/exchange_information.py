"""Port: what a venue lists, and what time it thinks it is."""

from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Listing


class TopOfBook(Struct, frozen=True):
    """The top of a book as the venue answers it; 0 for an empty side."""

    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


class ExchangeInformation(Protocol):
    """Public reads of a venue; each may be repeated safely."""

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        """Every instrument the venue lists, whatever its status.

        Raises:
            ExchangeUnavailableError: No usable answer; the same call may succeed later.

            ExchangeRefusedError: The venue will not answer this.
        """
        ...

    async def server_time_ms(self, venue: Venue) -> int:
        """The venue's clock, epoch ms.

        Raises:
            ExchangeUnavailableError: No usable answer; the same call may succeed later.

            ExchangeRefusedError: The venue will not answer this.
        """
        ...

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook:
        """The top of book now.

        Raises:
            ExchangeUnavailableError: No usable answer; the same call may succeed later.

            ExchangeRefusedError: The venue will not answer this.
        """
        ...
