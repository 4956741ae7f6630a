"""The treasury's ledger: reads what a command depends on, and writes its events."""

from collections.abc import Awaitable, Callable, Container
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.app.capabilities.ledger.engine import Decision, LedgerEngine
from chimera_s1.app.capabilities.treasury.transfer_streams import (
    apply_events,
    fold_entry,
    too_new_message,
)
from chimera_s1.domain.errors import LedgerTooNewError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.treasury.commands import (
    RecordCompleted,
    RecordMatched,
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
    stream_of,
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

TREASURY_LEDGER = "treasury"
"""The ledger's name in its store; it never changes."""

_CLAIMING_COMMANDS = (RecordCompleted, RecordMatched, ResolveTransfer)

EventListener: TypeAlias = Callable[[tuple[TreasuryEvent, ...], Transfer | None], None]
"""Gets the events of one commit, and the transfer after them; None where they concern none."""


class CommandResult(Struct, frozen=True):
    """A transfer after a command, and the events written; empty where nothing changed."""

    transfer: Transfer
    events: tuple[TreasuryEvent, ...]


class TreasuryLedger:
    """A `LedgerEngine` with the events and decisions of transfers."""

    def __init__(
        self,
        store: EventStore,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        draw: Callable[[], float],
        read_relayed_seq: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self.open_transfers = OpenTransfers()
        """Unfinished transfers as of the last `catch_up`; read only."""
        self.engine = LedgerEngine(
            store,
            self.open_transfers.fold_commit,
            clock=clock,
            new_id=new_id,
            draw=draw,
            read_relayed_seq=read_relayed_seq,
        )
        self.changes = self.engine.changes
        self._listeners: list[EventListener] = []

    @property
    def damage(self) -> str:
        return self.engine.damage

    @property
    def head(self) -> LedgerHead:
        """The last commit of the last `catch_up` or `execute`."""
        return self.engine.head

    async def hash_at(self, seq: int) -> str:
        """The hash of commit *seq*; empty if the ledger is shorter."""
        return await self.engine.hash_at(seq)

    async def catch_up(self) -> None:
        await self.engine.catch_up()

    def subscribe(self, listener: EventListener) -> None:
        """Call *listener* after each commit that this instance has written; it must not raise."""
        self._listeners.append(listener)

    async def execute(
        self, transfer_id: TransferId, command: TreasuryCommand, actor: str
    ) -> CommandResult:
        """Decide *command* and append its events.

        Raises:
            AppendUncertainError, StoreUnavailableError, LedgerDamagedError: See `LedgerEngine`.
            LedgerTooNewError: The transfer has events of a newer version.
            TransferStateError: The transfer's state does not allow the command.
        """
        result = await self.engine.execute(partial(self._decide, transfer_id, command), actor)
        if result.events:
            self._publish(result.events, result.transfer)
        return result

    async def record_foreign_movement(self, movement: Movement, actor: str) -> None:
        """Record once that *movement* belongs to no transfer of this service.

        A transfer is in the ledger before it moves money. So a movement that was read before this
        call is foreign if no transfer has claimed it and no open transfer matches it.
        """
        event = await self.engine.execute(partial(self._decide_foreign, movement), actor)
        if event is not None:
            self._publish((event,), None)

    async def find(self, transfer_id: TransferId) -> Transfer | None:
        """The transfer as stored now; None where the id was never used.

        Raises:
            StoreUnavailableError, LedgerDamagedError: As `catch_up`.
        """
        transfer: Transfer | None = None
        for entry in await self.engine.read_stream(transfer_stream(transfer_id)):
            transfer = fold_entry(transfer, entry, transfer_id)
        return transfer

    async def contains_commit(self, transfer_id: TransferId, commit_ids: Container[str]) -> bool:
        """Whether one of these commits is in the ledger with an event of the transfer."""
        return await self.engine.contains_commit(transfer_stream(transfer_id), commit_ids)

    async def movement_owner(self, tran_id: str) -> TransferId | None:
        """The transfer that has claimed a movement of the exchange; None where none has.

        Reads the store where the movement is not one of the recent ones.
        """
        recent = self.open_transfers.recent_movements.get(tran_id)
        if recent is not None:
            return recent  # a claim is for ever; that there is none is only known from the store
        stream = movement_stream(tran_id)
        for entry in await self.engine.read_stream(stream):
            for record in entry.commit.events:
                event = decode_event(record) if record.stream == stream else None
                if isinstance(event, MovementClaimed):
                    return event.transfer_id
        return None

    async def _decide(
        self, transfer_id: TransferId, command: TreasuryCommand
    ) -> Decision[CommandResult]:
        context = await self._decision_context(transfer_id, command)
        events = decide(context, command)
        if not events:
            assert context.transfer is not None  # a new request always has events
            return Decision(CommandResult(context.transfer, ()))
        return Decision(
            CommandResult(apply_events(context.transfer, events), events),
            tuple(map(to_new_event, events)),
            self._known_versions(transfer_id, context, events),
            transfer_id,
        )

    async def _decision_context(
        self, transfer_id: TransferId, command: TreasuryCommand
    ) -> DecisionContext:
        transfer = self.open_transfers.find(transfer_id) or await self.find(transfer_id)
        day = command.terms.day if isinstance(command, RequestTransfer) else ""
        if transfer is not None:
            day = transfer.day
        tran_id = command.tran_id if isinstance(command, _CLAIMING_COMMANDS) else ""
        streams = (transfer_stream(transfer_id), cap_stream(day), movement_stream(tran_id))
        unknown = self.open_transfers.find_unknown_event(streams)
        if unknown is not None:
            raise LedgerTooNewError(too_new_message(unknown))
        return DecisionContext(
            transfer,
            self.open_transfers.cap_on(day),
            self.open_transfers.lookalikes(transfer) if transfer is not None else (),
            await self.movement_owner(tran_id) if tran_id else None,
        )

    def _known_versions(
        self,
        transfer_id: TransferId,
        context: DecisionContext,
        events: tuple[TreasuryEvent, ...],
    ) -> dict[str, int]:
        transfer = context.transfer
        # The stream was read for the context: without a transfer it is empty.
        versions = {transfer_stream(transfer_id): 0 if transfer is None else transfer.version}
        for stream in map(stream_of, events):
            cap = self.open_transfers.cap_of_stream(stream)
            if cap is not None:
                versions[stream] = cap.version
        return versions

    async def _decide_foreign(self, movement: Movement) -> Decision[ForeignMovementObserved | None]:
        stream = movement_stream(movement.tran_id)
        matched = self.open_transfers.has_match_for(movement.direction, movement.amount)
        if matched or await self.engine.read_stream(stream):
            return Decision(None)
        event = ForeignMovementObserved(
            tran_id=movement.tran_id,
            direction=movement.direction,
            amount=movement.amount,
            moved_at=movement.moved_at,
        )
        return Decision(event, (to_new_event(event),), {stream: 0})

    def _publish(self, events: tuple[TreasuryEvent, ...], transfer: Transfer | None) -> None:
        for listener in self._listeners:
            listener(events, transfer)
