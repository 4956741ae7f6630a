"""A venue's hold is recorded once when it begins and once when it ends."""

import anyio

from chimera_s1.app.capabilities.operations.watch_holds import CHECK_INTERVAL_MS, WatchHolds
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.reports import VenueLimitsReport
from chimera_s1.domain.operations.venue_hold import HoldScope, VenueHold
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.manual_clock import ManualClock


class Watched:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hold = VenueHold()
        self.recorded: list[tuple[str, EventDetail]] = []
        self.watch = WatchHolds(
            Venue.PERP,
            self.hold,
            report=lambda: VenueLimitsReport(0, 120),
            clock=self.clock,
            record=self._record,
        )

    def _record(self, kind: str, detail: EventDetail) -> None:
        self.recorded.append((kind, detail))

    def hold_for(self, duration_ms: float, cause: str) -> None:
        self.hold.hold(HoldScope.DIALS, duration_ms, cause, self.clock.monotonic_ms())


async def test_a_hold_and_its_end_are_recorded_once() -> None:
    """Also where it is extended meanwhile."""
    watched = Watched()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watched.watch.run)
        await watched.clock.wait_for_sleeper()
        watched.hold_for(10_000, "429")
        await watched.clock.advance(5_000)
        watched.hold_for(10_000, "429 again")
        await watched.clock.advance(60_000)
        tasks.cancel_scope.cancel()

    held, ended = watched.recorded
    assert held == (
        "venue.held",
        {"venue": "perp", "scope": "dials", "for_s": 9.75, "cause": "429"},
    )
    assert ended == ("venue.hold_ended", {"venue": "perp", "held_s": 14.75})


async def test_a_hold_that_is_over_at_the_next_check_is_recorded() -> None:
    """Between two checks several may have come and gone; each check records the newest."""
    watched = Watched()
    watched.hold_for(CHECK_INTERVAL_MS / 4, "brief")
    await watched.clock.advance(CHECK_INTERVAL_MS)
    watched.watch.check()
    watched.watch.check()

    assert [kind for kind, _ in watched.recorded] == ["venue.held", "venue.hold_ended"]


async def test_each_hold_has_its_own_end() -> None:
    """Also where the next one began before the end of the last was seen."""
    watched = Watched()
    watched.hold_for(100, "first")
    watched.watch.check()
    await watched.clock.advance(200)
    watched.hold_for(100, "second")
    watched.watch.check()
    await watched.clock.advance(200)
    watched.watch.check()

    assert [(kind, detail.get("cause")) for kind, detail in watched.recorded] == [
        ("venue.held", "first"),
        ("venue.hold_ended", None),
        ("venue.held", "second"),
        ("venue.hold_ended", None),
    ]
