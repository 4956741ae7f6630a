"""List orders of ours from the execution ledger, newest first, and the events of one.

Reads the ledger from its end, and folds each order from its own stream and from the trades that
were met on the way: those of an order come after its plan.
"""

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.app.capabilities.ledger.engine import READ_BATCH_SIZE, verify_entries
from chimera_s1.app.capabilities.ledger.newest_first import newest_first
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.execution.event_records import decode_event, order_stream
from chimera_s1.domain.execution.events import (
    ExecutionEvent,
    FillAttributed,
    FillCompleted,
    FillRecorded,
    OrderEvent,
    OrderPlanned,
)
from chimera_s1.domain.execution.reports import FillKey
from chimera_s1.domain.execution.tracked_order import FillTotals, TrackedOrder, add_fill, evolve
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.ports.event_store import EventStore


class ListedOrder(Struct, frozen=True, kw_only=True):
    """*planned_ms* is when the intent was recorded, local epoch ms; *actor* wanted the order.
    *has_unknown_events* where events of a newer version are left out.
    """

    order: TrackedOrder
    planned_ms: int
    actor: str
    has_unknown_events: bool


class OrderEntry(Struct, frozen=True, kw_only=True):
    """One event of an order, or of a trade of it; *at_ms* is when it was recorded."""

    at_ms: int
    seq: int
    actor: str
    event: ExecutionEvent | UnknownEvent


class OrderHistory(Struct, frozen=True, kw_only=True):
    order: TrackedOrder
    entries: tuple[OrderEntry, ...]


async def list_newest_orders(
    store: EventStore, limit: int, *, only_open: bool = False
) -> tuple[ListedOrder, ...]:
    """At most *limit* orders, which is at least 1, by sequence number, descending.

    Raises:
        LedgerDamagedError: A commit was changed or is missing.
        StoreUnavailableError: Call again.
    """
    found: list[ListedOrder] = []
    trades = _TradesByOrder()
    async for entry in newest_first(store):
        for event in reversed(decode_events(entry)):
            trades.add(event)
            if not isinstance(event, OrderPlanned):
                continue
            listed = await _listed(store, entry, event.client_id, trades)
            if listed.order.is_open or not only_open:
                found.append(listed)
        if len(found) >= limit:
            break
    return tuple(found[:limit])


async def read_order_history(store: EventStore, client_id: str) -> OrderHistory | None:
    """Every event of the order and of its trades, in order; None where the id was never used.

    Raises:
        LedgerDamagedError: A commit was changed or is missing.
        StoreUnavailableError: Call again.
    """
    planned = await store.read_stream(order_stream(client_id))
    if not planned:
        return None
    order: TrackedOrder | None = None
    history: list[OrderEntry] = []
    after = planned[0].commit.seq - 1
    while entries := await store.read(after, READ_BATCH_SIZE):
        for entry in entries:
            for event in decode_events(entry):
                if _is_about(event, client_id):
                    commit = entry.commit
                    history.append(
                        OrderEntry(at_ms=commit.at, seq=commit.seq, actor=commit.actor, event=event)
                    )
                    order = _after(order, event)
        after = entries[-1].commit.seq
    if order is None:
        raise LedgerDamagedError(f"the stream of order {client_id} has no plan")
    return OrderHistory(order=order, entries=tuple(history))


def decode_events(entry: LedgerEntry) -> tuple[ExecutionEvent | UnknownEvent, ...]:
    """The events of a commit.

    Raises:
        LedgerDamagedError: It was changed after it was written, or has an invalid event.
    """
    verify_entries((entry,))
    try:
        return tuple(map(decode_event, entry.commit.events))
    except LedgerDamagedError as error:
        raise LedgerDamagedError(
            f"commit {entry.commit.seq} has an invalid event: {error}"
        ) from error


class _TradesByOrder:
    """Totals of the trades that were met so far, newest first."""

    def __init__(self) -> None:
        self._totals: dict[str, FillTotals] = {}
        self._attributed: dict[FillKey, str] = {}

    def add(self, event: ExecutionEvent | UnknownEvent) -> None:
        if isinstance(event, FillAttributed):
            self._attributed[event.key] = event.client_id
        elif isinstance(event, FillRecorded):
            owner = event.client_id or self._attributed.pop(event.fill.key, "")
            if owner:
                self._totals[owner] = self.of(owner).with_fill(event.fill)

    def of(self, client_id: str) -> FillTotals:
        return self._totals.get(client_id, FillTotals())


async def _listed(
    store: EventStore, plan: LedgerEntry, client_id: str, trades: _TradesByOrder
) -> ListedOrder:
    order: TrackedOrder | None = None
    has_unknown = False
    own = order_stream(client_id)
    for entry in await store.read_stream(own):
        for event in decode_events(entry):
            has_unknown = has_unknown or (isinstance(event, UnknownEvent) and event.stream == own)
            if isinstance(event, OrderEvent) and event.client_id == client_id:
                order = evolve(order, event)
    if order is None:
        raise LedgerDamagedError(f"the stream of order {client_id} has no plan")
    return ListedOrder(
        order=replace(order, fills=trades.of(client_id)),
        planned_ms=plan.commit.at,
        actor=plan.commit.actor,
        has_unknown_events=has_unknown,
    )


def _is_about(event: ExecutionEvent | UnknownEvent, client_id: str) -> bool:
    if isinstance(event, UnknownEvent):
        return event.stream == order_stream(client_id)
    about = OrderEvent | FillRecorded | FillCompleted | FillAttributed
    return isinstance(event, about) and event.client_id == client_id


def _after(order: TrackedOrder | None, event: ExecutionEvent | UnknownEvent) -> TrackedOrder | None:
    if isinstance(event, OrderEvent):
        return evolve(order, event)
    if isinstance(event, FillRecorded) and order is not None:
        return add_fill(order, event.fill)
    return order
