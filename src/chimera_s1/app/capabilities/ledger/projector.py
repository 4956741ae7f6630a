"""Keep a projection up to date with a ledger."""

from typing import Protocol

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore

READ_BATCH_SIZE = 256
POLL_INTERVAL_MS = 1_000.0
DEBOUNCE_MS = 50.0
"""A batch is two disk writes, for one commit or for many."""


class Projection(Protocol):
    """Rows made from a ledger's events; applying an entry again must change nothing."""

    async def apply(self, entries: tuple[LedgerEntry, ...]) -> None:
        """Write the rows that the next *entries* change."""
        ...

    async def clear(self) -> None:
        """Delete all rows."""
        ...


class LedgerProjector:
    """Args:
    changes: Of the ledger, so that new commits are projected at once.
    cursor_name: The cursor of this projection.
    """

    def __init__(
        self,
        store: EventStore,
        projection: Projection,
        cursors: CursorStore,
        changes: ChangeSignal,
        *,
        cursor_name: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._projection = projection
        self._cursors = cursors
        self._changes = changes
        self._cursor = cursor_name
        self._clock = clock
        self._rebuilt_seq: int | None = None
        self.last_error = ""
        """Why the projection is behind; empty while it works."""

    async def run(self) -> None:
        while True:
            version = self._changes.version
            try:
                while await self.advance() == READ_BATCH_SIZE:
                    pass
                self.last_error = ""
            except (StoreUnavailableError, LedgerDamagedError) as error:
                self.last_error = str(error)
            await self._changes.wait_after(
                self._clock, POLL_INTERVAL_MS, version=version, debounce_ms=DEBOUNCE_MS
            )

    async def rebuild(self) -> None:
        """Delete all rows; `run` or `advance` writes them again.

        Other instances may project meanwhile. Their rows are correct, but they advance the shared
        cursor, so a rebuild counts its own progress until it reaches the head.
        """
        await self._cursors.rewind(self._cursor)
        await self._projection.clear()
        self._rebuilt_seq = 0

    async def advance(self) -> int:
        """Project the next commits and return their number; 0 at the head.

        Raises:
            StoreUnavailableError, LedgerDamagedError: Nothing is lost; call again.
        """
        seq = self._rebuilt_seq
        if seq is None:
            seq = await self._cursors.read(self._cursor)
        entries = await self._store.read(seq, READ_BATCH_SIZE)
        if not entries:
            self._rebuilt_seq = None
            return 0
        await self._projection.apply(entries)
        last_seq = entries[-1].commit.seq
        await self._cursors.advance(self._cursor, last_seq)
        if self._rebuilt_seq is not None:
            self._rebuilt_seq = last_seq
        return len(entries)
