"""Orders and their events as text for operators."""

from decimal import Decimal
from typing import assert_never

from chimera_s1.app.capabilities.execution.entry_text import describe_entry_event
from chimera_s1.app.utc_time import format_utc
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
    OrderEvent,
    OrderNotSent,
    OrderPlanned,
    OrderRefused,
    OrderUnknown,
    OrderUpdated,
    PositionAdopted,
)
from chimera_s1.domain.execution.order_request import (
    Limit,
    LimitMaker,
    Market,
    MarketForQuote,
    OrderRequest,
    SpotOco,
    Stop,
    StopLimit,
    TakeProfit,
    TakeProfitLimit,
)
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.printable import escape_unprintable


def describe_terms(request: OrderRequest) -> str:  # noqa: PLR0911 (one case a kind of order)
    """`LIMIT 2 at 100`: what is ordered, without side and symbol."""
    if isinstance(request, SpotOco):
        profit, stop = request.take_profit.price, request.stop.trigger
        return f"OCO {exact_text(request.qty)} at {exact_text(profit)} or {exact_text(stop)}"
    body = request.body
    match body:
        case Limit():
            return f"LIMIT {_at(body.qty, body.price)} {body.time_in_force.value}"
        case LimitMaker():
            return f"LIMIT_MAKER {_at(body.qty, body.price)}"
        case Market():
            return f"MARKET {exact_text(body.qty)}"
        case MarketForQuote():
            return f"MARKET for {exact_text(body.quote_qty)}"
        case Stop():
            return f"STOP {_at(body.qty, body.trigger)}"
        case TakeProfit():
            return f"TAKE_PROFIT {_at(body.qty, body.trigger)}"
        case StopLimit():
            return f"STOP {_at(body.qty, body.trigger)}, limit {exact_text(body.price)}"
        case TakeProfitLimit():
            return f"TAKE_PROFIT {_at(body.qty, body.trigger)}, limit {exact_text(body.price)}"
        case _:
            assert_never(body)


def describe_event(event: ExecutionEvent | UnknownEvent) -> str:
    if isinstance(event, EntryEvent):
        return escape_unprintable(describe_entry_event(event))
    match event:
        case UnknownEvent(type=kind, v=version):
            text = f"{kind} version {version}, known only to a newer chimera-s1"
        case FillRecorded(fill=fill):
            text = f"trade {fill.trade_id}: {_at(fill.qty, fill.price)}"
            if fill.commission is not None:
                text += f", commission {exact_text(fill.commission)} {fill.commission_asset}"
        case FillCompleted(key=key):
            paid = f"{exact_text(event.commission)} {event.commission_asset}"
            text = f"trade {key.trade_id}: commission {paid}"
        case FillAttributed(key=key):
            text = f"trade {key.trade_id}, recorded as foreign before, belongs to this order"
        case PositionAdopted():
            text = f"position {event.symbol}: {exact_text(event.qty)} adopted"
        case AccountBound(account=account):
            text = f"this ledger belongs to account {account}"
        case _:
            text = _describe_order_event(event)
    return escape_unprintable(text)


def _describe_order_event(event: OrderEvent) -> str:  # noqa: PLR0911 (one case a kind of event)
    match event:
        case OrderPlanned():
            entry = f", entry {event.entry_id}" if event.entry_id else ""
            return (
                f"signed, about to be sent once: {describe_terms(event.request)}{entry}; the "
                f"exchange accepts it for {event.recv_window_ms} ms from "
                f"{format_utc(event.signed_at_ms)} of its clock"
            )
        case OrderRefused():
            return f"refused by the exchange ({event.reason.value}): {event.message}"
        case OrderNotSent(cause=cause):
            return f"not sent: {cause}"
        case OrderUnknown(cause=cause):
            return f"outcome unknown, not sent again, looked up: {cause}"
        case OrderAbsent(lookups=lookups):
            return f"absent: not at the exchange in {lookups} lookups"
        case OrderUpdated():
            what = "acknowledged" if event.acknowledges else "updated"
            return f"{what}: {_state(event)}, exchange id {event.exchange_id}"
        case ChildOrderUpdated():
            return f"child {event.child_id}: {_state(event)}"
        case CancelRequested(cause=cause):
            return f"cancel signed ({cause.value})"
        case CancelRefused(message=message):
            return f"cancel refused by the exchange: {message}"
        case _:
            assert_never(event)


def _state(event: OrderUpdated | ChildOrderUpdated) -> str:
    reason = f" ({event.reason})" if event.reason else ""
    ends = f", ends {event.ends.value}" if event.ends else ""
    return f"{event.status} filled {exact_text(event.filled_qty)}{reason}{ends}, by {event.source}"


def _at(qty: Decimal, price: Decimal) -> str:
    return f"{exact_text(qty)} at {exact_text(price)}"
