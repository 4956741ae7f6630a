"""Stores in memory that fail on demand. `unavailable` makes every call fail until it is reset."""

from anyio.lowlevel import checkpoint

from chimera_s1.adapters.memory.event_store import LedgerContents, MemoryEventStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.memory.transfer_projection import MemoryTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry, LedgerHead
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import AppendResult
from chimera_s1.domain.ports.transfer_projection import PageMark, TransferRow


class FaultyEventStore(MemoryEventStore):
    """Attributes:
    replies_to_lose: How many of the next appends fail after the commit was written.
    """

    def __init__(self, ledger: str, contents: LedgerContents | None = None) -> None:
        """Args: contents: Shared with another store; None starts a new ledger."""
        super().__init__(ledger)
        self.unavailable = False
        self.replies_to_lose = 0
        if contents is not None:
            self.contents = contents

    async def append(self, commit: Commit) -> AppendResult:
        await _check_available(unavailable=self.unavailable)
        result = await super().append(commit)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("ledger store: reply lost after the commit")
        return result

    async def head(self) -> LedgerHead:
        await _check_available(unavailable=self.unavailable)
        return await super().head()

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        await _check_available(unavailable=self.unavailable)
        return await super().read(after, limit)

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        await _check_available(unavailable=self.unavailable)
        return await super().read_stream(stream)


class FaultyLeaseStore(MemoryLeaseStore):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.unavailable = False

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        await _check_available(unavailable=self.unavailable)
        return await super().acquire(name, owner, duration_ms)

    async def release(self, name: str, owner: str) -> None:
        await _check_available(unavailable=self.unavailable)
        await super().release(name, owner)


class FaultyTransferProjection(MemoryTransferProjection):
    def __init__(self) -> None:
        super().__init__()
        self.unavailable = False

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        await _check_available(unavailable=self.unavailable)
        await super().put(rows)

    async def get(self, transfer_id: str) -> TransferRow | None:
        await _check_available(unavailable=self.unavailable)
        return await super().get(transfer_id)

    async def newest(
        self, limit: int, *, status: str | None = None, before: PageMark | None = None
    ) -> tuple[TransferRow, ...]:
        await _check_available(unavailable=self.unavailable)
        return await super().newest(limit, status=status, before=before)

    async def clear(self) -> None:
        await _check_available(unavailable=self.unavailable)
        await super().clear()


async def _check_available(*, unavailable: bool) -> None:
    # No checkpoint otherwise: the store has its own, and tests count them.
    if unavailable:
        await checkpoint()
        raise StoreUnavailableError("store unavailable")
