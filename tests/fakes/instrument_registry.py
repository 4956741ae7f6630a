"""An instrument registry in memory, whose store can be made to fail."""

from collections.abc import Iterable, Sequence

import msgspec
from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryChange, RegistryRow
from chimera_s1.domain.ports.instrument_registry import (
    AppliedChanges,
    RecordedChange,
    RefusedChange,
)


class FakeInstrumentRegistry:
    """Attributes:
    unavailable: While not empty, each call raises `StoreUnavailableError` with this text.

    fails_after: The next `apply` writes this many changes and then raises; None does not.

    refused: Instruments whose changes the store refuses for good.

    rows_unavailable: The next so many calls of `rows` raise.

    rows_behind: Rows as they were before the newest changes, which are in the log only; None if
        every change is in its row. ArangoDB writes the log first.
    """

    def __init__(self, position_step: int = 1) -> None:
        """Positions of changes are *position_step* apart; ArangoDB leaves gaps, too."""
        self._position_step = position_step
        self.unavailable = ""
        self.fails_after: int | None = None
        self.refused: set[InstrumentId] = set()
        self.rows_unavailable = 0
        self.rows_behind: tuple[RegistryRow, ...] | None = None
        self._position_of_rows = 0
        self._rows: dict[InstrumentId, RegistryRow] = {}
        self._changes: list[RegistryChange] = []
        self._held: dict[Venue, tuple[HeldRows, ...]] = {}

    async def rows(self, venue: Venue | None = None) -> tuple[RegistryRow, ...]:
        await self._check()
        if self.rows_unavailable:
            self.rows_unavailable -= 1
            raise StoreUnavailableError("the store failed between two reads")
        if self.rows_behind is not None:
            return tuple(row for row in self.rows_behind if venue in {None, row.instrument.venue})
        found = sorted(self._rows.items())
        return tuple(row for instrument, row in found if venue in {None, instrument.venue})

    async def find(self, instrument: InstrumentId) -> RegistryRow | None:
        await self._check()
        return self._rows.get(instrument)

    async def apply(self, changes: Sequence[RegistryChange]) -> AppliedChanges:
        await self._check()
        written: list[RegistryChange] = []
        refused: list[RefusedChange] = []
        for change in changes:
            instrument = change.row.instrument
            stored = self._rows.get(instrument)
            if stored is not None and stored.version >= change.row.version:
                continue
            if instrument in self.refused:
                refused.append(RefusedChange(change, "refused by this test"))
                continue
            if self.fails_after == len(written):
                self.fails_after = None
                raise StoreUnavailableError("the store failed in the middle of a call")
            checked_at = max(change.row.checked_at, stored.checked_at if stored else 0)
            self._rows[instrument] = msgspec.structs.replace(change.row, checked_at=checked_at)
            self._changes.append(change)
            written.append(change)
        return AppliedChanges(tuple(written), tuple(refused))

    async def mark_checked(self, instruments: Iterable[InstrumentId], checked_at: int) -> None:
        await self._check()
        for instrument in instruments:
            row = self._rows.get(instrument)
            if row is not None and row.checked_at < checked_at:
                self._rows[instrument] = msgspec.structs.replace(row, checked_at=checked_at)

    async def changes(
        self, *, after: int = 0, since: int = 0, limit: int = 1_000
    ) -> tuple[RecordedChange, ...]:
        await self._check()
        found = [
            RecordedChange(position, change)
            for number, change in enumerate(self._changes, start=1)
            if (position := number * self._position_step) > after and change.row.updated_at >= since
        ]
        return tuple(found[:limit])

    async def last_position(self) -> int:
        await self._check()
        if self.rows_behind is None:
            self._position_of_rows = len(self._changes) * self._position_step
        return self._position_of_rows

    async def held(self, venue: Venue) -> tuple[HeldRows, ...]:
        await self._check()
        return self._held.get(venue, ())

    async def hold(self, venue: Venue, held: Sequence[HeldRows]) -> None:
        await self._check()
        self._held[venue] = tuple(held)

    async def _check(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise StoreUnavailableError(self.unavailable)
