"""What this instance publishes now, for other capabilities."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from chimera_s1.app.capabilities.market.hold_publisher_lease import HoldPublisherLease
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue


class CurrentPublication:
    """Implements `domain.ports.publication.Publication`; `open_market` fills it."""

    def __init__(self) -> None:
        self._lease: HoldPublisherLease | None = None
        self._served: dict[Venue, set[Symbol]] = {venue: set() for venue in Venue}

    @property
    def term(self) -> int:
        lease = self._lease
        return lease.term if lease is not None and lease.publishing else 0

    def served(self, venue: Venue) -> AbstractSet[Symbol]:
        return self._served[venue]

    def follow(self, lease: HoldPublisherLease) -> None:
        self._lease = lease

    def add(self, instruments: Iterable[InstrumentId]) -> None:
        for each in instruments:
            self._served[each.venue].add(each.symbol)

    def remove(self, instruments: Iterable[InstrumentId]) -> None:
        for each in instruments:
            self._served[each.venue].discard(each.symbol)
