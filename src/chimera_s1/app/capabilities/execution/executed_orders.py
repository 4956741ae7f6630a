"""What an event of the execution ledger says to the readers of `orders:executed`."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.execution.entries.events import EntryEvent
from chimera_s1.domain.execution.events import (
    AccountBound,
    CancelRefused,
    CancelRequested,
    ChildOrderUpdated,
    ExecutionEvent,
    FillAttributed,
    FillCompleted,
    FillRecorded,
    OrderAbsent,
    OrderEnding,
    OrderEvent,
    OrderNotSent,
    OrderPlanned,
    OrderRefused,
    OrderReported,
    OrderUnknown,
    OrderUpdated,
    PositionAdopted,
)
from chimera_s1.domain.execution.order_request import (
    Limit,
    LimitMaker,
    MarketForQuote,
    OrderRequest,
    SpotOco,
    StopLimit,
    TakeProfitLimit,
)
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.ports.order_events import ExecutedOrder, OrderEventKind

OURS: Final = "s1"
FOREIGN: Final = "exchange"

_ZERO: Final = Decimal(0)
_ENDINGS: Final = {
    OrderEnding.CANCELED: OrderEventKind.CANCEL,
    OrderEnding.EXPIRED: OrderEventKind.CANCEL,
    OrderEnding.TIMEOUT: OrderEventKind.TIMEOUT,
    OrderEnding.REJECTED: OrderEventKind.REJECT,
}
"""A filled order ends with its last FILL."""


class _Statement(Struct, frozen=True, kw_only=True):
    """What one entry says beside the order's own terms."""

    kind: OrderEventKind
    at_ms: int
    reason: str = ""
    status: str = ""
    filled_qty: Decimal = _ZERO
    avg_price: Decimal | None = None
    id_suffix: str = ""


def fill_entry(event: FillRecorded, event_id: str) -> ExecutedOrder:
    """Of a trade of ours or of others."""
    fill = event.fill
    return ExecutedOrder(
        at_ms=fill.at_ms,
        source=OURS if event.client_id else FOREIGN,
        entry_id=event.entry_id,
        symbol=fill.symbol,
        venue=fill.venue.value,
        kind=OrderEventKind.FILL,
        client_order_id=event.client_id or fill.client_id,
        order_id=fill.order_id,
        side=fill.side,
        status=event.order_status,
        price=fill.price,
        qty=fill.qty,
        filled_qty=event.filled_qty or _ZERO,
        avg_price=event.avg_price or _ZERO,
        event_id=event_id,
    )


def corrected_fill_entry(
    recorded: FillRecorded, recorded_id: str, order: TrackedOrder, event_id: str
) -> ExecutedOrder:
    """Of a trade of *order* that was published as one of others, with the id *recorded_id*."""
    ours = replace(
        recorded,
        client_id=order.client_id,
        entry_id=order.entry_id,
        order_status=order.status,
        filled_qty=order.filled_qty,
        avg_price=order.avg_price,
    )
    return replace(fill_entry(ours, event_id), corrects=recorded_id)


def order_entries(
    event: OrderEvent, order: TrackedOrder, event_id: str, recorded_ms: int
) -> Iterator[ExecutedOrder]:
    """Of an event of *order*, which may be further on; *recorded_ms* is the commit's time."""
    for said in _statements(event, recorded_ms):
        qty, price = _terms(order.request)
        yield ExecutedOrder(
            at_ms=said.at_ms,
            source=OURS,
            entry_id=order.entry_id,
            symbol=order.request.symbol,
            venue=order.venue.value,
            kind=said.kind,
            client_order_id=order.client_id,
            order_id=order.exchange_id,
            side=order.request.side.value,
            status=said.status,
            price=price,
            qty=qty,
            filled_qty=said.filled_qty,
            avg_price=said.avg_price or _ZERO,
            event_id=event_id + said.id_suffix,
            reason=said.reason,
        )


def has_entry(event: ExecutionEvent) -> bool:
    """Whether one of the functions above may give one."""
    if isinstance(event, EntryEvent):
        return False
    match event:
        case OrderUpdated() | ChildOrderUpdated():
            acknowledges = isinstance(event, OrderUpdated) and event.acknowledges
            return acknowledges or event.ends in _ENDINGS
        case OrderRefused() | OrderNotSent() | OrderAbsent() | FillRecorded() | FillAttributed():
            return True
        case OrderPlanned() | OrderUnknown() | CancelRequested() | CancelRefused():
            return False
        case FillCompleted() | PositionAdopted() | AccountBound():
            return False
        case _:
            assert_never(event)


def _statements(event: OrderEvent, recorded_ms: int) -> Iterator[_Statement]:
    reject = OrderEventKind.REJECT
    match event:
        case OrderUpdated():
            if event.acknowledges:
                yield _reported(event, OrderEventKind.ACK)
            yield from _ended(event)
        case ChildOrderUpdated():
            yield from _ended(event)
        case OrderRefused():
            reason = f"{event.reason.value}: {event.message}"
            yield _Statement(kind=reject, at_ms=recorded_ms, reason=reason)
        case OrderNotSent():
            yield _Statement(kind=reject, at_ms=recorded_ms, reason=f"not sent: {event.cause}")
        case OrderAbsent():
            yield _Statement(kind=reject, at_ms=recorded_ms, reason="absent at the exchange")
        case OrderPlanned() | OrderUnknown() | CancelRequested() | CancelRefused():
            return
        case _:
            assert_never(event)


def _ended(event: OrderReported) -> Iterator[_Statement]:
    kind = _ENDINGS.get(event.ends) if event.ends else None
    if kind is not None:
        yield _reported(event, kind, "/end")


def _reported(event: OrderReported, kind: OrderEventKind, id_suffix: str = "") -> _Statement:
    return _Statement(
        kind=kind,
        at_ms=event.at_ms,
        reason="" if kind is OrderEventKind.ACK else event.reason,
        status=event.status,
        filled_qty=event.filled_qty,
        avg_price=event.avg_price,
        id_suffix=id_suffix,
    )


def _terms(request: OrderRequest) -> tuple[Decimal, Decimal]:
    """Quantity and limit price; 0 where it has none."""
    if isinstance(request, SpotOco):
        return request.qty, request.take_profit.price
    body = request.body
    match body:
        case MarketForQuote():
            return _ZERO, _ZERO
        case Limit() | LimitMaker() | StopLimit() | TakeProfitLimit():
            return body.qty, body.price
        case _:
            return body.qty, _ZERO
