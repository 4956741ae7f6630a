"""Port: the state of each instrument's market data, for consumers of the quotes."""

from collections.abc import Sequence
from typing import Protocol

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange


class MarketStatus(Protocol):
    """Appends to `mkt:status:<venue>`, so that silence is never mistaken for calm."""

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        """Append *changes* in order.

        Raises:
            PublisherUnavailableError: They are not, or not all, written; the caller may offer all
                of them again (a repeated one has the same ts, symbol and state).
        """
        ...
