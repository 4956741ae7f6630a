"""In-memory state of the execution ledger: our orders, and the trades of the account.

Open orders stay in memory. Of ended orders and of trades only the newest do: the history of the
others is in their streams, where `ExecutionLedger` looks them up.
"""

from collections import ChainMap
from collections.abc import Iterable, MutableMapping
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.execution.entries.book import EntryBook
from chimera_s1.domain.execution.entries.events import EntryEvent
from chimera_s1.domain.execution.event_records import decode_event
from chimera_s1.domain.execution.events import (
    AccountBound,
    ExecutionEvent,
    FillAttributed,
    FillCompleted,
    FillEvent,
    FillRecorded,
    OrderEvent,
    OrderPlanned,
    PositionAdopted,
)
from chimera_s1.domain.execution.known_positions import KnownPositions
from chimera_s1.domain.execution.order_index import OrderIndex, OrderKey, fill_order_key
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.order_status import UNTRIGGERED
from chimera_s1.domain.execution.reports import (
    FillKey,
    FillReport,
    OrderListReport,
    OrderReport,
)
from chimera_s1.domain.execution.tracked_order import (
    OrderPhase,
    TrackedOrder,
    add_fill,
    evolve,
)
from chimera_s1.domain.execution.tradfi_agreement import TradFiAgreement
from chimera_s1.domain.ledger.commit import Commit, LedgerHead, head_of
from chimera_s1.domain.ledger.event_data import UnknownEvent

ENDED_ORDERS_MAX: Final = 5_000
FILLS_MAX: Final = 20_000


class KnownFill(Struct, frozen=True):
    """A recorded trade; *client_id* is empty if it is foreign."""

    fill: FillReport
    client_id: str
    version: int


