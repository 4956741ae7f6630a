"""What is new in a report of the exchange. The same report again, or an older one, is nothing new.

A reply to a request acknowledges, and no more: its quantities are ignored, and a status that says
more than *new* is taken as that. Only the stream and reads fill or end an order.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.execution.events import (
    CancelCause,
    CancelRefused,
    CancelRequested,
    ChildOrderUpdated,
    ExecutionEvent,
    FillAttributed,
    FillCompleted,
    FillRecorded,
    OrderAbsent,
    OrderConclusion,
    OrderEnding,
    OrderNotSent,
    OrderRefused,
    OrderUnknown,
    OrderUpdated,
)
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.order_index import OrderKey, fill_order_key, order_keys
from chimera_s1.domain.execution.order_request import Limit, OrderFamily, PerpOrder, TimeInForce
from chimera_s1.domain.execution.order_status import (
    ACKNOWLEDGED,
    LIST_ACKNOWLEDGED,
    is_closed,
)
from chimera_s1.domain.execution.reports import (
    FillReport,
    LegRef,
    OrderListReport,
    OrderReport,
    ReportSource,
)
from chimera_s1.domain.execution.tracked_order import (
    OrderPhase,
    StatusKey,
    TrackedOrder,
    add_fill,
    evolve,
    status_key,
)

_ZERO: Final = Decimal(0)
_UNDECIDED: Final = frozenset({OrderPhase.PLANNED, OrderPhase.UNKNOWN})
_REJECTED: Final = frozenset({"REJECTED", "REJECT"})
_EXPIRED: Final = frozenset({"EXPIRED", "EXPIRED_IN_MATCH", "FINISHED"})

Tracked = OrderReport | OrderListReport | FillReport
"""The reports that the ledger keeps."""


class _Standing(Struct, frozen=True):
    """Status and quantities of an order or a child order, whatever said them."""

    status: str
    filled_qty: Decimal
    avg_price: Decimal | None
    at_ms: int
    reason: str

    def key(self, family: OrderFamily) -> StatusKey:
        return status_key(family, self.status, self.filled_qty, self.at_ms)

    def joined(self, other: "_Standing", family: OrderFamily) -> "_Standing":
        """The newer status, the larger quantity, and the price that belongs to it."""
        newer = self
        if not self.status or other.key(family) > self.key(family):
            newer = other
        larger = other if other.filled_qty > self.filled_qty else self
        price = larger.avg_price
        if price is None and self.filled_qty == other.filled_qty:
            price = other.avg_price
        return _Standing(
            newer.status,
            larger.filled_qty,
            price,
            newer.at_ms,
            self.reason or other.reason,
        )


def observe(
    state: ExecutionState, report: Tracked, reported_orders: Mapping[OrderKey, OrderReport]
) -> tuple[ExecutionEvent, ...]:
    """The events that *report* adds to *state*; none where it says nothing new, or is about an
    order that is not ours.

    *reported_orders* holds order reports that came with it; what they say goes with foreign trades.
    """
    owner = state.owner_of(report)
    if isinstance(report, FillReport):
        return tuple(_observe_fill(state, report, owner, reported_orders))
    if owner is None:
        return ()
    order = state.orders[owner]
    if order.phase is OrderPhase.REFUSED and report.status in _REJECTED:
        return ()  # the exchange says on its stream what it has replied
    own = isinstance(report, OrderListReport) or report.family is order.family
    update = _own_update(order, report) if own else _child_update(order, report)
    if update is None:
        return ()
    after = evolve(order, update)
    return (update, *_attributions(state, after))


def conclude(order: TrackedOrder, event: OrderConclusion) -> OrderConclusion | None:
    """*event*, unless the exchange has said more about *order* meanwhile, or it is known."""
    match event:
        case OrderUnknown():
            return event if order.phase is OrderPhase.PLANNED else None
        case OrderRefused() | OrderNotSent() | OrderAbsent():
            return event if order.phase in _UNDECIDED else None
        case CancelRequested() | CancelRefused():
            return event if order.phase is not OrderPhase.CLOSED else None
        case _:
            assert_never(event)


def _own_update(order: TrackedOrder, report: OrderReport | OrderListReport) -> OrderUpdated | None:
    before = _Standing(
        order.status,
        order.reported_qty,
        order.reported_price,
        order.at_ms,
        order.message if order.status else "",
    )
    after = before.joined(_standing_of(report), _family_of(report))
    ids = (order.exchange_id or report.exchange_id, _child_id(order, report), _legs(order, report))
    if not order.status or _differs(before, after) or ids != _ids_of(order):
        exchange_id, child_id, legs = ids
        update = OrderUpdated(
            client_id=order.client_id,
            exchange_id=exchange_id,
            status=after.status,
            filled_qty=after.filled_qty,
            avg_price=after.avg_price,
            at_ms=after.at_ms,
            source=report.source.value,
            child_id=child_id,
            legs=legs,
            reason=after.reason,
            acknowledges=not order.status,
        )
        return replace(update, ends=_new_ending(order, evolve(order, update)))
    return None


def _child_update(
    order: TrackedOrder, report: OrderReport | OrderListReport
) -> ChildOrderUpdated | None:
    assert isinstance(report, OrderReport)
    child = order.children.get(report.exchange_id)
    before = _Standing("", _ZERO, None, 0, "")
    if child is not None:
        before = _Standing(
            child.status, child.filled_qty, child.avg_price, child.at_ms, child.reason
        )
    after = before.joined(_standing_of(report), _family_of(report))
    if child is not None and not _differs(before, after):
        return None
    update = ChildOrderUpdated(
        client_id=order.client_id,
        child_id=report.exchange_id,
        child_client_id=report.client_id,
        status=after.status,
        filled_qty=after.filled_qty,
        avg_price=after.avg_price,
        at_ms=after.at_ms,
        source=report.source.value,
        reason=after.reason,
    )
    return replace(update, ends=_new_ending(order, evolve(order, update)))


def _standing_of(report: OrderReport | OrderListReport) -> _Standing:
    filled_qty, avg_price = _ZERO, None
    if isinstance(report, OrderReport):
        filled_qty, avg_price = report.filled_qty, report.avg_price
    if report.source is not ReportSource.REPLY:
        price = avg_price if filled_qty else None
        return _Standing(report.status, filled_qty, price, report.at_ms, report.reason)
    status = report.status
    if is_closed(_family_of(report), status) or status == "PARTIALLY_FILLED":
        status = LIST_ACKNOWLEDGED if isinstance(report, OrderListReport) else ACKNOWLEDGED
    return _Standing(status, _ZERO, None, report.at_ms, "")


def _family_of(report: OrderReport | OrderListReport) -> OrderFamily:
    return report.family if isinstance(report, OrderReport) else OrderFamily.SPOT_LIST


def _differs(before: _Standing, after: _Standing) -> bool:
    """A later time alone is nothing new."""
    return replace(before, at_ms=0) != replace(after, at_ms=0)


def _ids_of(order: TrackedOrder) -> tuple[str, str, tuple[LegRef, ...]]:
    return order.exchange_id, order.child_id, order.legs


def _child_id(order: TrackedOrder, report: OrderReport | OrderListReport) -> str:
    return order.child_id or (report.child_id if isinstance(report, OrderReport) else "")


def _legs(order: TrackedOrder, report: OrderReport | OrderListReport) -> tuple[LegRef, ...]:
    if order.legs or not isinstance(report, OrderListReport):
        return order.legs
    return tuple(sorted(report.legs, key=lambda leg: leg.client_id))


def _new_ending(before: TrackedOrder, after: TrackedOrder) -> OrderEnding | None:
    if before.phase is OrderPhase.CLOSED or not is_closed(after.family, after.status):
        return None
    if after.status in _REJECTED:
        return OrderEnding.REJECTED
    if not _children_ended(after):
        return None
    if after.status == "FILLED" or (after.filled_qty and after.status in {"FINISHED", "ALL_DONE"}):
        return OrderEnding.FILLED
    if after.status in _EXPIRED:
        refused = _is_post_only(after) and not after.filled_qty
        return OrderEnding.REJECTED if refused else OrderEnding.EXPIRED
    timed_out = after.cancel_requested_ms and after.cancel_cause is CancelCause.TIMEOUT
    return OrderEnding.TIMEOUT if timed_out else OrderEnding.CANCELED


def _children_ended(order: TrackedOrder) -> bool:
    """A list ends with its legs, and a triggered algo order with its child: before, it is not known
    what was filled.
    """
    if order.family is OrderFamily.SPOT_LIST:
        children = [order.children.get(leg.exchange_id) for leg in order.legs]
        return bool(children) and all(child is not None and child.is_closed for child in children)
    if order.status == "FINISHED":
        child = order.children.get(order.child_id)
        return child is not None and child.is_closed
    return True


def _is_post_only(order: TrackedOrder) -> bool:
    match order.request:
        case PerpOrder(body=Limit(time_in_force=TimeInForce.GTX)):
            return True
        case _:
            return False


def _observe_fill(
    state: ExecutionState,
    fill: FillReport,
    owner: str | None,
    reported_orders: Mapping[OrderKey, OrderReport],
) -> Iterator[ExecutionEvent]:
    known = state.fills.get(fill.key)
    order = state.orders[owner] if owner else None
    if known is None:
        if order is None:
            yield _foreign_fill(fill, reported_orders.get(fill_order_key(fill.key)))
            return
        yield _own_fill(order, fill)
        yield from _attributions_of(state, order, fill_order_key(fill.key))
        return
    if known.fill.commission is None and fill.commission is not None:
        yield FillCompleted(
            key=fill.key,
            client_id=known.client_id,
            commission=fill.commission,
            commission_asset=fill.commission_asset,
            maker=fill.maker,
        )
    if not known.client_id and order is not None:
        yield from _attributions_of(state, order, fill_order_key(fill.key))


def _own_fill(order: TrackedOrder, fill: FillReport) -> FillRecorded:
    after = add_fill(order, fill)
    return FillRecorded(
        client_id=order.client_id,
        entry_id=order.entry_id,
        fill=fill,
        order_status=order.status,
        filled_qty=after.filled_qty,
        avg_price=after.avg_price,
    )


def _foreign_fill(fill: FillReport, said: OrderReport | None) -> FillRecorded:
    if said is None:
        return FillRecorded(client_id="", entry_id="", fill=fill)
    return FillRecorded(
        client_id="",
        entry_id="",
        fill=fill,
        order_status=said.status,
        filled_qty=said.filled_qty,
        avg_price=said.avg_price,
    )


def _attributions(state: ExecutionState, order: TrackedOrder) -> Iterator[FillAttributed]:
    for key in order_keys(order):
        yield from _attributions_of(state, order, key)


def _attributions_of(
    state: ExecutionState, order: TrackedOrder, key: OrderKey
) -> Iterator[FillAttributed]:
    for fill_key in state.foreign_fills(key):
        yield FillAttributed(key=fill_key, client_id=order.client_id, entry_id=order.entry_id)
