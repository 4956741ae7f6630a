"""Record when a venue's hold begins and ends, once each."""

import logging
from collections.abc import Callable

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.reports import VenueLimitsReport
from chimera_s1.domain.operations.venue_hold import Hold, VenueHold
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail

CHECK_INTERVAL_MS = 250

_log = logging.getLogger(__name__)


class WatchHolds:
    """Watches the hold of one venue; reads memory only.

    Args:
        report: What the venue lets us do now.
        record: Takes the operational events `venue.held` and `venue.hold_ended`.
    """

    def __init__(
        self,
        venue: Venue,
        hold: VenueHold,
        *,
        report: Callable[[], VenueLimitsReport],
        clock: Clock,
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self._venue = venue
        self._hold = hold
        self.report = report
        self._clock = clock
        self._record = record
        self._seen = 0
        self._began_ms: float | None = None

    @property
    def venue(self) -> Venue:
        return self._venue

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self.check()
            await self._clock.sleep_ms(CHECK_INTERVAL_MS)

    def check(self) -> None:
        """Record what has changed; a hold that began and ended between two checks is recorded."""
        now_ms = self._clock.monotonic_ms()
        current = self._hold.current(now_ms)
        if self._began_ms is not None and (current is None or self._hold.count > self._seen):
            self._ended(now_ms - self._began_ms)
        if self._hold.count > self._seen and self._hold.last is not None:
            self._seen = self._hold.count
            self._began(self._hold.last, now_ms)
            if current is None:
                self._ended(0.0)

    def _began(self, hold: Hold, now_ms: float) -> None:
        self._began_ms = now_ms
        left_s = max(0.0, hold.until_ms - now_ms) / 1000
        _log.warning(
            "%s: no %s for %.0f s: %s", self._venue.value, hold.scope.held, left_s, hold.cause
        )
        detail: EventDetail = {
            "venue": self._venue.value,
            "scope": hold.scope.value,
            "for_s": round(left_s, 3),
            "cause": hold.cause,
        }
        self._record("venue.held", detail)

    def _ended(self, lasted_ms: float) -> None:
        self._began_ms = None
        _log.info("%s: hold ended after %.0f s", self._venue.value, lasted_ms / 1000)
        detail: EventDetail = {
            "venue": self._venue.value,
            "held_s": round(lasted_ms / 1000, 3),
        }
        self._record("venue.hold_ended", detail)
