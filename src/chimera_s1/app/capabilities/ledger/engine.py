"""Write to a ledger: catch up, decide, append, fold.

A decision is made from all commits up to the head and appended right after it. When another
instance has taken that sequence number, the decision is made again from the new head. So every
decision takes all earlier commits into account, without a lock between instances.

That also holds for a decision that is made without catching up first: the append is refused unless
the last known commit is still the newest.
"""

import logging
from collections.abc import Awaitable, Callable, Container, Mapping
from typing import Generic, TypeAlias, TypeVar

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.ledger.guarded_store import GuardedStore
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    AppendUncertainError,
    ChimeraError,
    LedgerDamagedError,
    StoreUnavailableError,
)
from chimera_s1.domain.ledger.commit import (
    Commit,
    CommitDraft,
    LedgerEntry,
    LedgerHead,
    NewEvent,
    chain_error,
    head_of,
    seal,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import Appended, EventStore, NotLinked, SeqTaken

READ_BATCH_SIZE = 256
CONFLICT_RETRIES_MAX = 50
CONFLICT_WAIT_MAX_MS = 20.0
STALE_READ_MAX_MS = 30_000
"""A head below the known one is a stale read for this long; after that, commits are missing."""

Fold: TypeAlias = Callable[[Commit], None]
"""Applies the next commit to state in memory; raises `LedgerDamagedError` for impossible events."""

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Decision(Struct, Generic[_Result], frozen=True):
    """What a command does to the ledger.

    Attributes:
        result: For the caller, once the events are written.
        events: Empty where there is nothing to write.
        stream_versions: Newest version of each stream already known; the engine reads the others.
        correlation_id: See `Commit`.
    """

    result: _Result
    events: tuple[NewEvent, ...] = ()
    stream_versions: Mapping[str, int] = {}
    correlation_id: str = ""


class LedgerEngine:
    """One instance's view of one ledger; the only place that appends to it.

    Args:
        fold: Called once for each commit, in order, whichever instance wrote it.
        new_id: Makes commit ids, unique across all instances.
        draw: Uniform in [0, 1).
        read_relayed_seq: A sequence number that the ledger is known to have reached, read once
            before the first commit is used. A shorter ledger is damaged. None where unknown.
    """

    def __init__(
        self,
        store: EventStore,
        fold: Fold,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        read_relayed_seq: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self.store: EventStore = GuardedStore(store, self.mark_damaged)
        """The store, for all other readers of this ledger: damage that one of them meets is the
        ledger's.
        """
        self._fold = fold
        self._clock = clock
        self._new_id = new_id
        self._draw = draw
        self._read_relayed_seq = read_relayed_seq
        self._lock = anyio.Lock(fast_acquire=True)
        self._stale_since_ms: float | None = None
        self.changes = ChangeSignal()
        """Notified after commits were folded."""
        self.head = LedgerHead()
        """The last folded commit."""
        self.damage = ""
        """What is damaged, and where; empty while the ledger is intact. Nothing is appended to a
        damaged ledger until the process is restarted.
        """

    async def catch_up(self) -> None:
        """Fold the commits that other instances have appended.

        Raises:
            StoreUnavailableError: The store does not answer, or its answer is stale.
            LedgerDamagedError: A commit was changed or is missing.
        """
        async with self._lock:
            await self._catch_up()

    async def execute(
        self,
        decide: Callable[[], Awaitable[Decision[_Result]]],
        actor: str,
        *,
        read_first: bool = True,
    ) -> _Result:
        """Append the events that *decide* returns; it is called again after each lost conflict.

        Without *read_first* it is called at first with what is known here, and again after a read
        unless its events were appended. It must have no effects of its own.

        Raises:
            AppendUncertainError: The commit may be written; ask `contains_commit`.
            StoreUnavailableError: Nothing was written.
            LedgerDamagedError: The ledger is damaged; nothing was written.
        """
        async with self._lock:
            if not read_first:
                decision = await self._append_unread(decide, actor)
                if decision is not None:
                    return decision.result
            for _ in range(CONFLICT_RETRIES_MAX):
                await self._catch_up()
                decision = await decide()
                if not decision.events or await self._append(decision, actor):
                    return decision.result
                await self._clock.sleep_ms(self._draw() * CONFLICT_WAIT_MAX_MS)
        raise StoreUnavailableError(
            f"lost {CONFLICT_RETRIES_MAX} append conflicts to other instances; try again"
        )

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        """Every entry with an event of *stream*, each one verified.

        Raises:
            StoreUnavailableError, LedgerDamagedError: As `catch_up`.
        """
        entries = await self.store.read_stream(stream)
        try:
            return verify_entries(entries)
        except LedgerDamagedError as error:
            self.mark_damaged(str(error))
            raise

    async def contains_commit(self, stream: str, commit_ids: Container[str]) -> bool:
        """Whether one of these commits is in the ledger with an event of *stream*."""
        entries = await self.read_stream(stream)
        return any(entry.commit.commit_id in commit_ids for entry in entries)

    async def hash_at(self, seq: int) -> str:
        """The hash of commit *seq*; empty if the ledger is shorter."""
        entries = await self.store.read(seq - 1, 1)
        return entries[0].commit.hash if entries else ""

    def mark_damaged(self, problem: str) -> None:
        """Stop writing: *problem* shows that commits were changed or are missing."""
        if not self.damage:
            _log.critical(
                "ledger %s is damaged: %s; writes are stopped", self.store.ledger, problem
            )
            self.damage = problem

    async def _append_unread(
        self, decide: Callable[[], Awaitable[Decision[_Result]]], actor: str
    ) -> Decision[_Result] | None:
        """The decision if it was appended. A refusal may come from an old state, so it is none."""
        if not self.head.seq or self.damage:
            return None
        try:
            decision = await decide()
        except StoreUnavailableError:
            raise
        except ChimeraError:
            return None
        if decision.events and await self._append(decision, actor):
            return decision
        return None

    async def _catch_up(self) -> None:
        if self.damage:
            raise LedgerDamagedError(self.damage)
        relayed_seq = await self._read_relayed_seq() if self._read_relayed_seq is not None else 0
        head = await self.store.head()
        if head.seq < relayed_seq:
            self._raise_damaged(shorter_than_relayed(head, relayed_seq))
        self._read_relayed_seq = None
        if head.seq <= self.head.seq and head != self.head:
            self._reject_old_head(head)
        self._stale_since_ms = None
        if head == self.head:
            return
        await self._fold_up_to(head)
        self.changes.notify()

    def _reject_old_head(self, head: LedgerHead) -> None:
        """A stale read where the ledger is shorter for a while; otherwise damage."""
        now_ms = self._clock.monotonic_ms()
        if self._stale_since_ms is None:
            self._stale_since_ms = now_ms
        stale_ms = now_ms - self._stale_since_ms
        if head.seq < self.head.seq and stale_ms < STALE_READ_MAX_MS:
            raise StoreUnavailableError(
                f"stale read: the store's head is commit {head.seq}, "
                f"commit {self.head.seq} was already read; retrying"
            )
        self._raise_damaged(
            f"it ends at commit {head.seq} with another hash, or later commits are missing"
        )

    async def _fold_up_to(self, head: LedgerHead) -> None:
        while self.head.seq < head.seq:
            entries = await self.store.read(self.head.seq, READ_BATCH_SIZE)
            if not entries:
                self._raise_damaged(f"commit {self.head.seq + 1} is missing")
            for entry in entries:
                self._fold_entry(entry)

    def _fold_entry(self, entry: LedgerEntry) -> None:
        problem = chain_error(entry, self.head)
        if problem:
            self._raise_damaged(problem)
        try:
            self._fold_commit(entry.commit)
        except LedgerDamagedError as error:
            self.mark_damaged(str(error))
            raise

    def _fold_commit(self, commit: Commit) -> None:
        self._fold(commit)
        self.head = head_of(commit)

    def _raise_damaged(self, problem: str) -> None:
        self.mark_damaged(problem)
        raise LedgerDamagedError(problem)

    async def _append(self, decision: Decision[_Result], actor: str) -> bool:
        """False where another instance's commit has the sequence number, or the one before."""
        draft = CommitDraft(
            commit_id=self._new_id(),
            at=self._clock.now_ms(),
            actor=actor,
            correlation_id=decision.correlation_id,
            events=decision.events,
        )
        versions = await self._stream_versions(decision)
        commit = seal(draft, self.store.ledger, self.head, versions)
        try:
            result = await self.store.append(commit)
        except StoreUnavailableError as error:
            raise AppendUncertainError(str(error), commit.commit_id) from error
        match result:
            case Appended():
                self._fold_commit(commit)
                self.changes.notify()
                return True
            case SeqTaken() | NotLinked():
                return False

    async def _stream_versions(self, decision: Decision[_Result]) -> dict[str, int]:
        versions = dict(decision.stream_versions)
        for event in decision.events:
            if event.stream not in versions:
                versions[event.stream] = await self._stream_version(event.stream)
        return versions

    async def _stream_version(self, stream: str) -> int:
        entries = await self.read_stream(stream)
        events = (record for entry in entries for record in entry.commit.events)
        return max((record.version for record in events if record.stream == stream), default=0)


def shorter_than_relayed(head: LedgerHead, relayed_seq: int) -> str:
    return (
        f"it ends at commit {head.seq}, but {relayed_seq} commits were already relayed: "
        "commits are missing"
    )


def verify_entries(entries: tuple[LedgerEntry, ...]) -> tuple[LedgerEntry, ...]:
    """*entries*, unless one was changed after it was written.

    Raises:
        LedgerDamagedError: The first changed commit.
    """
    for entry in entries:
        if entry.content_hash != entry.commit.hash:
            raise LedgerDamagedError(f"commit {entry.commit.seq} was changed after it was written")
    return entries
