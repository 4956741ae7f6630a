"""What the API and the command line do with entries."""

from collections.abc import Iterator

from msgspec import Struct

from chimera_s1.app.capabilities.execution.entries.accept_entries import (
    AcceptEntries,
    EntryPicture,
    EntryRequest,
)
from chimera_s1.app.capabilities.execution.entries.cancel_entries import CancelEntries
from chimera_s1.app.capabilities.execution.entries.read_entries import ReadEntries
from chimera_s1.app.capabilities.execution.entries.timeline import TimelineRow
from chimera_s1.app.capabilities.execution.read_account import ExecutionDisabledError
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.identifiers import Symbol, Venue


class EntryParts(Struct, frozen=True, kw_only=True):
    accept: AcceptEntries
    read: ReadEntries
    cancel: CancelEntries


class Entries:
    """Args:
    parts: None without an exchange key: every call raises `ExecutionDisabledError`.
    """

    def __init__(self, parts: EntryParts | None) -> None:
        self._parts = parts

    async def accept(self, request: EntryRequest, actor: str) -> EntryPicture:
        """See `AcceptEntries.accept`."""
        return await self._enabled().accept.accept(request, actor)

    async def get(self, entry_id: str, venue: Venue) -> EntryPicture:
        """See `ReadEntries.get`."""
        return await self._enabled().read.get(entry_id, venue)

    async def timeline(self, entry_id: str) -> tuple[TimelineRow, ...] | None:
        """See `ReadEntries.timeline`."""
        return await self._enabled().read.timeline(entry_id)

    def newest(
        self,
        venue: Venue,
        *,
        symbol: Symbol | None = None,
        status: EntryStatus | None = None,
        open_only: bool = False,
    ) -> Iterator[EntryPicture]:
        """See `ReadEntries.newest`."""
        read = self._enabled().read
        return read.newest(venue, symbol=symbol, status=status, open_only=open_only)

    async def cancel(
        self, entry_id: str, venue: Venue, *, disarm: bool, actor: str
    ) -> EntryPicture:
        """See `CancelEntries.cancel`."""
        cancel = self._enabled().cancel
        return await cancel.cancel(entry_id, venue, disarm=disarm, actor=actor)

    def _enabled(self) -> EntryParts:
        if self._parts is None:
            raise ExecutionDisabledError("set S1_BINANCE_KEY and S1_BINANCE_SECRET to place orders")
        return self._parts
