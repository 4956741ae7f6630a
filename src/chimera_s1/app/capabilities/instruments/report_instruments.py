"""Report the health of the instrument registry."""

from collections.abc import Sequence

from chimera_s1.app.capabilities.instruments.follow_registry import FollowRegistry
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.sync_instruments import SyncInstruments
from chimera_s1.app.capabilities.operations.relay_log import RelayLog
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.health import InstrumentsReport, VenueRegistry
from chimera_s1.domain.ports.clock import Clock


class ReportInstruments:
    """Reads memory."""

    def __init__(
        self,
        catalog: InstrumentCatalog,
        sync: SyncInstruments,
        follow: FollowRegistry,
        relay: RelayLog,
        *,
        venues: Sequence[Venue],
        clock: Clock,
        has_key: bool,
    ) -> None:
        self._catalog = catalog
        self._sync = sync
        self._follow = follow
        self._relay = relay
        self._venues = tuple(venues)
        self._clock = clock
        self._has_key = has_key

    def report(self) -> InstrumentsReport:
        reads = self._sync.reads.values()
        return InstrumentsReport(
            venues=tuple(map(self._venue, self._venues)),
            has_key=self._has_key,
            refused=sum(each.refused for each in reads),
            store_problem=self._follow.store_problem,
            relay_problem=self._relay.last_error,
        )

    def _venue(self, venue: Venue) -> VenueRegistry:
        rows, reads = self._catalog.rows_of(venue), self._sync.reads[venue]
        # Whichever instance read it: the rows of the registry say when.
        checked_at = max((row.checked_at for row in rows), default=None)
        newest = max((at for at in (checked_at, reads.read_at) if at is not None), default=None)
        is_own = newest == reads.read_at
        return VenueRegistry(
            venue=venue,
            instruments=len(rows) if self._catalog.listings(venue) is not None else None,
            age_ms=None if newest is None else max(0, self._clock.now_ms() - newest),
            held=self._follow.held.get(venue, 0),
            unusable=reads.unusable if is_own else 0,
            problem=self._catalog.problem(venue) or reads.extras_problem,
        )
