"""Project transfers: keep `treasury_transfers` as the ledger says, for those who look at it."""

import logging

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, Entry
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection, TransferRow
from chimera_s1.domain.treasury.event_records import UnknownEvent, read_record, transfer_stream
from chimera_s1.domain.treasury.events import TransferEvent
from chimera_s1.domain.treasury.limits import ASSET
from chimera_s1.domain.treasury.transfer import Transfer, evolve

CURSOR = "treasury_transfers/v1"
READ_AT_ONCE = 256
LOOK_MS = 1_000.0
GATHER_MS = 50.0
"""What a few commits cost, one does too: two writes to the disk."""

KNOWN_MAX = 20_000
"""Transfers kept in memory while the ledger is walked; the oldest are read again when
they go on.
"""

_log = logging.getLogger(__name__)


class _Life(Struct, frozen=True):
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
        self._lives: dict[TransferId, _Life] = {}
        self._rebuilt_to: int | None = None
        self.trouble = ""
        """Why it lags; empty while it does not."""

    async def run(self) -> None:
        """Project until cancelled."""
        while True:
            rung = self._ledger.changes.rung
            try:
                while await self.advance() == READ_AT_ONCE:
                    pass
                self.trouble = ""
            except (StoreUnavailableError, LedgerDamagedError) as error:
                self.trouble = str(error)
            await self._ledger.changes.heard(self._clock, LOOK_MS, after=rung, gather_ms=GATHER_MS)

    async def rebuild(self) -> None:
        """Throw the rows away and begin anew; `run` or `advance` fills them in again.

        Others may go on projecting: their rows are as good, but they move the cursor, so how far
        this has come is kept here until the end of the ledger.
        """
        await self._cursors.rewind(CURSOR)
        await self._projection.clear()
        self._lives.clear()
        self._rebuilt_to = 0

    async def advance(self) -> int:
        """Project the next commits; how many, 0 when there are none.

        Raises:
            StoreUnavailableError, LedgerDamagedError: Nothing is lost, call again.
        """
        position = self._rebuilt_to
        if position is None:
            position = await self._cursors.position(CURSOR)
        entries = await self._store.read(position, READ_AT_ONCE)
        if not entries:
            self._rebuilt_to = None
            return 0
        rows: dict[TransferId, TransferRow] = {}
        for entry in entries:
            for transfer_id in _touched(entry.commit):
                life = await self._live(transfer_id, entry)
                if life is not None:
                    rows[transfer_id] = _row(life, entry.commit.seq)
        await self._projection.put(tuple(rows.values()))
        await self._cursors.advance(CURSOR, entries[-1].commit.seq)
        if self._rebuilt_to is not None:
            self._rebuilt_to = entries[-1].commit.seq
        return len(entries)

    async def _live(self, transfer_id: TransferId, entry: Entry) -> _Life | None:
        known = self._lives.pop(transfer_id, None)
        life = _lived(known, transfer_id, entry.commit)
        if life is None:
            life = await self._lived_before(transfer_id, entry)
        if life is not None:
            self._lives[transfer_id] = life
            if len(self._lives) > KNOWN_MAX:
                del self._lives[next(iter(self._lives))]
        return life

    async def _lived_before(self, transfer_id: TransferId, until: Entry) -> _Life | None:
        life: _Life | None = None
        for entry in await self._store.read_stream(transfer_stream(transfer_id)):
            if entry.commit.seq <= until.commit.seq:
                life = _lived(life, transfer_id, entry.commit) or life
        return life


def _touched(commit: Commit) -> tuple[TransferId, ...]:
    events = map(read_record, commit.events)
    return tuple(
        dict.fromkeys(event.transfer_id for event in events if isinstance(event, TransferEvent))
    )


def _lived(life: _Life | None, transfer_id: TransferId, commit: Commit) -> _Life | None:
    """*life* after *commit*; None where what came before it is not known here."""
    transfer = life.transfer if life is not None else None
    for record in commit.events:
        if record.stream != transfer_stream(transfer_id):
            continue
        event = read_record(record)
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
    return _Life(transfer, actor, commit.at)


def _row(life: _Life, seq: int) -> TransferRow:
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
        message=transfer.told,
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
