"""What changes of the registry are on `ops:events`."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from chimera_s1.app.capabilities.operations.relay_log import (
    OVERLAP,
    PAGE,
    RelayedPage,
    overlap_start,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry, RecordedChange
from chimera_s1.domain.ports.operations_log import EventDetail, OperationsEvent, OperationsLog

CURSOR = "instruments.relay"

SINGLE_LISTINGS_MAX = 20
"""More new instruments of one sync are one event: a first sync has thousands."""

DIFFERENCE_MAX = 2_000
"""Characters; the registry has the whole difference."""

NAMES_SHOWN = 5


class RelayChanges:
    """Implements `operations.relay_log.RelayedLog`."""

    def __init__(self, registry: InstrumentRegistry, log: OperationsLog) -> None:
        self._registry = registry
        self._log = log
        self._together: _SyncOf | None = None

    async def start_before(self, cursor: int) -> int:
        """Not among new instruments: a part of many that were listed together would be relayed one
        by one, as events that consumers have not seen.
        """
        self._together = None

        async def read(start: int) -> Sequence[RecordedChange]:
            return await self._registry.changes(after=start, limit=OVERLAP)

        return await overlap_start(cursor, read, lambda each: bool(each.change.old_hash))

    async def relay_after(self, position: int) -> RelayedPage:
        read = await self._registry.changes(after=position, limit=PAGE)
        page = _whole_groups(read)
        events = [
            event
            for _, group in groupby(page, key=_sync_of)
            for event in self._events(tuple(group))
        ]
        for event in events:
            await self._log.record(event)
        last = page[-1].position if page else None
        return RelayedPage(last, len(events), is_full=len(read) == PAGE)

    def _events(self, group: Sequence[RecordedChange]) -> Sequence[OperationsEvent]:
        """One for each change; many new instruments of one sync are one together."""
        sync = _sync_of(group[0])
        many = sync.is_new and len(group) > SINGLE_LISTINGS_MAX
        # The rest of a sync may be on the next page.
        if many or sync == self._together:
            self._together = sync
            return [_listed_together(group)]
        return [_event(each) for each in group]


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
