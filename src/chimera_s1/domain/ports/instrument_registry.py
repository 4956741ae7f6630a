"""Port: the stored registry of instruments, with each of its changes."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryChange, RegistryRow


class RecordedChange(Struct, frozen=True):
    """*position* orders all changes of the registry; it only grows."""

    position: int
    change: RegistryChange


class InstrumentRegistry(Protocol):
    """Each call may raise `StoreUnavailableError`; every call may be repeated."""

    async def rows(self, venue: Venue | None = None) -> tuple[RegistryRow, ...]:
        """All instruments, sorted by venue and symbol."""
        ...

    async def find(self, instrument: InstrumentId) -> RegistryRow | None: ...

    async def apply(self, changes: Sequence[RegistryChange]) -> tuple[RegistryChange, ...]:
        """Write each change once, then its row.

        A version that another instance has written already is skipped; a row that a crash left
        behind its newest change is repaired. One row that the store refuses for good does not keep
        the others from being written.

        Returns:
            The changes that this call has written.
        """
        ...

    async def mark_checked(self, instruments: Iterable[InstrumentId], checked_at: int) -> None:
        """Note that the venue's listing contained them; never moves a row's time back."""
        ...

    async def changes(
        self, *, after: int = 0, since: int = 0, limit: int = 1_000
    ) -> tuple[RecordedChange, ...]:
        """Changes beyond position *after* and not before the time *since*, in order."""
        ...

    async def held(self, venue: Venue) -> tuple[HeldRows, ...]: ...

    async def hold(self, venue: Venue, held: Sequence[HeldRows]) -> None:
        """Replace what is held of *venue*."""
        ...
