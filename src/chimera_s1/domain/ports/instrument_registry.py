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


class RefusedChange(Struct, frozen=True):
    """*reason* is the store's own text."""

    change: RegistryChange
    reason: str


class AppliedChanges(Struct, frozen=True):
    """Attributes:
    written: The changes that this call has written.

    refused: Those that the store refuses for good, or whose row it refuses.
    """

    written: tuple[RegistryChange, ...] = ()
    refused: tuple[RefusedChange, ...] = ()


class InstrumentRegistry(Protocol):
    """Each call may raise `StoreUnavailableError`; every call may be repeated."""

    async def rows(self, venue: Venue | None = None) -> tuple[RegistryRow, ...]:
        """All instruments, sorted by venue and symbol."""
        ...

    async def find(self, instrument: InstrumentId) -> RegistryRow | None: ...

    async def apply(self, changes: Sequence[RegistryChange]) -> AppliedChanges:
        """Write each change once, then its row.

        A version that is not above the newest change of its instrument is skipped: another
        instance has written it. A row that a crash left behind its newest change is repaired first,
        also without *changes*. What the store refuses for good does not keep the rest from being
        written. After an error a part may be written, which a repeated call skips: whoever must see
        every change reads `changes`.
        """
        ...

    async def mark_checked(self, instruments: Iterable[InstrumentId], checked_at: int) -> None:
        """Note that the venue's listing contained them; never moves a row's time back."""
        ...

    async def changes(
        self, *, after: int = 0, since: int = 0, limit: int = 1_000
    ) -> tuple[RecordedChange, ...]:
        """Changes beyond position *after* and not before the time *since*, in order.

        With several writers, too, a change never appears before a position that was read already.
        """
        ...

    async def last_position(self) -> int:
        """A position up to which every change is in its row; 0 before the first.

        Whoever reads it before all rows misses no change that `changes` gives beyond it.
        """
        ...

    async def held(self, venue: Venue) -> tuple[HeldRows, ...]: ...

    async def hold(self, venue: Venue, held: Sequence[HeldRows]) -> None:
        """Replace what is held of *venue*."""
        ...
