"""How the parts of the execution capability are put together."""

from types import SimpleNamespace
from typing import cast

import pytest

from chimera_s1.app.capabilities.execution.wiring import refresh_clocks
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.identifiers import Venue


class Patrol:
    def __init__(self, venue: Venue, now_ms: float | None) -> None:
        self.venue = venue
        self.now_ms = now_ms
        self.refreshes = 0

    def request_refresh(self) -> None:
        self.refreshes += 1

    def exchange_ms(self) -> float:
        if self.now_ms is None:
            raise ClockUncertainError(f"the clock of {self.venue.value} is not measured yet")
        return self.now_ms


def operations_with(*patrols: Patrol) -> Operations:
    parts = SimpleNamespace(patrols=patrols)
    parts.spot_patrol = Operations.spot_patrol.fget(parts)  # type: ignore[attr-defined]  # property
    parts.patrol = lambda venue: Operations.patrol(cast("Operations", parts), venue)
    return cast("Operations", parts)


def signing_ms(*patrols: Patrol) -> dict[Venue, float]:
    operations = operations_with(*patrols)
    return {venue: Operations.signing_ms(operations, venue) for venue in Venue}


def test_each_venue_is_signed_for_with_its_own_clock() -> None:
    signed = signing_ms(Patrol(Venue.SPOT, 1_000), Patrol(Venue.PERP, 2_000))
    assert signed == {Venue.SPOT: 1_000, Venue.PERP: 2_000}


def test_the_clock_of_spot_signs_while_that_of_futures_is_not_known() -> None:
    signed = signing_ms(Patrol(Venue.SPOT, 1_000), Patrol(Venue.PERP, None))
    assert signed == {Venue.SPOT: 1_000, Venue.PERP: 1_000}


def test_without_spot_the_clock_of_futures_signs_everything() -> None:
    assert set(signing_ms(Patrol(Venue.PERP, 2_000)).values()) == {2_000}


@pytest.mark.parametrize("venue", list(Venue))
def test_a_refused_timestamp_refreshes_every_clock_that_may_have_signed_it(venue: Venue) -> None:
    spot, perp = Patrol(Venue.SPOT, 1_000), Patrol(Venue.PERP, 2_000)
    refresh_clocks(operations_with(spot, perp), venue)

    assert spot.refreshes == 1
    assert perp.refreshes == int(venue is Venue.PERP)
