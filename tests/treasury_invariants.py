"""The invariants of a treasury ledger, checked by all tests.

I1 and I3 need the exchange's movements, I9 the stream, I6 the projection.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import LedgerEntry, LedgerHead, chain_error, head_of
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection
from chimera_s1.domain.treasury.event_records import decode_event
from chimera_s1.domain.treasury.events import (
    CapRebooked,
    CapReleased,
    CapReserved,
    CapSettled,
    MovementClaimed,
    SubmissionStarted,
    TransferEvent,
    TransferRequested,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer, TransferStatus, evolve


class ExecutedMovement(Struct):
    """A movement of the exchange; `transfer_id` is empty for a manual one."""

    tran_id: str
    transfer_id: str
    amount: Decimal


async def read_all(store: EventStore) -> list[LedgerEntry]:
    entries: list[LedgerEntry] = []
    while page := await store.read(len(entries), 1000):
        entries += page
    return entries


async def violations_of(
    store: EventStore,
    *,
    executed: Iterable[ExecutedMovement] | None = None,
    relayed: Iterable[str] | None = None,
    projection: TransferProjection | None = None,
) -> list[str]:
    """Every broken invariant, by its number.

    Args:
        store: The ledger.
        executed: The exchange's movements (I1, I3).
        relayed: The `event_id`s of `ops:events`, in order (I9).
        projection: Up to date (I6).
    """
    entries = await read_all(store)
    transfers = _folded(entries)
    found = [
        *_chain(entries),
        *_versions(entries),
        *_cap(entries),
        *_claims(entries, transfers),
        *_attempts(entries),
    ]
    if executed is not None:
        found += _movements(transfers, list(executed))
    if relayed is not None:
        found += _relayed(entries, list(relayed))
    if projection is not None:
        found += await _projected(transfers, projection)
    return found


def _events(entries: Iterable[LedgerEntry]) -> Iterable[TreasuryEvent]:
    for entry in entries:
        for record in entry.commit.events:
            event = decode_event(record)
            if not isinstance(event, UnknownEvent):
                yield event


def _folded(entries: Iterable[LedgerEntry]) -> dict[TransferId, Transfer]:
    transfers: dict[TransferId, Transfer] = {}
    for event in _events(entries):
        if isinstance(event, TransferEvent):
            transfers[event.transfer_id] = evolve(transfers.get(event.transfer_id), event)
    return transfers


def _chain(entries: Iterable[LedgerEntry]) -> Iterable[str]:
    head = LedgerHead()
    for entry in entries:
        problem = chain_error(entry, head)
        if problem:
            yield f"I5 {problem}"
        head = head_of(entry.commit)


def _versions(entries: Iterable[LedgerEntry]) -> Iterable[str]:
    versions: dict[str, int] = defaultdict(int)
    first_events: Counter[str] = Counter()
    for entry in entries:
        for record in entry.commit.events:
            versions[record.stream] += 1
            if record.version != versions[record.stream]:
                yield f"I5 {record.stream} has {record.version} after {versions[record.stream]}"
            if record.type in {"treasury.transfer.requested", "treasury.transfer.rejected"}:
                first_events[record.stream] += 1
    yield from (
        f"I8 {stream} has {count} initial events"
        for stream, count in first_events.items()
        if count > 1
    )


def _cap(entries: Iterable[LedgerEntry]) -> Iterable[str]:
    used: dict[str, Decimal] = defaultdict(Decimal)
    shares: dict[tuple[str, str], str] = {}
    for event in _events(entries):
        match event:
            case CapReserved():
                used[event.day] += event.amount
                yield from _step(shares, event.day, event.transfer_id, {""}, "reserved")
                if used[event.day] > event.cap:
                    yield f"I4 {event.day}: {used[event.day]} of {event.cap}"
            case CapSettled():
                yield from _step(shares, event.day, event.transfer_id, {"reserved"}, "settled")
            case CapReleased():
                used[event.day] -= event.amount
                yield from _step(shares, event.day, event.transfer_id, {"reserved"}, "released")
            case CapRebooked():
                used[event.day] += event.amount
                yield from _step(shares, event.day, event.transfer_id, {"released"}, "settled")
            case _:
                pass


def _step(
    shares: dict[tuple[str, str], str], day: str, name: str, before: set[str], after: str
) -> Iterable[str]:
    state = shares.get((day, name), "")
    if state not in before:
        yield f"I4 share of {name} is {after} after {state or 'nothing'}"
    shares[day, name] = after


def _claims(entries: Iterable[LedgerEntry], transfers: dict[TransferId, Transfer]) -> Iterable[str]:
    claims: dict[str, list[TransferId]] = defaultdict(list)
    for event in _events(entries):
        if isinstance(event, MovementClaimed):
            claims[event.tran_id].append(event.transfer_id)
    for tran_id, claimants in claims.items():
        if len(claimants) > 1:
            yield f"I2 {tran_id} is claimed by {claimants}"
    for transfer in transfers.values():
        done = transfer.phase is Phase.DONE
        if done and claims.get(transfer.tran_id) != [transfer.transfer_id]:
            yield f"I2 {transfer.transfer_id} is DONE by {transfer.tran_id}, not claimed by it"


def _attempts(entries: Iterable[LedgerEntry]) -> Iterable[str]:
    started = Counter(
        (event.transfer_id, event.attempt)
        for event in _events(entries)
        if isinstance(event, SubmissionStarted)
    )
    yield from (f"I1 attempt {key} was started {n} times" for key, n in started.items() if n > 1)
    requested = {e.transfer_id for e in _events(entries) if isinstance(e, TransferRequested)}
    yield from (f"I1 {name} was sent unrequested" for name, _ in started if name not in requested)


def _movements(
    transfers: dict[TransferId, Transfer], executed: list[ExecutedMovement]
) -> Iterable[str]:
    own = Counter(movement.transfer_id for movement in executed if movement.transfer_id)
    rows = {movement.tran_id: movement for movement in executed}
    for name, count in own.items():
        if count > 1:
            yield f"I1 {name} moved money {count} times"
    for transfer in transfers.values():
        moved = own[transfer.transfer_id]
        if transfer.status is TransferStatus.FAILED and moved:
            yield f"I3 {transfer.transfer_id} FAILED and moved money"
        if transfer.status is TransferStatus.DONE and not transfer.disputed:
            row = rows.get(transfer.tran_id)
            if row is None or row.amount != transfer.amount:
                yield f"I2 {transfer.transfer_id} is DONE and nothing moved"


def _relayed(entries: Iterable[LedgerEntry], relayed: list[str]) -> Iterable[str]:
    expected = [record.id for entry in entries for record in entry.commit.events]
    first_seen = list(dict.fromkeys(relayed))
    if first_seen != expected:
        missing = [name for name in expected if name not in set(first_seen)]
        yield f"I9 missing {missing[:5]}, or out of order"


async def _projected(
    transfers: dict[TransferId, Transfer], projection: TransferProjection
) -> list[str]:
    found: list[str] = []
    for transfer in transfers.values():
        row = await projection.get(transfer.transfer_id)
        projected = (row.status, row.phase, row.tran_id, row.attempts) if row is not None else None
        expected = (
            transfer.status.value,
            transfer.phase.value,
            transfer.tran_id,
            transfer.attempt,
        )
        if projected != expected:
            found.append(f"I6 {transfer.transfer_id}: row {projected}, ledger {expected}")
    return found
