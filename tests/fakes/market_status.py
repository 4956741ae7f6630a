"""Market status in memory."""

from collections.abc import Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange


class MemoryMarketStatus:
    """Implements `domain.ports.market_status.MarketStatus`; raises while `unavailable` is set."""

    def __init__(self) -> None:
        self.unavailable = False
        self.changes: list[tuple[Venue, StatusChange]] = []

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        await checkpoint()
        if self.unavailable:
            raise PublisherUnavailableError("market status unavailable")
        self.changes.extend((venue, change) for change in changes)
