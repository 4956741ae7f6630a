"""A venue whose entries of `mkt:status` a test writes."""

from collections.abc import Sequence

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.liveness import StatusChange
from chimera_s1.domain.market.status_in_force import StatusInForce


class MemoryWatchedVenue:
    """Implements `app.capabilities.market.current_status.WatchedVenue`; all its instruments are on
    one connection.
    """

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.connection = f"{venue.value}-0"
        self._in_force = StatusInForce()

    def put(self, *changes: StatusChange) -> None:
        self._in_force.record(changes)

    def status(self, instrument: InstrumentId) -> StatusChange | None:
        return self._in_force.of(instrument.symbol, [self.connection])

    def shared(self) -> Sequence[StatusChange]:
        return self._in_force.shared()
