"""Bring the registry in line with a venue's listing."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar, assert_never

import anyio
from anyio import to_thread
from msgspec import Struct, structs

from chimera_s1.domain.errors import ChimeraError, ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.enumerations import UnknownValue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryChange
from chimera_s1.domain.instruments.listing_read import ListingExtras, ListingRead
from chimera_s1.domain.instruments.sync_plan import SyncPlan, plan_extras, plan_sync
from chimera_s1.domain.operations.active_configuration import RiskLimits
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.instrument_registry import (
    AppliedChanges,
    InstrumentRegistry,
    RefusedChange,
)
from chimera_s1.domain.ports.instrument_source import InstrumentSource
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.risk_limits_reader import RiskLimitsReader

NAMES_SHOWN = 5

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class ListingRefusedError(ChimeraError):
    """The venue's listing cannot be one; the registry keeps what it has."""

    code = "instruments.listing_refused"


class SyncResult(Struct, frozen=True, kw_only=True):
    """What a sync of one venue has done.

    Attributes:
        listed: Usable rows of the listing.
        added, changed, vanished: Instruments.
        unusable: Rows that could not be decoded.
        held: Instruments in quarantine.
        refused: Changes that the store refuses for good.
    """

    venue: Venue
    listed: int
    added: int
    changed: int
    vanished: int
    unusable: int
    held: int
    refused: int

    @property
    def sentence(self) -> str:
        text = (
            f"{self.venue.value}: {self.listed} listed, {self.added} new, {self.changed} changed, "
            f"{self.vanished} gone"
        )
        extra = (
            (self.held, "in quarantine"),
            (self.unusable, "not readable"),
            (self.refused, "refused by the store"),
        )
        return ", ".join([text, *(f"{number} {what}" for number, what in extra if number)])


class ReadsOfVenue(Struct):
    """What the last sync of a venue has met, for health and metrics; only the sync writes it.

    Attributes:
        read_at: When the listing was last read whole, epoch ms; None if never.
        extras_problem: Why something beside the listing was not read; empty if all was.
    """

    read_at: int | None = None
    unusable: int = 0
    refused: int = 0
    changes: int = 0
    extras_problem: str = ""


