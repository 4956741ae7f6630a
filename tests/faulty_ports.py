"""Ports in memory with one fault each."""

from collections.abc import Callable

import anyio

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.domain.errors import ChimeraError, PublisherUnavailableError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, LedgerHead
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import AppendResult, SeqTaken
from chimera_s1.domain.ports.operations_log import OperationsEvent
from chimera_s1.domain.ports.treasury_gateway import (
    SignedTransfer,
    SubmissionReply,
    no_obstacle,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, Movement
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.operations_log import MemoryOperationsLog
from tests.fakes.treasury_gateway import ScriptedTreasuryGateway


class AlwaysGrantedLeases:
    """Every instance holds the lease."""

    def __init__(self) -> None:
        self.holders: set[str] = set()

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        del name, duration_ms
        self.holders.add(owner)
        return True

    async def release(self, name: str, owner: str) -> None:
        pass


class SlowEventStore(FaultyEventStore):
    """Slow to confirm appends, or readable and not writable.

    Attributes:
        pauses: Time until an append is confirmed, by sequence number, ms.
        head_ms: Time of a head read.
        full: Appends fail; counted in `refused`.
        conflicts: Appends whose sequence number was taken.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__("treasury")
        self.pauses: dict[int, float] = {}
        self.head_ms = 0.0
        self.full = False
        self.refused = 0
        self.conflicts = 0
        self._clock = clock

    async def head(self) -> LedgerHead:
        await self._clock.sleep_ms(self.head_ms)
        return await super().head()

    async def append(self, commit: Commit) -> AppendResult:
        if self.full:
            self.refused += 1
            raise StoreUnavailableError("the disk is full")
        result = await super().append(commit)
        self.conflicts += isinstance(result, SeqTaken)
        await self._clock.sleep_ms(self.pauses.pop(commit.seq, 0.0))
        return result


class PausingGateway(ScriptedTreasuryGateway):
    """The process pauses before the next requests, or after each history read, ms."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.pauses_ms: list[float] = []
        self.read_ms = 0.0

    async def submit(
        self, signed: SignedTransfer, obstacle: Callable[[], str] = no_obstacle
    ) -> SubmissionReply:
        if self.pauses_ms:
            await self._clock.sleep_ms(self.pauses_ms.pop(0))
        return await super().submit(signed, obstacle)

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        await self._clock.sleep_ms(self.read_ms)
        return await super().read_movements(direction, window)


class LossyOperationsLog(MemoryOperationsLog):
    """A stream that loses replies, fails over to a node with fewer entries, or rejects writes.

    Attributes:
        replies_to_lose: So many next entries are written without a reply; counted in `lost`.
        refusal: The error of every write while set; counted in `refused`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.replies_to_lose = 0
        self.refusal: ChimeraError | None = None
        self.lost = 0
        self.refused = 0

    async def record(self, event: OperationsEvent) -> str:
        if self.refusal is not None:
            self.refused += 1
            raise self.refusal
        entry_id = await super().record(event)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            self.lost += 1
            raise PublisherUnavailableError("the reply was lost")
        return entry_id

    def fail_over(self, kept: int) -> int:
        """Keep the first *kept* entries and return how many acknowledged ones are lost."""
        lost = len(self.events) - kept
        del self.events[kept:]
        return lost


class SlowCursorStore(MemoryCursorStore):
    """Each read takes *read_ms*."""

    def __init__(self, clock: Clock, read_ms: float) -> None:
        super().__init__()
        self._clock = clock
        self._read_ms = read_ms

    async def read(self, name: str) -> int:
        await self._clock.sleep_ms(self._read_ms)
        return await super().read(name)


class DiskFullCursorStore(MemoryCursorStore):
    """While `full`, cursors are read and not written; failed writes are counted in `refused`."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.refused = 0

    async def advance(self, name: str, seq: int) -> None:
        if self.full:
            self.refused += 1
            raise StoreUnavailableError("the disk is full")
        await super().advance(name, seq)


class HeldStore(FaultyEventStore):
    """Appends wait for `release`, so that other instances can write meanwhile.

    Attributes:
        arrived: Set while an append waits.
        taken: Appends whose sequence number was taken.
    """

    def __init__(self, kept: LedgerContents) -> None:
        super().__init__("treasury", kept)
        self.arrived = anyio.Event()
        self.release = anyio.Event()
        self.taken = 0

    async def append(self, commit: Commit) -> AppendResult:
        self.arrived.set()
        await self.release.wait()
        result = await super().append(commit)
        self.taken += isinstance(result, SeqTaken)
        return result


class HeldHistories(ScriptedTreasuryGateway):
    """History reads return only when `release` is set; None delays nothing.

    `arrived` is set while a read waits.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.release: anyio.Event | None = None
        self.arrived = anyio.Event()

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        movements = await super().read_movements(direction, window)
        if self.release is not None:
            self.arrived.set()
            await self.release.wait()
        return movements


class FailingOver(LossyOperationsLog):
    """Write number *fails_at*, from 1, fails; the new primary lacks the *lacking* newest entries.

    `missing` counts the acknowledged entries that are lost.
    """

    def __init__(self, fails_at: int, lacking: int) -> None:
        super().__init__()
        self.fails_at = fails_at
        self.lacking = lacking
        self.missing = 0
        self._writes = 0

    async def record(self, event: OperationsEvent) -> str:
        self._writes += 1
        if self._writes == self.fails_at:
            self.missing = self.fail_over(len(self.events) - self.lacking)
            raise PublisherUnavailableError("the node is gone")
        return await super().record(event)
