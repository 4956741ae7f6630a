"""An event store that reports the damage it meets, whichever reader meets it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, LedgerHead
from chimera_s1.domain.ports.event_store import AppendResult, EventStore

_Result = TypeVar("_Result")


class GuardedStore:
    """Implements `domain.ports.event_store.EventStore` around another one.

    The head, a commit in the middle and the commit that holds a sequence number are decoded in
    different calls by different workers. Each of them finds the same damage.
    """

    def __init__(self, store: EventStore, on_damage: Callable[[str], None]) -> None:
        self._store = store
        self._on_damage = on_damage

    @property
    def ledger(self) -> str:
        return self._store.ledger

    async def append(self, commit: Commit) -> AppendResult:
        return await self._report(self._store.append(commit))

    async def head(self) -> LedgerHead:
        return await self._report(self._store.head())

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        return await self._report(self._store.read(after, limit))

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        return await self._report(self._store.read_stream(stream))

    async def _report(self, call: Awaitable[_Result]) -> _Result:
        """What *call* returns; damage that it raises is reported first."""
        try:
            return await call
        except LedgerDamagedError as error:
            self._on_damage(str(error))
            raise
