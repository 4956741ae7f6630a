"""Relay the changes of the registry to `ops:events`: in order, at least once.

Consumers drop an `event_id` they have seen: the last changes are written again at every start and
after every failure of Redis, which may lose acknowledged entries in a failover.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ConfigurationError,
    PublisherUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry, RecordedChange
from chimera_s1.domain.ports.operations_log import EventDetail, OperationsEvent, OperationsLog

CURSOR = "instruments.relay"
PAGE = 500
POLL_INTERVAL_MS = 2_000.0
OVERLAP = 50
"""Changes that are written again after a start or a failure."""

SINGLE_LISTINGS_MAX = 20
"""More new instruments of one sync are one event: a first sync has thousands."""

DIFFERENCE_MAX = 2_000
"""Characters; the registry has the whole difference."""

NAMES_SHOWN = 5


class RelayChanges:
    """One instance of all that share the store relays; the lease decides which."""

    def __init__(
        self,
        registry: InstrumentRegistry,
        cursors: CursorStore,
        log: OperationsLog,
        lease: JobLease,
        *,
        clock: Clock,
        changes: ChangeSignal,
        retries: Backoff,
    ) -> None:
        self._registry = registry
        self._cursors = cursors
        self._log = log
        self._lease = lease
        self._clock = clock
        self._changes = changes
        self._retries = retries
        self._position: int | None = None
        self._together: _SyncOf | None = None
        self.relayed = 0
        """Events written since the start, including repeats."""
        self.last_error = ""
        """Why the relay is behind; empty while it works."""

    async def run(self) -> None:
        failures = 0
        while True:
            version = self._changes.version
            try:
                while await self.advance() == PAGE:
                    pass
                failures, wait_ms, self.last_error = 0, POLL_INTERVAL_MS, ""
            except (PublisherUnavailableError, ConfigurationError, StoreUnavailableError) as error:
                self._position, self.last_error = None, str(error)
                wait_ms = self._retries.wait_ms(failures, 0.0)
                failures += 1
            await self._changes.wait_after(self._clock, wait_ms, version=version)

    async def advance(self) -> int:
        """Relay the next changes and return their number; 0 where there is none, or where another
        instance relays.

        Raises:
            PublisherUnavailableError, ConfigurationError: Redis failed; call again.
            StoreUnavailableError: The store failed; call again.
        """
        if not await self._lease.acquire_or_renew():
            self._position = None
            return 0
        if self._position is None:
            self._position = await self._overlap_start(await self._cursors.read(CURSOR))
            self._together = None
        read = await self._registry.changes(after=self._position, limit=PAGE)
        page = _whole_groups(read)
        for _, group in groupby(page, key=_sync_of):
            await self._relay(tuple(group))
        if page:
            self._position = page[-1].position
            await self._cursors.advance(CURSOR, self._position)
        return len(read)

    async def _relay(self, group: Sequence[RecordedChange]) -> None:
        """One event for each change; many new instruments of one sync are one together."""
        sync = _sync_of(group[0])
        many = sync.is_new and len(group) > SINGLE_LISTINGS_MAX
        # The rest of a sync may be on the next page.
        if many or sync == self._together:
            events, self._together = [_listed_together(group)], sync
        else:
            events = [_event(each) for each in group]
        for event in events:
            await self._log.record(event)
            self.relayed += 1

    async def _overlap_start(self, cursor: int) -> int:
        """A position with at least `OVERLAP` changes from there to *cursor*.

        Positions may have gaps. It is not among new instruments: a part of many that were listed
        together would be relayed one by one, as events that consumers have not seen.
        """
        span = OVERLAP
        while (start := cursor - span) > 0:
            found = await self._registry.changes(after=start, limit=OVERLAP)
            whole = len(found) == OVERLAP and found[-1].position <= cursor
            if whole and found[0].change.old_hash:
                return start
            span *= 10
        return 0


class _SyncOf(NamedTuple):
    """What the changes of one sync have in common."""

    is_new: bool
    venue: Venue
    updated_at: int


def _sync_of(recorded: RecordedChange) -> _SyncOf:
    row = recorded.change.row
    return _SyncOf(not recorded.change.old_hash, row.instrument.venue, row.updated_at)


def _whole_groups(page: Sequence[RecordedChange]) -> Sequence[RecordedChange]:
    """*page* without a group at its end that may go on; it is read again."""
    if len(page) < PAGE:
        return page
    last = _sync_of(page[-1])
    before = [number for number, each in enumerate(page, start=1) if _sync_of(each) != last]
    return page[: before[-1]] if before else page


def _event(recorded: RecordedChange) -> OperationsEvent:
    change = recorded.change
    row, spec = change.row, change.row.content.spec
    detail: EventDetail = {
        "venue": spec.instrument.venue.value,
        "symbol": spec.instrument.symbol,
        "status": spec.status,
        "version": row.version,
        "spec_hash": row.spec_hash,
        "source": change.source,
    }
    kind = "instruments.changed" if change.old_hash else "instruments.listed"
    if change.old_hash:
        detail["difference"] = difference_text(change.difference)
    return OperationsEvent(_event_id(recorded), row.updated_at, kind, detail)


def _listed_together(changes: Sequence[RecordedChange]) -> OperationsEvent:
    first = changes[0].change.row
    names = [each.change.row.instrument.symbol for each in changes[:NAMES_SHOWN]]
    venue = first.instrument.venue.value
    detail: EventDetail = {
        "venue": venue,
        "updated_at": first.updated_at,
        "examples": ",".join(names),
        "source": changes[0].change.source,
    }
    # Pages end anywhere among them, so the id must not depend on which of them are at hand.
    event_id = f"{venue}-listed-{first.updated_at}"
    return OperationsEvent(event_id, first.updated_at, "instruments.listed_together", detail)


def _event_id(recorded: RecordedChange) -> str:
    row = recorded.change.row
    return f"{row.instrument}-{row.version}"


def difference_text(difference: Sequence[tuple[str, str, str]]) -> str:
    """`status: TRADING -> SETTLING; max_qty: 1000 -> 500`."""
    text = "; ".join(f"{name}: {old or '-'} -> {new or '-'}" for name, old, new in difference)
    return text if len(text) <= DIFFERENCE_MAX else f"{text[:DIFFERENCE_MAX]}..."