class ExecutionState:
    """The state after all commits so far. It is changed in place: a copy per commit would be slow.

    Attributes:
        head: The last folded commit.
        account: The exchange account that the ledger belongs to; empty while it is not bound.
        orders: Ours, by client id: every open one and every one of an open entry, and the
            newest `ENDED_ORDERS_MAX` ended ones.
        fills: The newest `FILLS_MAX` trades.
        positions: What all trades say of positions, those that have left memory too.
        entries: With the orders and trades that belong to them.
        agreement: Whether an order was refused for want of the TradFi agreement.
        orders_forgotten, fills_forgotten: So many have left memory since the start.
        fills_forgotten_until_ms: No trade that has left memory is newer.
    """

    def __init__(
        self, *, ended_orders_max: int = ENDED_ORDERS_MAX, fills_max: int = FILLS_MAX
    ) -> None:
        self.head = LedgerHead()
        self.account = ""
        self.orders: MutableMapping[str, TrackedOrder] = {}
        self.fills: MutableMapping[FillKey, KnownFill] = {}
        self.orders_forgotten = 0
        self.fills_forgotten = 0
        self.fills_forgotten_until_ms = 0
        self.index = OrderIndex.empty()
        self.positions = KnownPositions()
        self.entries = EntryBook()
        self.agreement = TradFiAgreement()
        self._ended_orders_max = ended_orders_max
        self._fills_max = fills_max
        self._open: dict[str, TrackedOrder] = {}
        self._ended: dict[str, None] = {}
        self._unknown_events: dict[str, UnknownEvent] = {}

    def scratch(self) -> "ExecutionState":
        """A copy that takes the events of one commit and leaves this state as it is."""
        copy = _Scratch()
        copy.orders = ChainMap({}, self.orders)
        copy.fills = ChainMap({}, self.fills)
        copy.index = self.index.overlay()
        copy.orders_forgotten = self.orders_forgotten
        return copy

    def fold_commit(self, commit: Commit) -> None:
        """Apply the next commit.

        Raises:
            LedgerDamagedError: Its events contradict earlier ones.
        """
        for record in commit.events:
            event = decode_event(record)
            if isinstance(event, UnknownEvent):
                self._unknown_events[record.stream] = event
            else:
                self.apply(event)
        self.head = head_of(commit)

    def apply(self, event: ExecutionEvent) -> None:
        """Raises:
        LedgerDamagedError: *event* contradicts earlier ones.
        """
        if isinstance(event, FillRecorded | PositionAdopted):
            self.positions.apply(event)
        if isinstance(event, PositionAdopted):
            return
        if isinstance(event, AccountBound):
            self.account = event.account
            return
        if isinstance(event, FillEvent):
            self._apply_fill_event(event)
        elif isinstance(event, EntryEvent):
            self.entries.apply(event)
        else:
            self._apply_order_event(event)

    def restore(self, order: TrackedOrder) -> None:
        """Remember an order that has left memory again."""
        self._remember(order)

    def owner_of(self, report: OrderReport | OrderListReport | FillReport) -> str | None:
        """Our client id of the order that *report* is about, or whose child or leg it is about.

        The exchange's ids decide. A client id does where the exchange's id of our order is not
        known yet: an id that is used again after an order was closed names a foreign order.
        """
        match report:
            case OrderListReport():
                key = (OrderFamily.SPOT_LIST, report.symbol, report.exchange_id)
                return self._owner_by_id(key) or self._owner_by_client_id(key, report.client_id)
            case OrderReport():
                key = (report.family, report.symbol, report.exchange_id)
                return (
                    self._owner_by_id(key)
                    or self._owner_by_parent(report)
                    or self._owner_by_client_id(key, report.client_id)
                )
            case FillReport():
                key = fill_order_key(report.key)
                return self._owner_by_id(key) or self._owner_by_client_id(key, report.client_id)

    def open_orders(self) -> tuple[TrackedOrder, ...]:
        return tuple(self._open.values())

    def unknown_orders(self) -> tuple[TrackedOrder, ...]:
        """It is not known whether the exchange has them."""
        unknown = {OrderPhase.PLANNED, OrderPhase.UNKNOWN}
        return tuple(order for order in self._open.values() if order.phase in unknown)

    def fill_known(self, key: FillKey) -> bool:
        return key in self.fills

    def foreign_fills(self, key: OrderKey) -> tuple[FillKey, ...]:
        """Trades of the order *key* that are recorded as foreign."""
        return self.index.foreign_fills.get(key, ())

    def fill_may_be_forgotten(self, fill: FillReport, margin_ms: int) -> bool:
        """Whether *fill* may be recorded although it is not in memory."""
        if not self.fills_forgotten or fill.key in self.fills:
            return False
        return fill.at_ms <= self.fills_forgotten_until_ms + margin_ms

    def find_unknown_event(self, streams: Iterable[str]) -> UnknownEvent | None:
        """An event in one of *streams* that only a newer version of S1 understands."""
        return next(filter(None, map(self._unknown_events.get, streams)), None)

    def _owner_by_id(self, key: OrderKey) -> str | None:
        """None once the order has left memory: the index may still have the order of a trade."""
        owner = self.index.owners.get(key)
        return owner if owner in self.orders else None

    def _owner_by_parent(self, report: OrderReport) -> str | None:
        """The algo order or the list that the exchange names in the report of a child."""
        if report.family is OrderFamily.PERP_ORDER and report.parent_id:
            return self._owner_by_id((OrderFamily.PERP_ALGO, report.symbol, report.parent_id))
        if report.family is OrderFamily.SPOT_ORDER and report.list_id:
            return self._owner_by_id((OrderFamily.SPOT_LIST, report.symbol, report.list_id))
        return None

    def _owner_by_client_id(self, key: OrderKey, client_id: str) -> str | None:
        family, symbol, exchange_id = key
        owner = client_id if client_id in self.orders else self.index.lists.get(client_id)
        order = self.orders.get(owner) if owner else None
        if order is None or order.request.symbol != symbol:
            return None
        known_id = _id_of(order, family, client_id)
        if known_id is None:
            return None
        return owner if not known_id or not exchange_id or known_id == exchange_id else None

    def _apply_order_event(self, event: OrderEvent) -> None:
        order = self.orders.get(event.client_id)
        if order is None and self.orders_forgotten and not isinstance(event, OrderPlanned):
            return  # it has left memory; its stream keeps the event
        after = evolve(order, event)
        self._remember(after)
        self.agreement.apply(after.request.symbol, event)

    def _remember(self, order: TrackedOrder) -> None:
        client_id = order.client_id
        self.orders[client_id] = order
        self.index.add(order)
        if order.entry_id:
            self.entries.add_order(order.entry_id, client_id)
        self._ended.pop(client_id, None)
        if order.is_open:
            self._open[client_id] = order
        else:
            self._open.pop(client_id, None)
            self._ended[client_id] = None
            self._bound_orders()

    def _bound_orders(self) -> None:
        surplus = max(0, len(self._ended) - self._ended_orders_max)
        for client_id in tuple(islice(self._ended, surplus)):
            del self._ended[client_id]
            if self.entries.is_open(self.orders[client_id].entry_id):
                self._ended[client_id] = None
                continue
            self.index.remove(self.orders.pop(client_id))
            self.orders_forgotten += 1

    def _apply_fill_event(self, event: FillEvent) -> None:
        match event:
            case FillRecorded():
                self._add_fill(event)
            case FillCompleted():
                self._complete_fill(event)
            case FillAttributed():
                self._attribute_fill(event)

    def _add_fill(self, event: FillRecorded) -> None:
        key = event.fill.key
        if key in self.fills:
            raise LedgerDamagedError(f"trade {key.trade_id} of {key.symbol} is recorded twice")
        self.fills[key] = KnownFill(event.fill, event.client_id, 1)
        if event.client_id:
            self._count_for(event.client_id, event.fill)
        else:
            self.index.add_foreign_fill(key)
        self._bound_fills()

    def _complete_fill(self, event: FillCompleted) -> None:
        known = self.fills.get(event.key)
        if known is None:
            return  # it has left memory
        fill = replace(
            known.fill,
            commission=event.commission,
            commission_asset=event.commission_asset,
            maker=known.fill.maker if event.maker is None else event.maker,
        )
        self.fills[event.key] = KnownFill(fill, known.client_id, known.version + 1)
        order = self.orders.get(known.client_id)
        if order is not None:
            fills = order.fills.with_commission(event.commission_asset, event.commission)
            self._remember(replace(order, fills=fills))

    def _attribute_fill(self, event: FillAttributed) -> None:
        known = self.fills.get(event.key)
        if known is None:
            return
        self.fills[event.key] = KnownFill(known.fill, event.client_id, known.version + 1)
        self.index.remove_foreign_fill(event.key)
        self._count_for(event.client_id, known.fill)

    def _count_for(self, client_id: str, fill: FillReport) -> None:
        order = self.orders.get(client_id)
        if order is not None:
            self._remember(add_fill(order, fill))
            if order.entry_id:
                self.entries.add_fill(order.entry_id, client_id, fill)
            self.index.owners[fill_order_key(fill.key)] = client_id

    def _bound_fills(self) -> None:
        while len(self.fills) > self._fills_max:
            key = next(iter(self.fills))
            at_ms = self.fills.pop(key).fill.at_ms
            self.index.remove_foreign_fill(key)
            self.fills_forgotten += 1
            self.fills_forgotten_until_ms = max(self.fills_forgotten_until_ms, at_ms)


def _id_of(order: TrackedOrder, family: OrderFamily, client_id: str) -> str | None:
    """The exchange's id of *order*, of its child or of its leg, the one that has *client_id*: empty
    while it is not known, None where there is no such one.
    """
    if order.family is family:
        return order.exchange_id
    match order.family, family:
        case OrderFamily.PERP_ALGO, OrderFamily.PERP_ORDER:
            is_childless = order.status in UNTRIGGERED and not order.child_id
            return None if is_childless else order.child_id
        case OrderFamily.SPOT_LIST, OrderFamily.SPOT_ORDER if client_id != order.client_id:
            legs = (leg.exchange_id for leg in order.legs if leg.client_id == client_id)
            return next(legs, "")
        case _:
            return None


class _Scratch(ExecutionState):
    """It lives for one commit, and forgets nothing."""

    def _bound_orders(self) -> None:
        pass

    def _bound_fills(self) -> None:
        pass
