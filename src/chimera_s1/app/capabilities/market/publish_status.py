"""Write `mkt:status:*` only while this instance publishes; a standby's view is its own."""

from collections.abc import Sequence

import anyio
from msgspec.structs import replace

from chimera_s1.app.capabilities.market.hold_publisher_lease import HoldPublisherLease
from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange
from chimera_s1.domain.market.status_in_force import StatusInForce
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_status import MarketStatus


class PublishStatus:
    """Implements `domain.ports.market_status.MarketStatus` on another one.

    After a take-over the state of every symbol is written, with the `ts` of now: the predecessor's
    may differ, and its last entry is newer than the change of state here. Markers of a standby are
    those of its own connections: readers of the publisher's quotes do not get them.
    """

    def __init__(self, status: MarketStatus, lease: HoldPublisherLease, clock: Clock) -> None:
        self._status = status
        self._lease = lease
        self._clock = clock
        self._in_force = {venue: StatusInForce() for venue in Venue}
        self._terms = dict.fromkeys(Venue, 0)
        self._lock = anyio.Lock()

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        async with self._lock:
            in_force = self._in_force[venue]
            in_force.record(changes)
            if not self._lease.publishing:
                return
            term = self._lease.term
            if term != self._terms[venue]:
                markers = [each for each in changes if each.is_marker]
                now_ms = self._clock.now_ms()
                states = [replace(each, ts=now_ms) for each in in_force.states()]
                changes = [*markers, *states]
            if changes:
                await self._status.append(venue, changes)
                in_force.forget_ended()
            self._terms[venue] = term

    async def run(self) -> None:
        """Write all states after each take-over, until cancelled."""
        version = 0
        while True:
            await self._lease.changes.next_after(version)
            version = self._lease.changes.version
            for venue in Venue:
                try:
                    await self.append(venue, ())
                except REDIS_ERRORS:
                    continue  # with the next change
