"""Syncs as jobs: every venue daily, spot more often, and what a venue announces at once."""

from collections.abc import Sequence

from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.sync_instruments import (
    ListingRefusedError,
    SyncInstruments,
    SyncResult,
)
from chimera_s1.app.capability import JobResult
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    InvalidValueError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.quarantine import CONFIRM_AFTER_MS
from chimera_s1.domain.ports.listing_news import ListingNotice
from chimera_s1.domain.ports.market_feed import ConnectionOpened, FeedEvent

CATCH_UP_MS, CATCH_UPS = 2_000, 3
"""The listing may follow a notice late, so it is read this often again after one."""

SECOND_READ_MS = CONFIRM_AFTER_MS + 60_000


class RunSyncs:
    """Runs syncs for the jobs, and says in the catalog why a listing is not current."""

    def __init__(
        self, sync: SyncInstruments, catalog: InstrumentCatalog, venues: Sequence[Venue]
    ) -> None:
        self._sync = sync
        self._catalog = catalog
        self.venues = tuple(venues)
        self.notices = ChangeSignal()
        """Notified when futures announce a change of a contract, or may have announced one."""
        self._catch_ups = 0

    def on_notice(self, _: ListingNotice) -> None:
        """The listing of futures is read now."""
        self._catch_ups = CATCH_UPS
        self.notices.notify()

    def on_feed_event(self, event: FeedEvent) -> None:
        """A connection for notices is new: what was announced before it is read now."""
        if isinstance(event, ConnectionOpened):
            self.notices.notify()

    async def sync_venues(self) -> JobResult:
        return _job_result(await self.sync_each(self.venues))

    async def sync_each(
        self, venues: Sequence[Venue], *, accept: bool = False
    ) -> Sequence[SyncResult]:
        """One that fails keeps none of the others from being synced; raises as the first.

        Raises:
            InvalidValueError: This instance does not serve one of *venues*: no job would keep its
                rows current.
        """
        for venue in venues:
            if venue not in self.venues:
                served = " and ".join(self.venues)
                raise InvalidValueError(f"this instance serves {served}; it does not sync {venue}")
        results: list[SyncResult] = []
        failed: Exception | None = None
        for venue in venues:
            try:
                results.append(await self.sync(venue, accept=accept))
            except (ExchangeUnavailableError, ExchangeRefusedError, ListingRefusedError) as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return results

    async def sync_one(self, venue: Venue, source: str) -> JobResult:
        return _job_result([await self.sync(venue, source=source)])

    async def sync_announced(self) -> JobResult:
        """Futures: at intervals, and a few times after a notice."""
        announced = self._catch_ups > 0
        source = "!contractInfo" if announced else "exchangeInfo"
        result = await self.sync_one(Venue.PERP, source)
        self._catch_ups = max(0, self._catch_ups - 1)
        return JobResult(result.sentence, CATCH_UP_MS) if announced else result

    async def apply_limits(self) -> JobResult:
        """Write S10's thresholds into the registry."""
        return JobResult(f"{await self._sync.apply_limits()} instruments have new thresholds")

    async def sync(
        self, venue: Venue, *, source: str = "exchangeInfo", accept: bool = False
    ) -> SyncResult:
        """Raises as `SyncInstruments.sync`."""
        try:
            result = await self._sync.sync(venue, source=source, accept=accept)
        except (ExchangeUnavailableError, ExchangeRefusedError, ListingRefusedError) as error:
            self._catalog.set_problem(venue, str(error))
            raise
        self._catalog.set_problem(venue, "")
        return result


def _job_result(results: Sequence[SyncResult]) -> JobResult:
    held = any(result.held for result in results)
    sentence = "; ".join(result.sentence for result in results)
    return JobResult(sentence, SECOND_READ_MS if held else None)
