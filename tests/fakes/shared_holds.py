"""Shared holds in memory."""

from collections.abc import Sequence

from anyio.lowlevel import checkpoint
from msgspec import structs

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.venue_hold import HoldScope
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.shared_holds import SharedHold


class MemorySharedHolds:
    """Implements `domain.ports.shared_holds.SharedHolds`; raises while `available` is False."""

    def __init__(self, clock: Clock) -> None:
        self.available = True
        self._clock = clock
        self._held: dict[tuple[Venue, HoldScope], tuple[float, SharedHold]] = {}

    async def share(self, venue: Venue, own: Sequence[SharedHold]) -> tuple[SharedHold, ...]:
        await checkpoint()
        if not self.available:
            raise PublisherUnavailableError("no hold can be shared")
        now_ms = self._clock.monotonic_ms()
        for hold in own:
            ends_ms = now_ms + hold.left_ms
            if ends_ms > self._held.get((venue, hold.scope), (now_ms,))[0]:
                self._held[venue, hold.scope] = ends_ms, hold
        return tuple(
            structs.replace(hold, left_ms=round(ends_ms - now_ms))
            for (of, _), (ends_ms, hold) in sorted(self._held.items())
            if of is venue and ends_ms > now_ms
        )
