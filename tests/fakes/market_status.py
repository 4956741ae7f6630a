"""Market status in memory."""

from collections.abc import Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange
from chimera_s1.domain.market.status_in_force import StatusInForce


class MemoryMarketStatus:
    """Implements `MarketStatus` and `OpenGaps` of `domain.ports.market_status`; raises while
    `unavailable` is set.
    """

    def __init__(self) -> None:
        self.unavailable = False
        self.changes: list[tuple[Venue, StatusChange]] = []

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        await self._check_available()
        self.changes.extend((venue, change) for change in changes)

    async def open_gaps(self, venue: Venue, cause_start: str) -> tuple[StatusChange, ...]:
        await self._check_available()
        in_force = StatusInForce()
        in_force.record(change for of, change in self.changes if of is venue)
        return tuple(gap for gap in in_force.shared() if gap.cause.startswith(cause_start))

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise PublisherUnavailableError("market status unavailable")
