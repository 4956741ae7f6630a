"""Project transfers: keep `treasury_transfers` as the ledger says, for those who look at it."""

import logging

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection, TransferRow
from chimera_s1.domain.treasury.event_records import UnknownEvent, decode_event, transfer_stream
from chimera_s1.domain.treasury.events import TransferEvent
from chimera_s1.domain.treasury.limits import ASSET
from chimera_s1.domain.treasury.transfer import Transfer, evolve

CURSOR = "treasury_transfers/v1"
READ_BATCH_SIZE = 256
POLL_INTERVAL_MS = 1_000.0
DEBOUNCE_MS = 50.0
"""What a few commits cost, one does too: two writes to the disk."""

CACHED_TRANSFERS_MAX = 20_000
"""Transfers kept in memory while the ledger is walked; the oldest are read again when
they go on.
"""

_log = logging.getLogger(__name__)


class _ProjectedTransfer(Struct, frozen=True):
    transfer: Transfer
    actor: str
    updated_at: int


class ProjectTransfers:
    """Args:
    store: The ledger.

    projection: Where the rows go.

    cursors: Up to where it was projected.

    ledger: Rings when there is something new.

    clock: Waiting.
    """

    def __init__(
        self,
        store: EventStore,
        projection: TransferProjection,
        cursors: CursorStore,
        ledger: TreasuryLedger,
        clock: Clock,
    ) -> None:
        self._store = store
        self._projection = projection
        self._cursors = cursors
        self._ledger = ledger
        self._clock = clock
        self._recent: dict[TransferId, _ProjectedTransfer] = {}
        self._rebuilt_seq: int | None = None
        self.last_error = ""
        """Why it lags; empty while it does not."""

    async def run(self) -> None:
        """Project until cancelled."""
        while True:
            rung = self._ledger.changes.version
            try:
                while await self.advance() == READ_BATCH_SIZE:
                    pass
                self.last_error = ""
            except (StoreUnavailableError, LedgerDamagedError) as error:
                self.last_error = str(error)
            await self._ledger.changes.wait_after(
                self._clock, POLL_INTERVAL_MS, version=rung, debounce_ms=DEBOUNCE_MS
            )

    async def rebuild(self) -> None:
        """Throw the rows away and begin anew; `run` or `advance` fills them in again.

        Others may go on projecting: their rows are as good, but they move the cursor, so how far
        this has come is kept here until the end of the ledger.
        """
        await self._cursors.rewind(CURSOR)
        await self._projection.clear()
        self._recent.clear()
        self._rebuilt_seq = 0

    async def advance(self) -> int:
        """Project the next commits; how many, 0 when there are none.

        Raises:
            StoreUnavailableError, LedgerDamagedError: Nothing is lost, call again.
        """
        seq = self._rebuilt_seq
        if seq is None:
            seq = await self._cursors.read(CURSOR)
        entries = await self._store.read(seq, READ_BATCH_SIZE)
        if not entries:
            self._rebuilt_seq = None
            return 0
        rows: dict[TransferId, TransferRow] = {}
        for entry in entries:
            for transfer_id in _changed_transfers(entry.commit):
                life = await self._advance_transfer(transfer_id, entry)
                if life is not None:
                    rows[transfer_id] = _row(life, entry.commit.seq)
        await self._projection.put(tuple(rows.values()))
        await self._cursors.advance(CURSOR, entries[-1].commit.seq)
        if self._rebuilt_seq is not None:
            self._rebuilt_seq = entries[-1].commit.seq
        return len(entries)

    async def _advance_transfer(
        self, transfer_id: TransferId, entry: LedgerEntry
    ) -> _ProjectedTransfer | None:
        known = self._recent.pop(transfer_id, None)
        life = _apply_commit(known, transfer_id, entry.commit)
        if life is None:
            life = await self._replay_until(transfer_id, entry)
        if life is not None:
            self._recent[transfer_id] = life
            if len(self._recent) > CACHED_TRANSFERS_MAX:
                del self._recent[next(iter(self._recent))]
        return life

    async def _replay_until(
        self, transfer_id: TransferId, until: LedgerEntry
    ) -> _ProjectedTransfer | None:
        life: _ProjectedTransfer | None = None
        for entry in await self._store.read_stream(transfer_stream(transfer_id)):
            if entry.commit.seq <= until.commit.seq:
                life = _apply_commit(life, transfer_id, entry.commit) or life
        return life


def _changed_transfers(commit: Commit) -> tuple[TransferId, ...]:
    events = map(decode_event, commit.events)
    return tuple(
        dict.fromkeys(event.transfer_id for event in events if isinstance(event, TransferEvent))
    )


def _apply_commit(
    life: _ProjectedTransfer | None, transfer_id: TransferId, commit: Commit
) -> _ProjectedTransfer | None:
    """*life* after *commit*; None where what came before it is not known here."""
    transfer = life.transfer if life is not None else None
    for record in commit.events:
        if record.stream != transfer_stream(transfer_id):
            continue
        event = decode_event(record)
        if isinstance(event, UnknownEvent):
            continue
        if not isinstance(event, TransferEvent):
            continue
        if record.version != (transfer.version if transfer is not None else 0) + 1:
            return None
        transfer = evolve(transfer, event)
    if transfer is None:
        return None
    actor = life.actor if life is not None else commit.actor
    return _ProjectedTransfer(transfer, actor, commit.at)


def _row(life: _ProjectedTransfer, seq: int) -> TransferRow:
    transfer = life.transfer
    return TransferRow(
        transfer_id=transfer.transfer_id,
        from_wallet=transfer.direction.source.value,
        to_wallet=transfer.direction.target.value,
        asset=ASSET,
        amount=exact_text(transfer.amount),
        amount_usdt=float(transfer.amount),
        reason=transfer.reason,
        status=transfer.status.value,
        phase=transfer.phase.value,
        tran_id=transfer.tran_id,
        message=transfer.public_message,
        attempts=transfer.attempt,
        actor=life.actor,
        verified=transfer.verified,
        disputed=transfer.disputed,
        corrected=transfer.corrected,
        in_review=transfer.in_review,
        created_at=transfer.accepted_at,
        updated_at=life.updated_at,
        applied_seq=seq,
    )
