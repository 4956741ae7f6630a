"""Port: the instruments as the registry has applied them."""

from typing import Protocol

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import Listing


class InstrumentReader(Protocol):
    """Reads memory. Before the first listing of a venue is known it has none."""

    def listings(self, venue: Venue) -> tuple[Listing, ...] | None:
        """Every instrument of *venue*, whatever its status; None before the first is known."""
        ...

    def problem(self, venue: Venue) -> str:
        """Why the listing of *venue* is not known or not current; empty if it is."""
        ...

    @property
    def version(self) -> int:
        """How often a listing or a problem has changed. Read it before the listings."""
        ...

    async def wait_changed(self, version: int) -> None:
        """Return when something has changed after *version*."""
        ...
