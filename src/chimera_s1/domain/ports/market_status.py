"""Ports: the state of each instrument's market data, for consumers of the quotes."""

from collections.abc import Sequence
from typing import Protocol

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange


class MarketStatus(Protocol):
    """Appends to `mkt:status:<venue>`: a consumer can tell a quiet market from a broken feed."""

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        """Append *changes* in order.

        Raises:
            PublisherUnavailableError: Not all were written. The caller may append all of them
                again; a repeated change has the same ts, symbol and state.
        """
        ...


class OpenGaps(Protocol):
    """Reads `mkt:status:<venue>` back: an earlier publisher may have died before its RESUMED."""

    async def open_gaps(self, venue: Venue, cause_start: str) -> tuple[StatusChange, ...]:
        """GAPs with a cause that begins with *cause_start* and without a RESUMED, oldest first, of
        the newest entries.

        Raises:
            PublisherUnavailableError: They cannot be read now.
        """
        ...
