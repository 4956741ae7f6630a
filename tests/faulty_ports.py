"""Ports in memory with one bad habit each, for tests of what the treasury makes of it."""

import anyio

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import LedgerContents, MemoryEventStore
from chimera_s1.domain.errors import ChimeraError, PublisherUnavailableError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, LedgerHead
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import AppendResult, SeqTaken
from chimera_s1.domain.ports.operations_log import OperationsEvent
from chimera_s1.domain.ports.treasury_gateway import SignedTransfer, SubmissionReply
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, Movement
from tests.fakes.operations_log import MemoryOperationsLog
from tests.fakes.treasury_gateway import ScriptedTreasuryGateway


class AlwaysGrantedLeases:
    """Everybody is told that he holds the lease."""

    def __init__(self) -> None:
        self.holders: set[str] = set()

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        del name, duration_ms
        self.holders.add(owner)
        return True

    async def release(self, name: str, owner: str) -> None:
        pass


class SlowEventStore(MemoryEventStore):
    """Slow to say what it has written, or able to read and not to write.

    Attributes:
        pauses: How long it takes to say so, by the place of the commit, ms.

        head_ms: How long it takes to find its end.

        full: Nothing can be written.

        refused: Appends that were not written since it is full.

        conflicts: Appends that came second.
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
    """The process stops for a while: before a request leaves, or after a history was read.

    Attributes:
        pauses_ms: Before the next requests, the first first.

        read_ms: After each read.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.pauses_ms: list[float] = []
        self.read_ms = 0.0

    async def submit(self, signed: SignedTransfer) -> SubmissionReply:
        if self.pauses_ms:
            await self._clock.sleep_ms(self.pauses_ms.pop(0))
        return await super().submit(signed)

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        await self._clock.sleep_ms(self.read_ms)
        return await super().read_movements(direction, window)


class LossyOperationsLog(MemoryOperationsLog):
    """A stream whose replies get lost, whose node fails over to one that has less, or that refuses.

    Attributes:
        replies_to_lose: So many next entries are written, and we do not hear of it.

        refusal: What every write is told until it is set back.

        lost: Replies that were lost.

        refused: Writes that were refused.
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
        place = await super().record(event)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            self.lost += 1
            raise PublisherUnavailableError("the reply was lost")
        return place

    def fail_over(self, kept: int) -> int:
        """The new primary has the first *kept* entries; how many acknowledged ones are gone."""
        gone = len(self.events) - kept
        del self.events[kept:]
        return gone


class SlowCursorStore(MemoryCursorStore):
    """Each answer takes a while, ms."""

    def __init__(self, clock: Clock, answer_ms: float) -> None:
        super().__init__()
        self._clock = clock
        self._answer_ms = answer_ms

    async def read(self, name: str) -> int:
        await self._clock.sleep_ms(self._answer_ms)
        return await super().read(name)


class DiskFullCursorStore(MemoryCursorStore):
    """On a disk that is full, cursors are read and not written.

    Attributes:
        full: It is.

        refused: Writes that failed for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.refused = 0

    async def advance(self, name: str, seq: int) -> None:
        if self.full:
            self.refused += 1
            raise StoreUnavailableError("the disk is full")
        await super().advance(name, seq)


class HeldStore(MemoryEventStore):
    """Its appends wait, as on a slow network; others write to the same ledger meanwhile.

    Attributes:
        arrived: An append waits.

        release: Set, it and all later ones go on.

        taken: Appends that came second.
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
    """A history that was read takes long to arrive.

    Attributes:
        release: What is read before this is set arrives when it is; None delays nothing.

        arrived: Such a read waits.
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
    """One write fails because its node is gone; the new primary lacks the newest entries.

    Attributes:
        fails_at: The number of that write, from 1.

        lacking: Entries that it lacks.

        missing: Entries that were acknowledged and are gone.
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