class SyncInstruments:
    """Reads a listing, plans in a thread what it changes, and writes that.

    Args:
        risk_limits: S10's thresholds; None where there is no S10.
        wake_readers: Called when the registry has changed.
        on_refused: Takes a change that the store refuses for good.
    """

    def __init__(
        self,
        source: InstrumentSource,
        registry: InstrumentRegistry,
        *,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
        risk_limits: RiskLimitsReader | None,
        wake_readers: Callable[[], None],
        on_refused: Callable[[RefusedChange], None],
    ) -> None:
        self._source = source
        self._registry = registry
        self._clock = clock
        self._record = record
        self._risk_limits = risk_limits
        self._wake_readers = wake_readers
        self._on_refused = on_refused
        self._locks = {venue: anyio.Lock() for venue in Venue}
        self._reported: set[UnknownValue] = set()
        self._held_since: dict[Venue, dict[str, float]] = {venue: {} for venue in Venue}
        """When this process first saw what is held, by its digest, monotonic ms."""
        self.reads = {venue: ReadsOfVenue() for venue in Venue}

    async def sync(
        self, venue: Venue, *, source: str = "exchangeInfo", accept: bool = False
    ) -> SyncResult:
        """Raises:
        ExchangeUnavailableError, ExchangeRefusedError: No listing.
        ListingRefusedError: The listing is empty, or hardly any of it can be read.
        StoreUnavailableError: The registry may have a part; the next sync writes the rest.
        """
        async with self._locks[venue]:
            listing = await self._source.listing(venue)
            extras = await self._read_extras(listing)
            plan = await self._plan(listing, extras, source, accept=accept)
            if plan.refused:
                raise ListingRefusedError(plan.refused)
            self._record_unknown(plan.unknown)
            applied = await self._registry.apply(plan.changes)
            await self._registry.mark_checked(plan.checked, self._clock.now_ms())
            # Last: if the store fails before it, the next read finds and reports the same.
            await self._registry.hold(venue, plan.quarantine.held)
            self._time_held(venue, plan.quarantine.held)
            return self._conclude(listing, plan, applied)

    async def apply_limits(self) -> int:
        """Write what S10 has changed; the number of changed rows.

        Raises:
            StoreUnavailableError: A part may be written; the next call writes the rest.
        """
        return sum([await self._apply_limits_of(venue) for venue in Venue])

    async def _apply_limits_of(self, venue: Venue) -> int:
        # A sync that has read the limits before writes its rows first: of two changes that make
        # the same version of a row, the store keeps one.
        async with self._locks[venue]:
            stored = await self._registry.rows(venue)
            risk = self._limits(row.instrument for row in stored)
            if risk is None:
                return 0
            plan = partial(plan_extras, stored, ListingExtras(risk=risk), now=self._clock.now_ms())
            applied = await self._registry.apply(await to_thread.run_sync(plan))
        for refused in applied.refused:
            self._on_refused(refused)
        if applied.written:
            self._wake_readers()
        return len(applied.written)

    async def _plan(
        self, listing: ListingRead, extras: ListingExtras, source: str, *, accept: bool
    ) -> SyncPlan:
        stored = await self._registry.rows(listing.venue)
        held = self._time_held(listing.venue, await self._registry.held(listing.venue))
        # In a thread: thousands of rows take longer than a window of quotes may wait.
        return await to_thread.run_sync(
            partial(
                plan_sync,
                stored,
                listing,
                now=self._clock.now_ms(),
                extras=extras,
                held=held,
                accept=accept,
                source=source,
            )
        )

    def _time_held(self, venue: Venue, held: Iterable[HeldRows]) -> tuple[HeldRows, ...]:
        """*held*, as long as this process has seen it: a wall clock that is stepped ahead must not
        confirm a wrong listing.
        """
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.now_ms()
        seen = self._held_since[venue]
        first = {each.digest: seen.get(each.digest, now_ms) for each in held}
        self._held_since[venue] = first
        return tuple(
            structs.replace(each, since=wall_ms - round(now_ms - first[each.digest]))
            for each in held
        )

    async def _read_extras(self, listing: ListingRead) -> ListingExtras:
        """What is not in the listing. A part that cannot be read keeps what is stored."""
        problems: list[str] = []
        risk = self._limits(spec.instrument for spec in listing.specs)
        match listing.venue:
            case Venue.PERP:
                extras = ListingExtras(
                    leverage_brackets=await _tried(
                        "leverage brackets", self._source.leverage_brackets, problems
                    ),
                    funding_intervals=await _tried(
                        "funding intervals", self._source.funding_intervals, problems
                    ),
                    risk=risk,
                )
            case Venue.SPOT:
                extras = ListingExtras(
                    delisting_dates=await _tried(
                        "delisting dates", self._source.delisting_dates, problems
                    ),
                    risk=risk,
                )
            case _:
                assert_never(listing.venue)
        self.reads[listing.venue].extras_problem = "; ".join(problems)
        return extras

    def _limits(
        self, instruments: Iterable[InstrumentId]
    ) -> Mapping[InstrumentId, RiskLimits] | None:
        """None where S10 is not known: the thresholds in the registry stay."""
        if self._risk_limits is None:
            return None
        limits = {each: found for each in instruments if (found := self._risk_limits.limits(each))}
        return limits or None

    def _conclude(
        self, listing: ListingRead, plan: SyncPlan, applied: AppliedChanges
    ) -> SyncResult:
        result = _result(listing, plan, applied)
        reads = self.reads[listing.venue]
        reads.read_at = self._clock.now_ms()
        reads.unusable, reads.refused = result.unusable, result.refused
        reads.changes += len(applied.written)
        self._record_findings(listing.venue, plan, applied)
        if applied.written or plan.quarantine.newly_held or plan.quarantine.released:
            self._wake_readers()
        return result

    def _record_unknown(self, unknown: Iterable[tuple[UnknownValue, InstrumentId]]) -> None:
        """Before the rows are written: the next read takes values of stored rows for reported."""
        for value, instrument in unknown:
            if value in self._reported:
                continue
            self._reported.add(value)
            _log.warning("%s: unknown %s %r is kept as text", instrument, value.field, value.value)
            self._record(
                "instruments.value_unknown",
                {"field": value.field, "value": value.value, "example": str(instrument)},
            )

    def _record_findings(self, venue: Venue, plan: SyncPlan, applied: AppliedChanges) -> None:
        for held in plan.quarantine.newly_held:
            _log.warning("%s: %s", venue.value, held.reason)
            self._record("instruments.held", _held_detail(venue, held))
        for held in plan.quarantine.released:
            self._record("instruments.released", _held_detail(venue, held))
        for refused in applied.refused:
            name = str(refused.change.row.instrument)
            _log.warning("%s: the store refuses its change: %s", name, refused.reason)
            self._record(
                "instruments.change_refused", {"instrument": name, "reason": refused.reason}
            )
            self._on_refused(refused)


async def _tried(what: str, read: Callable[[], Awaitable[_T]], problems: list[str]) -> _T | None:
    try:
        return await read()
    except ExchangeUnavailableError as error:
        problems.append(f"{what} were not read: {error}")
    except ExchangeRefusedError as error:
        problems.append(f"{what} were refused, chimera-s1 doctor checks the key: {error}")
    return None


def _result(listing: ListingRead, plan: SyncPlan, applied: AppliedChanges) -> SyncResult:
    written = applied.written
    return SyncResult(
        venue=listing.venue,
        listed=len(listing.specs),
        added=sum(_is_new(change) for change in written),
        changed=sum(change.row.content.listed and not _is_new(change) for change in written),
        vanished=sum(not change.row.content.listed for change in written),
        unusable=len(listing.unusable),
        held=len(plan.quarantine.instruments()),
        refused=len(applied.refused),
    )


def _is_new(change: RegistryChange) -> bool:
    return not change.old_hash


def _held_detail(venue: Venue, held: HeldRows) -> EventDetail:
    names = [each.symbol for each in held.instruments[:NAMES_SHOWN]]
    return {
        "venue": venue.value,
        "status_class": held.status_class,
        "rows": len(held.instruments),
        "examples": ",".join(names),
        "reason": held.reason,
        "since": held.since,
    }
