"""Exchange information in memory."""

from collections.abc import Iterable

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ChimeraError, ExchangeRefusedError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import TopOfBook


class MemoryExchangeInformation:
    """Implements `domain.ports.exchange_information.ExchangeInformation`.

    Every call raises `error` while it is set; `offset_ms` is how far the venue's clock is ahead.
    """

    def __init__(self, clock: Clock, listings: Iterable[Listing] = ()) -> None:
        self._listings = list(listings)
        self.offset_ms = 0
        self.book_tops: dict[InstrumentId, TopOfBook] = {}
        self.error: ChimeraError | None = None
        self._clock = clock

    def set_listings(self, listings: Iterable[Listing]) -> None:
        """What the venue lists from now on."""
        self._listings = list(listings)

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        await self._raise_error()
        return tuple(row for row in self._listings if row.instrument.venue is venue)

    async def server_time_ms(self, venue: Venue) -> int:  # noqa: ARG002 (both venues share a clock)
        await self._raise_error()
        return self._clock.now_ms() + self.offset_ms

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook:
        await self._raise_error()
        if instrument not in self.book_tops:
            raise ExchangeRefusedError(f"{instrument}: no such symbol")
        return self.book_tops[instrument]

    async def _raise_error(self) -> None:
        await checkpoint()
        if self.error is not None:
            raise self.error
