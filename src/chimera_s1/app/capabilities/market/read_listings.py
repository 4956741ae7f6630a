"""Read the venues' listings at intervals, and at once when a notice says that one has changed."""

import logging
from collections.abc import Callable

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation
from chimera_s1.domain.ports.listing_news import ListingNotice

INTERVAL_MS = 900_000
"""Spot has no stream of listings, and notices of futures may be lost."""

NOTICE_DEBOUNCE_MS = 500
"""Several contracts are listed, or delisted, at the same moment."""

CATCH_UP_MS, CATCH_UPS = 2_000, 3
"""The listing may follow a notice late, so it is read this often again after one."""

_log = logging.getLogger(__name__)


class ReadListings:
    """Implements `domain.ports.instrument_reader.InstrumentReader`.

    A listing that cannot be read, or is empty, changes nothing: the last good one holds.
    """

    def __init__(
        self,
        exchange: ExchangeInformation,
        clock: Clock,
        backoff: Backoff,
        draw: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._backoff = backoff
        self._draw = draw
        self._listings: dict[Venue, tuple[Listing, ...]] = {}
        self._problems: dict[Venue, str] = {}
        self._changes = ChangeSignal()
        self._notices = {venue: ChangeSignal() for venue in Venue}

    def listings(self, venue: Venue) -> tuple[Listing, ...] | None:
        return self._listings.get(venue)

    def problem(self, venue: Venue) -> str:
        return self._problems.get(venue, "")

    @property
    def version(self) -> int:
        return self._changes.version

    async def wait_changed(self, version: int) -> None:
        await self._changes.next_after(version)

    def on_notice(self, notice: ListingNotice) -> None:
        """The listing of its venue is read soon."""
        self._notices[notice.instrument.venue].notify()

    async def follow(self, venue: Venue) -> None:
        """Keep the listing of *venue* current until cancelled."""
        notices, failures, catch_ups = self._notices[venue], 0, 0
        while True:
            version = notices.version
            if await self._read(venue):
                failures, wait_ms = 0, float(CATCH_UP_MS if catch_ups else INTERVAL_MS)
                catch_ups = max(0, catch_ups - 1)
            else:
                wait_ms = self._backoff.wait_ms(failures, self._draw())
                failures += 1
            await notices.wait_after(
                self._clock, wait_ms, version=version, debounce_ms=NOTICE_DEBOUNCE_MS
            )
            if notices.version > version:
                catch_ups = CATCH_UPS

    async def _read(self, venue: Venue) -> bool:
        try:
            listings = await self._exchange.listings(venue)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            self._set_problem(venue, str(error))
            return False
        if not listings:
            self._set_problem(venue, "the venue's listing is empty")
            return False
        if self._problems.pop(venue, "") or listings != self._listings.get(venue):
            self._listings[venue] = listings
            self._changes.notify()
        return True

    def _set_problem(self, venue: Venue, problem: str) -> None:
        _log.warning("listing of %s unavailable; it is read again: %s", venue, problem)
        self._problems[venue] = problem
        self._changes.notify()
