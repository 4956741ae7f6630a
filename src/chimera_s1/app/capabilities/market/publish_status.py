"""Write `mkt:status:*` only while this instance publishes; a standby's view is its own."""

from collections.abc import Sequence

import anyio
from msgspec.structs import replace

from chimera_s1.app.capabilities.market.hold_publisher_lease import HoldPublisherLease
from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import WHOLE_CONNECTION, Liveness, StatusChange
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_status import MarketStatus

_MARKERS = frozenset({Liveness.GAP, Liveness.RESUMED})
"""Of a standby's connections: not those of the publisher, whose readers they are for."""


class PublishStatus:
    """Implements `domain.ports.market_status.MarketStatus` on another one.

    After a take-over the state of every symbol is written, with the `ts` of now: the predecessor's
    may differ, and its last entry is newer than the change of state here.
    """

    def __init__(self, status: MarketStatus, lease: HoldPublisherLease, clock: Clock) -> None:
        self._status = status
        self._lease = lease
        self._clock = clock
        self._states: dict[Venue, dict[tuple[str, str], StatusChange]] = {
            venue: {} for venue in Venue
        }
        self._terms = dict.fromkeys(Venue, 0)
        self._lock = anyio.Lock()

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        async with self._lock:
            states = self._states[venue]
            states |= {_subject(each): each for each in changes if each.state not in _MARKERS}
            if not self._lease.publishing:
                return
            term = self._lease.term
            if term != self._terms[venue]:
                markers = [each for each in changes if each.state in _MARKERS]
                now_ms = self._clock.now_ms()
                changes = [*markers, *(replace(each, ts=now_ms) for each in states.values())]
            if changes:
                await self._status.append(venue, changes)
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


def _subject(change: StatusChange) -> tuple[str, str]:
    """The symbol; for a whole connection also its name, with which the cause begins."""
    whole = change.symbol == WHOLE_CONNECTION
    return change.symbol, change.cause.partition(" ")[0].rstrip(":") if whole else ""
