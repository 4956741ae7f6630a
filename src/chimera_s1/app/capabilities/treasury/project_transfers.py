"""Project transfers: keep the rows of `treasury_transfers` up to date with the ledger."""

from msgspec import Struct

from chimera_s1.app.capabilities.ledger.projector import LedgerProjector
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection, TransferRow
from chimera_s1.domain.treasury.event_records import decode_event, transfer_stream
from chimera_s1.domain.treasury.events import TransferEvent
from chimera_s1.domain.treasury.limits import ASSET
from chimera_s1.domain.treasury.transfer import Transfer, evolve

PROJECTION_CURSOR = "treasury_transfers/v2"
"""A new name projects the ledger again: rows of `v1` name the wallet FUTURES."""
CACHED_TRANSFERS_MAX = 20_000
"""Transfers kept in memory; one that is no longer there is read from its stream again."""


class _ProjectedTransfer(Struct, frozen=True):
    transfer: Transfer
    actor: str
    updated_at: int


class TransferRows:
    """Implements `Projection` with one row for each transfer."""

    def __init__(self, store: EventStore, rows: TransferProjection) -> None:
        self._store = store
        self._rows = rows
        self._recent: dict[TransferId, _ProjectedTransfer] = {}

    async def clear(self) -> None:
        await self._rows.clear()
        self._recent.clear()

    async def apply(self, entries: tuple[LedgerEntry, ...]) -> None:
        """Write a row for each transfer that *entries* change."""
        rows: dict[TransferId, TransferRow] = {}
        for entry in entries:
            for transfer_id in _changed_transfers(entry.commit):
                projected = await self._apply_entry(transfer_id, entry)
                if projected is not None:
                    rows[transfer_id] = _row(projected, entry.commit.seq)
        await self._rows.put(tuple(rows.values()))

    async def _apply_entry(
        self, transfer_id: TransferId, entry: LedgerEntry
    ) -> _ProjectedTransfer | None:
        recent = self._recent.pop(transfer_id, None)
        projected = _apply_commit(recent, transfer_id, entry.commit)
        if projected is None:
            projected = await self._replay_until(transfer_id, entry)
        if projected is not None:
            self._recent[transfer_id] = projected
            if len(self._recent) > CACHED_TRANSFERS_MAX:
                del self._recent[next(iter(self._recent))]
        return projected

    async def _replay_until(
        self, transfer_id: TransferId, until: LedgerEntry
    ) -> _ProjectedTransfer | None:
        projected: _ProjectedTransfer | None = None
        for entry in await self._store.read_stream(transfer_stream(transfer_id)):
            if entry.commit.seq <= until.commit.seq:
                projected = _apply_commit(projected, transfer_id, entry.commit) or projected
        return projected


def build_transfer_projector(
    store: EventStore,
    rows: TransferProjection,
    cursors: CursorStore,
    changes: ChangeSignal,
    clock: Clock,
) -> LedgerProjector:
    return LedgerProjector(
        store,
        TransferRows(store, rows),
        cursors,
        changes,
        cursor_name=PROJECTION_CURSOR,
        clock=clock,
    )


def _changed_transfers(commit: Commit) -> tuple[TransferId, ...]:
    events = map(decode_event, commit.events)
    return tuple(
        dict.fromkeys(event.transfer_id for event in events if isinstance(event, TransferEvent))
    )


def _apply_commit(
    projected: _ProjectedTransfer | None, transfer_id: TransferId, commit: Commit
) -> _ProjectedTransfer | None:
    """*projected* after *commit*; None where an event before *commit* is missing in it."""
    transfer = projected.transfer if projected is not None else None
    for record in commit.events:
        if record.stream != transfer_stream(transfer_id):
            continue
        event = decode_event(record)
        if not isinstance(event, TransferEvent):
            continue
        if record.version != (transfer.version if transfer is not None else 0) + 1:
            return None
        transfer = evolve(transfer, event)
    if transfer is None:
        return None
    actor = projected.actor if projected is not None else commit.actor
    return _ProjectedTransfer(transfer, actor, commit.at)


def _row(projected: _ProjectedTransfer, seq: int) -> TransferRow:
    transfer = projected.transfer
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
        actor=projected.actor,
        verified=transfer.verified,
        disputed=transfer.disputed,
        corrected=transfer.corrected,
        in_review=transfer.in_review,
        created_at=transfer.accepted_at,
        updated_at=projected.updated_at,
        applied_seq=seq,
    )
