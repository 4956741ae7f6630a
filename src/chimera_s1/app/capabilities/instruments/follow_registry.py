"""Keep the catalog like the stored registry, or without one like the venue's own listing."""

import logging
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from anyio import to_thread
from msgspec import structs

from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryRow
from chimera_s1.domain.instruments.sync_plan import SyncPlan, plan_sync
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry
from chimera_s1.domain.ports.instrument_source import InstrumentSource
from chimera_s1.domain.ports.listing_news import ListingNotice

POLL_INTERVAL_MS = 2_000.0
"""How late an instance learns what another one has synced, at most."""

RELOAD_INTERVAL_MS = 15 * 60_000.0
"""How old `checked_at` may be here: a sync without changes writes nothing else."""

LISTING_INTERVAL_MS = 15 * 60_000.0
"""How often a venue is read while the registry cannot be."""

PAGE = 1_000

_log = logging.getLogger(__name__)


class FollowRegistry:
    """Every instance follows; which of them syncs does not matter here.

    Args:
        changes: Notified when this instance has changed the registry.
    """

    def __init__(
        self,
        registry: InstrumentRegistry,
        source: InstrumentSource,
        catalog: InstrumentCatalog,
        *,
        venues: Sequence[Venue],
        clock: Clock,
        changes: ChangeSignal,
        retries: Backoff,
    ) -> None:
        self._registry = registry
        self._source = source
        self._catalog = catalog
        self._venues = tuple(venues)
        self._clock = clock
        self._changes = changes
        self._retries = retries
        self._position: int | None = None
        self._loaded_ms = 0.0
        # When the catalog was last like the registry, or like what the venue lists.
        self._current_ms: dict[Venue, float] = {}
        self._held_without_store: dict[Venue, Sequence[HeldRows]] = {}
        self.held: dict[Venue, int] = {}
        """Rows in quarantine, whichever instance put them there."""
        self.store_problem = ""

    async def run(self) -> None:
        failures = 0
        while True:
            version = self._changes.version
            try:
                await self._follow()
                self._note_current()
                failures, wait_ms = 0, POLL_INTERVAL_MS
                self.store_problem = ""
            except StoreUnavailableError as error:
                self.store_problem = str(error)
                await self._read_listings()
                wait_ms = self._retries.wait_ms(failures, 0.0)
                failures += 1
            await self._changes.wait_after(self._clock, wait_ms, version=version)

    def on_notice(self, notice: ListingNotice) -> None:
        """A sync reads the listing; without the registry it is read here."""
        self._current_ms.pop(notice.instrument.venue, None)
        if self.store_problem:
            self._changes.notify()

    def _note_current(self) -> None:
        known = [each for each in self._venues if self._catalog.listings(each) is not None]
        self._current_ms = dict.fromkeys(known, self._clock.monotonic_ms())
        self._held_without_store.clear()

    async def _follow(self) -> None:
        for venue in self._venues:
            held = await self._registry.held(venue)
            self.held[venue] = sum(len(each.instruments) for each in held)
        now_ms = self._clock.monotonic_ms()
        if self._position is None or now_ms - self._loaded_ms >= RELOAD_INTERVAL_MS:
            self._position, self._loaded_ms = await self._load(), now_ms
            return
        # Beyond it rows may be behind the log, which a writer completes only after the log.
        last = await self._registry.last_position()
        for venue in await self._changed_venues(self._position, last):
            self._catalog.put(venue, await self._registry.rows(venue))
        self._position = last

    async def _changed_venues(self, after: int, last: int) -> list[Venue]:
        changed: set[Venue] = set()
        while after < last and (page := await self._registry.changes(after=after, limit=PAGE)):
            changed |= {each.change.row.instrument.venue for each in page if each.position <= last}
            after = page[-1].position
        return sorted(changed)

    async def _load(self) -> int:
        # Before the rows: a change in between is then read twice, and not missed.
        position = await self._registry.last_position()
        for venue in self._venues:
            if rows := await self._registry.rows(venue):
                self._catalog.put(venue, rows)
        return position

    async def _read_listings(self) -> None:
        """Market data goes on without a registry: what the venue lists now is not stored."""
        now_ms = self._clock.monotonic_ms()
        for venue in self._venues:
            current_ms = self._current_ms.get(venue)
            if current_ms is None or now_ms - current_ms >= LISTING_INTERVAL_MS:
                await self._read_listing(venue)

    async def _read_listing(self, venue: Venue) -> None:
        try:
            listing = await self._source.listing(venue)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            self._catalog.set_problem(venue, str(error))
            return
        rows, now = self._catalog.rows_of(venue), self._clock.now_ms()
        held = self._held_without_store.get(venue, ())
        # In a thread: thousands of rows take longer than a window of quotes may wait.
        plan = await to_thread.run_sync(partial(plan_sync, rows, listing, now=now, held=held))
        self._catalog.set_problem(venue, plan.refused)
        if plan.refused:
            return
        _log.warning("%s: the listing is used without a registry", venue.value)
        self._held_without_store[venue] = plan.quarantine.held
        # The rows are not loaded again before a sync has written what was read here.
        self._current_ms[venue] = self._loaded_ms = self._clock.monotonic_ms()
        self._catalog.put(venue, _with_plan(rows, plan, now))


def _with_plan(rows: Iterable[RegistryRow], plan: SyncPlan, now: int) -> Collection[RegistryRow]:
    """*rows* as *plan* changes them; a row that is not stored has version 0."""
    known = {row.instrument: row for row in rows}
    known |= {each: structs.replace(known[each], checked_at=now) for each in plan.checked}
    known |= {each.row.instrument: structs.replace(each.row, version=0) for each in plan.changes}
    return known.values()
