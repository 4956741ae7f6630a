"""How the parts of the execution capability are put together."""

from types import SimpleNamespace
from typing import cast

import pytest

from chimera_s1.app.capabilities.execution.wiring import refresh_clocks
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.domain.identifiers import Venue


class Patrol:
    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.refreshes = 0

    def request_refresh(self) -> None:
        self.refreshes += 1


@pytest.mark.parametrize("venue", list(Venue))
def test_a_refused_timestamp_refreshes_the_clock_that_signed_it(venue: Venue) -> None:
    """Futures requests are signed with the clock of the spot host, and age by their own."""
    spot, perp = Patrol(Venue.SPOT), Patrol(Venue.PERP)
    operations = SimpleNamespace(spot_patrol=spot, patrols=(perp,))
    refresh_clocks(cast("Operations", operations), venue)

    assert spot.refreshes == 1
    assert perp.refreshes == int(venue is Venue.PERP)
