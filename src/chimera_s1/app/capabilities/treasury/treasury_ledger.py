"""The treasury's ledger at work: follow it, decide, append.

A decision is made from what the ledger said at one place, and appended at the next; where somebody
else was there first, it is made again. So every decision stands on everything before it.
"""

import logging
from collections.abc import Awaitable, Callable, Container

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.treasury.log_transfers import log_events
from chimera_s1.app.capabilities.treasury.transfer_streams import (
    apply_events,
    fold_entry,
    too_new_message,
    verify_entries,
)
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    AppendUncertainError,
    LedgerDamagedError,
    LedgerTooNewError,
    StoreUnavailableError,
)
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import CommitDraft, LedgerEntry, LedgerHead, chain_error, seal
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import Appended, EventStore, SeqTaken
from chimera_s1.domain.treasury.commands import (
    RecordCompleted,
    RequestTransfer,
    ResolveTransfer,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.decision_context import DecisionContext
from chimera_s1.domain.treasury.decisions import decide
from chimera_s1.domain.treasury.event_records import (
    cap_stream,
    decode_event,
    movement_stream,
    to_new_event,
    transfer_stream,
)
from chimera_s1.domain.treasury.events import (
    ForeignMovementObserved,
    MovementClaimed,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.open_transfers import OpenTransfers
from chimera_s1.domain.treasury.reconciliation import Movement
from chimera_s1.domain.treasury.transfer import Transfer

READ_BATCH_SIZE = 256
CONFLICT_RETRIES_MAX = 50
"""How often a decision is made again because others were first; each of them has moved on
meanwhile.
"""

CONTENTION_WAIT_MS = 20.0
STALE_READ_MAX_MS = 30_000
"""Answers that for so long know less than was known before are no stale reads: commits are gone."""

_log = logging.getLogger(__name__)


class CommandResult(Struct, frozen=True):
    """What became of a command.

    Attributes:
        transfer: Afterwards.

        events: What was written; empty where the command said nothing new.
    """

    transfer: Transfer
    events: tuple[TreasuryEvent, ...]


class TreasuryLedger:
    """Args:
    store: The ledger itself.

    clock: Time and waiting.

    new_id: Makes a commit id nobody else makes.

    draw: Uniform in [0, 1).

    read_relayed_seq: A place that others know the ledger to have reached; asked once, before
        anything is believed. None where nobody knows.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        read_relayed_seq: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._store = store
        self._read_relayed_seq = read_relayed_seq
        self._clock = clock
        self._new_id = new_id
        self._draw = draw
        self._lock = anyio.Lock()
        self._damage = ""
        self._stale_since_ms: float | None = None
        self.changes = ChangeSignal()
        self.open_transfers = OpenTransfers()
        """The transfers that are not over, up to the last `catch_up`; for reading."""

    @property
    def damage(self) -> str:
        """What is wrong with the ledger, naming the place; empty while nothing is. Nothing is
        written to a damaged one until the process was started again on a sound one.
        """
        return self._damage

    async def catch_up(self) -> None:
        """Take in what others have appended.

        Raises:
            StoreUnavailableError: The store does not answer.

            LedgerDamagedError: A commit is not what was written, or is gone.
        """
        async with self._lock:
            await self._catch_up()

    async def execute(
        self, transfer_id: TransferId, command: TreasuryCommand, actor: str
    ) -> CommandResult:
        """Decide *command* and append what follows.

        Raises:
            AppendInDoubtError: It may or may not be written; `wrote` tells.

            StoreUnavailableError: It is not written.

            LedgerDamagedError: The ledger is damaged; nothing is written to it.

            LedgerTooNewError: A newer program has written what this one cannot build upon.

            TransferStateError: The transfer is not in a state in which this can be done.
        """
        async with self._lock:
            for _ in range(CONFLICT_RETRIES_MAX):
                await self._catch_up()
                situation = await self._decision_context(transfer_id, command)
                events = decide(situation, command)
                if not events:
                    assert situation.transfer is not None  # a new request always has events
                    return CommandResult(situation.transfer, ())
                if await self._append(transfer_id, situation, events, actor):
                    transfer = apply_events(situation.transfer, events)
                    log_events(events, transfer)
                    return CommandResult(transfer, events)
                await self._clock.sleep_ms(self._draw() * CONTENTION_WAIT_MS)
        raise StoreUnavailableError(
            f"{CONFLICT_RETRIES_MAX} times another instance was first to write; try again"
        )

    async def record_foreign_movement(self, movement: Movement, actor: str) -> None:
        """Record that *movement* is nobody's of ours, once.

        Whatever is ours was in the ledger before it moved: a movement that was read before this
        looks there is foreign if nobody has claimed it, and nobody waits for one like it.
        """
        async with self._lock:
            await self._catch_up()
            if self.open_transfers.has_match_for(movement.direction, movement.amount):
                return
            if await self._store.read_stream(movement_stream(movement.tran_id)):
                return
            event = ForeignMovementObserved(
                tran_id=movement.tran_id,
                direction=movement.direction,
                amount=movement.amount,
                moved_at=movement.moved_at,
            )
            if await self._append(TransferId(""), DecisionContext(), (event,), actor):
                log_events((event,), None)

    async def find(self, transfer_id: TransferId) -> Transfer | None:
        """A transfer as the store has it now; None where its key was never used.

        Raises:
            StoreUnavailableError, LedgerDamagedError: As `catch_up`.
        """
        transfer: Transfer | None = None
        for entry in await self._read_verified_stream(transfer_stream(transfer_id)):
            transfer = fold_entry(transfer, entry, transfer_id)
        return transfer

    async def contains_commit(self, transfer_id: TransferId, commit_ids: Container[str]) -> bool:
        """Whether one of these commits is in the ledger, and tells of the transfer.

        Raises:
            StoreUnavailableError, LedgerDamagedError: As `catch_up`.
        """
        entries = await self._read_verified_stream(transfer_stream(transfer_id))
        return any(entry.commit.commit_id in commit_ids for entry in entries)

    async def movement_owner(self, tran_id: str) -> TransferId | None:
        """Whose a movement of the exchange is; None where no transfer has claimed it."""
        stream = movement_stream(tran_id)
        for entry in await self._read_verified_stream(stream):
            for record in entry.commit.events:
                event = decode_event(record) if record.stream == stream else None
                if isinstance(event, MovementClaimed):
                    return event.transfer_id
        return None

    def mark_damaged(self, problem: str) -> None:
        """Something outside the chain shows that the ledger is not what it was."""
        if not self._damage:
            _log.critical("the treasury ledger is damaged: %s; nothing is written to it", problem)
        self._damage = problem

    async def _catch_up(self) -> None:
        if self._damage:
            raise LedgerDamagedError(self._damage)
        relayed_seq = await self._read_relayed_seq() if self._read_relayed_seq is not None else 0
        head = await self._store.head()
        if head.seq < relayed_seq:
            self._raise_damaged(
                f"it ends at commit {head.seq}, and {relayed_seq} commits were relayed before"
            )
        self._read_relayed_seq = None
        if head == self.open_transfers.head:
            self._stale_since_ms = None
            return
        if head.seq <= self.open_transfers.head.seq:
            self._reject_shorter_head(head)
        while self.open_transfers.head.seq < head.seq:
            entries = await self._store.read(self.open_transfers.head.seq, READ_BATCH_SIZE)
            if not entries:
                self._raise_damaged(f"commit {self.open_transfers.head.seq + 1} is missing")
            for entry in entries:
                self._apply_entry(entry)
        self.changes.notify()

    def _reject_shorter_head(self, head: LedgerHead) -> None:
        """Fewer commits than before, or another last one: a stale answer at best."""
        now_ms = self._clock.monotonic_ms()
        since_ms = self._stale_since_ms = self._stale_since_ms or now_ms
        if head.seq < self.open_transfers.head.seq and now_ms - since_ms < STALE_READ_MAX_MS:
            raise StoreUnavailableError(
                f"a stale answer: the ledger ends at {head.seq}, "
                f"and had {self.open_transfers.head.seq}"
            )
        self._raise_damaged(f"it ends at commit {head.seq} of another hash, or was cut there")

    def _apply_entry(self, entry: LedgerEntry) -> None:
        problem = chain_error(entry, self.open_transfers.head)
        if problem:
            self._raise_damaged(problem)
        try:
            self.open_transfers.fold_commit(entry.commit)
        except LedgerDamagedError as error:
            self.mark_damaged(str(error))
            raise

    def _raise_damaged(self, problem: str) -> None:
        self.mark_damaged(problem)
        raise LedgerDamagedError(problem)

    async def _decision_context(
        self, transfer_id: TransferId, command: TreasuryCommand
    ) -> DecisionContext:
        transfer = self.open_transfers.find(transfer_id) or await self.find(transfer_id)
        day = command.terms.day if isinstance(command, RequestTransfer) else ""
        if transfer is not None:
            day = transfer.day
        tran_id = command.tran_id if isinstance(command, RecordCompleted | ResolveTransfer) else ""
        streams = (transfer_stream(transfer_id), cap_stream(day), movement_stream(tran_id))
        newer = self.open_transfers.find_unknown_event(streams)
        if newer is not None:
            raise LedgerTooNewError(too_new_message(newer))
        return DecisionContext(
            transfer,
            self.open_transfers.cap_on(day),
            self.open_transfers.lookalikes(transfer) if transfer is not None else (),
            await self.movement_owner(tran_id) if tran_id else None,
        )

    async def _append(
        self,
        transfer_id: TransferId,
        situation: DecisionContext,
        events: tuple[TreasuryEvent, ...],
        actor: str,
    ) -> bool:
        draft = CommitDraft(
            commit_id=self._new_id(),
            at=self._clock.now_ms(),
            actor=actor,
            correlation_id=transfer_id,
            events=tuple(map(to_new_event, events)),
        )
        versions = await self._versions(transfer_id, situation, draft)
        commit = seal(draft, self._store.ledger, self.open_transfers.head, versions)
        try:
            result = await self._store.append(commit)
        except StoreUnavailableError as error:
            raise AppendUncertainError(str(error), commit.commit_id) from error
        match result:
            case Appended():
                self.open_transfers.fold_commit(commit)
                self.changes.notify()
                return True
            case SeqTaken():
                return False

    async def _versions(
        self, transfer_id: TransferId, situation: DecisionContext, draft: CommitDraft
    ) -> dict[str, int]:
        transfer = situation.transfer
        # Read for the situation: where there is no transfer, there is nothing in its stream.
        versions = {transfer_stream(transfer_id): 0 if transfer is None else transfer.version}
        for event in draft.events:
            if event.stream not in versions:
                versions[event.stream] = await self._version(event.stream)
        return versions

    async def _version(self, stream: str) -> int:
        day = self.open_transfers.cap_of_stream(stream)
        if day is not None:
            return day.version
        entries = await self._store.read_stream(stream)
        return max(
            (r.version for entry in entries for r in entry.commit.events if r.stream == stream),
            default=0,
        )

    async def _read_verified_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        return verify_entries(await self._store.read_stream(stream))
