"""An order of ours, as its events tell it. Its state only moves forward.

What the exchange says is joined, not overwritten: of quantities the largest stands, of states the
one with the highest `StatusKey`. So reports may come in any order, twice, or not at all.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.execution.events import (
    CancelCause,
    CancelRefused,
    CancelRequested,
    ChildOrderUpdated,
    OrderAbsent,
    OrderConclusion,
    OrderEnding,
    OrderEvent,
    OrderNotSent,
    OrderPlanned,
    OrderRefused,
    OrderReported,
    OrderUnknown,
    OrderUpdated,
    RefusalReason,
)
from chimera_s1.domain.execution.order_request import (
    OrderFamily,
    OrderRef,
    OrderRequest,
    SpotOco,
    family_of,
    ref_of,
)
from chimera_s1.domain.execution.order_status import CLOSED, is_closed, rank
from chimera_s1.domain.execution.reports import FillReport, LegRef
from chimera_s1.domain.identifiers import Venue

_ZERO: Final = Decimal(0)
_PRICE_CONTEXT: Final = Context(prec=16)
"""Average prices are quotients; a float64 holds as many digits."""

StatusKey: TypeAlias = tuple[bool, Decimal, int, int, str]
"""Closed or not, filled quantity, exchange time, rank, status: the higher one is newer."""


class OrderPhase(StrEnum):
    """What we know. UNKNOWN: it may have been placed. ABSENT: looked up, and not there.

    Only evidence of the exchange leads out of REFUSED, NOT_SENT and ABSENT.
    """

    PLANNED = "planned"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    ABSENT = "absent"


ENDED = frozenset({OrderPhase.CLOSED, OrderPhase.REFUSED, OrderPhase.NOT_SENT, OrderPhase.ABSENT})


class ChildOrder(Struct, frozen=True, kw_only=True):
    """A leg of an order list, or the order that a triggered algo order became."""

    client_id: str
    exchange_id: str
    status: str
    filled_qty: Decimal
    avg_price: Decimal | None
    at_ms: int
    reason: str = ""

    @property
    def is_closed(self) -> bool:
        return self.status in CLOSED


class FillTotals(Struct, frozen=True):
    """Sums over the recorded trades of an order; *commissions* by asset, where they are said."""

    qty: Decimal = _ZERO
    value: Decimal = _ZERO
    commissions: Mapping[str, Decimal] = {}
    count: int = 0
    without_commission: int = 0

    def with_fill(self, fill: FillReport) -> "FillTotals":
        added = FillTotals(
            self.qty + fill.qty,
            self.value + fill.qty * fill.price,
            self.commissions,
            self.count + 1,
            self.without_commission + 1,
        )
        if fill.commission is None:
            return added
        return added.with_commission(fill.commission_asset, fill.commission)

    def with_commission(self, asset: str, amount: Decimal) -> "FillTotals":
        """Of a trade that is counted as one without."""
        commissions = {**self.commissions, asset: self.commissions.get(asset, _ZERO) + amount}
        return FillTotals(
            self.qty, self.value, commissions, self.count, self.without_commission - 1
        )


class TrackedOrder(Struct, frozen=True, kw_only=True):
    """Attributes:
    status: The exchange's text; empty before the acknowledgement.
    reported_qty, reported_price: The largest filled quantity that the exchange has reported, and
        the average price with it; replies do not count.
    at_ms: Exchange time of *status*.
    acknowledged_ms: When the exchange acknowledged it, by its clock; 0 before.
    refusal: Why the exchange certainly refused it.
    child_id: Of the order that a triggered algo order became.
    children: Legs, or the child, as far as they were reported.
    ending, message: How and why it ended.
    version: Events in its stream.
    """

    request: OrderRequest
    entry_id: str
    phase: OrderPhase
    signed_at_ms: int
    recv_window_ms: int
    exchange_id: str = ""
    status: str = ""
    reported_qty: Decimal = _ZERO
    reported_price: Decimal | None = None
    at_ms: int = 0
    acknowledged_ms: int = 0
    refusal: RefusalReason | None = None
    child_id: str = ""
    legs: tuple[LegRef, ...] = ()
    children: Mapping[str, ChildOrder] = {}
    fills: FillTotals = FillTotals()
    cancel_requested_ms: int = 0
    cancel_cause: CancelCause = CancelCause.REQUESTED
    ending: OrderEnding | None = None
    message: str = ""
    version: int = 1

    @property
    def client_id(self) -> str:
        return self.request.client_id

    @property
    def family(self) -> OrderFamily:
        return family_of(self.request)

    @property
    def venue(self) -> Venue:
        return self.family.venue

    @property
    def is_open(self) -> bool:
        """False once nothing more is expected of it."""
        return self.phase not in ENDED

    @property
    def filled_qty(self) -> Decimal:
        """The largest quantity that a report, the child orders or the trades prove."""
        of_children = sum((child.filled_qty for child in self.children.values()), _ZERO)
        return max(self.reported_qty, of_children, self.fills.qty)

    @property
    def avg_price(self) -> Decimal | None:
        """Of *filled_qty*; None if nothing is filled or the price is not known."""
        filled = self.filled_qty
        if not filled:
            return None
        if self.fills.qty == filled:
            return _PRICE_CONTEXT.divide(self.fills.value, filled).normalize()
        if self.reported_qty == filled and self.reported_price is not None:
            return self.reported_price
        priced = [(c.filled_qty, c.avg_price) for c in self.children.values() if c.filled_qty]
        value = sum((qty * price for qty, price in priced if price is not None), _ZERO)
        if any(price is None for _, price in priced) or sum(qty for qty, _ in priced) != filled:
            return None
        return _PRICE_CONTEXT.divide(value, filled).normalize()

    @property
    def lacks_fills(self) -> bool:
        """More is filled than the recorded trades explain, or a commission is missing."""
        return self.fills.qty < self.filled_qty or self.fills.without_commission > 0

    def lookup_refs(self) -> tuple[OrderRef, ...]:
        """What to look up to bring the order up to date: itself, and a child that is not closed."""
        own = replace(ref_of(self.request), exchange_id=self.exchange_id)
        child = self.children.get(self.child_id)
        if not self.child_id or (child is not None and child.is_closed):
            return (own,)
        return (
            own,
            OrderRef(
                family=OrderFamily.PERP_ORDER,
                symbol=self.request.symbol,
                client_id=self.client_id,
                exchange_id=self.child_id,
            ),
        )


def status_key(family: OrderFamily, status: str, filled_qty: Decimal, at_ms: int) -> StatusKey:
    return is_closed(family, status), filled_qty, at_ms, rank(status) if status else 0, status


def client_ids_of(request: OrderRequest) -> tuple[str, ...]:
    """Its own, and those of the legs of a list."""
    if isinstance(request, SpotOco):
        return request.client_id, request.take_profit.client_id, request.stop.client_id
    return (request.client_id,)


def evolve(order: TrackedOrder | None, event: OrderEvent) -> TrackedOrder:
    """*order* after *event* of its stream.

    Raises:
        LedgerDamagedError: The event cannot follow.
    """
    if isinstance(event, OrderPlanned):
        if order is not None:
            raise LedgerDamagedError(f"order {event.client_id} is planned twice")
        return TrackedOrder(
            request=event.request,
            entry_id=event.entry_id,
            phase=OrderPhase.PLANNED,
            signed_at_ms=event.signed_at_ms,
            recv_window_ms=event.recv_window_ms,
        )
    if order is None:
        raise LedgerDamagedError(f"order {event.client_id} has no plan")
    return replace(_apply(order, event), version=order.version + 1)


def add_fill(order: TrackedOrder, fill: FillReport) -> TrackedOrder:
    """A trade proves that the exchange has the order."""
    phase = OrderPhase.CLOSED if order.phase is OrderPhase.CLOSED else OrderPhase.ACKNOWLEDGED
    return replace(order, fills=order.fills.with_fill(fill), phase=phase)


def _apply(order: TrackedOrder, event: OrderConclusion | OrderReported) -> TrackedOrder:
    match event:
        case OrderUpdated():
            return _apply_update(order, event)
        case ChildOrderUpdated():
            return _apply_child(order, event)
        case CancelRequested():
            return replace(order, cancel_requested_ms=event.signed_at_ms, cancel_cause=event.cause)
        case CancelRefused():
            return order
        case OrderRefused() | OrderNotSent() | OrderUnknown() | OrderAbsent():
            return _apply_outcome(order, event)
        case _:
            assert_never(event)


def _apply_outcome(
    order: TrackedOrder, event: OrderRefused | OrderNotSent | OrderUnknown | OrderAbsent
) -> TrackedOrder:
    match event:
        case OrderRefused(reason=reason, message=message):
            return replace(order, phase=OrderPhase.REFUSED, refusal=reason, message=message)
        case OrderNotSent(cause=message):
            return replace(order, phase=OrderPhase.NOT_SENT, message=message)
        case OrderUnknown(cause=message):
            return replace(order, phase=OrderPhase.UNKNOWN, message=message)
        case OrderAbsent():
            return replace(order, phase=OrderPhase.ABSENT)
        case _:
            assert_never(event)


def _apply_update(order: TrackedOrder, event: OrderUpdated) -> TrackedOrder:
    return replace(
        _ended(order, event.ends),
        exchange_id=event.exchange_id,
        status=event.status,
        reported_qty=event.filled_qty,
        reported_price=event.avg_price,
        at_ms=event.at_ms,
        acknowledged_ms=order.acknowledged_ms or event.at_ms,
        child_id=event.child_id,
        legs=event.legs,
        message=event.reason,
    )


def _apply_child(order: TrackedOrder, event: ChildOrderUpdated) -> TrackedOrder:
    child = ChildOrder(
        client_id=event.child_client_id,
        exchange_id=event.child_id,
        status=event.status,
        filled_qty=event.filled_qty,
        avg_price=event.avg_price,
        at_ms=event.at_ms,
        reason=event.reason,
    )
    of_algo = order.family is OrderFamily.PERP_ALGO
    return replace(
        _ended(order, event.ends),
        child_id=order.child_id or (event.child_id if of_algo else ""),
        children={**order.children, event.child_id: child},
    )


def _ended(order: TrackedOrder, ending: OrderEnding | None) -> TrackedOrder:
    if order.phase is OrderPhase.CLOSED:
        return order
    if ending is None:
        return replace(order, phase=OrderPhase.ACKNOWLEDGED)
    return replace(order, phase=OrderPhase.CLOSED, ending=ending)
