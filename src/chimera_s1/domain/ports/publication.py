"""Port: the market data that this instance publishes."""

from collections.abc import Set as AbstractSet
from typing import Protocol

from chimera_s1.domain.identifiers import Symbol, Venue


class Publication(Protocol):
    """Reads memory."""

    @property
    def term(self) -> int:
        """How often this instance has begun to publish; 0 while another one does, or none. It may
        grow without a 0 in between: after a pause in which another instance may have published.
        """
        ...

    def served(self, venue: Venue) -> AbstractSet[Symbol]:
        """What of *venue* this instance publishes: its share of the selected instruments."""
        ...
