"""Share the holds of a venue with all instances behind our address, and obey theirs."""

from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.venue_hold import HoldScope, VenueHold
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.shared_holds import SharedHold, SharedHolds

SHARE_INTERVAL_MS = 250


class ShareHolds:
    """Shares one venue's.

    Attributes:
        failure: Why holds are not shared now, each instance knows only its own; empty if they are.
    """

    def __init__(
        self, venue: Venue, hold: VenueHold, shared: SharedHolds, instance: str, clock: Clock
    ) -> None:
        self.failure = ""
        self._venue = venue
        self._hold = hold
        self._shared = shared
        self._instance = instance
        self._clock = clock

    @property
    def venue(self) -> Venue:
        return self._venue

    async def run(self) -> None:
        """Share until cancelled."""
        while True:
            await self.check()
            await self._clock.sleep_ms(SHARE_INTERVAL_MS)

    async def check(self) -> None:
        """Show what this instance heard, and take over what the others did."""
        try:
            held = await self._shared.share(self._venue, self._own())
        except REDIS_ERRORS as error:
            self.failure = str(error) or "Redis did not answer"
            return
        self.failure = ""
        others = [each for each in held if each.instance != self._instance]
        if len({each.scope for each in others}) > 1 == len({each.cause for each in others}):
            # One ban of the address, said once.
            self._take_over(others[0], HoldScope.ALL, min(each.left_ms for each in others))
        for each in others:
            self._take_over(each, each.scope, each.left_ms)

    def _own(self) -> tuple[SharedHold, ...]:
        now_ms = self._clock.monotonic_ms()
        return tuple(
            SharedHold(
                scope=scope,
                left_ms=round(hold.until_ms - now_ms),
                reason=hold.reason,
                cause=hold.cause,
                instance=self._instance,
            )
            for scope, hold in self._hold.heard_here(now_ms)
        )

    def _take_over(self, shared: SharedHold, scope: HoldScope, left_ms: float) -> None:
        self._hold.hold(
            scope,
            left_ms,
            shared.cause,
            self._clock.monotonic_ms(),
            shared.reason,
            heard_by=shared.instance,
        )
