"""Port: the newest quote of an instrument in this process."""

from typing import Protocol

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote


class CurrentQuotes(Protocol):
    """Reads memory."""

    def newest(self, instrument: InstrumentId) -> Quote | None:
        """None without one since the start; it may be old."""
        ...
