"""Futures orders, algo orders, trades, positions and balances as REST replies show them.

Sources: USD-M "New Order", "Query Order", "New Algo Order", "Query Algo Order", "Account Trade
List", "Position Information V3", "Futures Account Balance V3".
"""

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.orders.row_fields import id_text, number
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.order_status import ACKNOWLEDGED
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    OrderReport,
    PositionReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Venue, parse_symbol


class OrderRow(Struct, frozen=True, rename="camel"):
    """Replies to requests have no *avg_price* since 2026-06-30."""

    symbol: str
    order_id: int
    client_order_id: str
    status: str
    side: str
    type: str
    update_time: int
    orig_qty: str
    executed_qty: str
    price: str = ""
    stop_price: str = ""
    avg_price: str = ""
    time_in_force: str = ""
    position_side: str = ""
    reduce_only: bool = False
    close_position: bool = False


class AlgoRow(Struct, frozen=True, rename="camel"):
    """Attributes:
    actual_order_id: Of the order that it became; empty until it triggers.
    actual_qty: What that order has filled; not in every reply.
    """

    symbol: str
    algo_id: int
    client_algo_id: str
    side: str
    order_type: str
    quantity: str | None = None
    algo_status: str = ACKNOWLEDGED
    trigger_price: str = ""
    price: str = ""
    time_in_force: str = ""
    position_side: str = ""
    reduce_only: bool = False
    close_position: bool = False
    create_time: int = 0
    update_time: int = 0
    actual_order_id: str | int | None = None
    actual_price: str | None = None
    actual_qty: str | None = None


class _Trade(Struct, frozen=True, rename="camel"):
    symbol: str
    id: int
    order_id: int
    side: str
    price: str
    qty: str
    commission: str
    commission_asset: str
    time: int
    maker: bool
    position_side: str = ""


class _Position(Struct, frozen=True, rename="camel"):
    symbol: str
    position_side: str
    position_amt: str
    entry_price: str


class _Balance(Struct, frozen=True):
    asset: str
    balance: str


def order_report(row: OrderRow, source: ReportSource) -> OrderReport:
    return OrderReport(
        family=OrderFamily.PERP_ORDER,
        symbol=parse_symbol(row.symbol),
        client_id=row.client_order_id,
        exchange_id=id_text(row.order_id),
        side=row.side,
        type=row.type,
        status=row.status,
        qty=number("origQty", row.orig_qty),
        filled_qty=number("executedQty", row.executed_qty),
        at_ms=row.update_time,
        source=source,
        price=number("price", row.price),
        trigger=number("stopPrice", row.stop_price),
        avg_price=number("avgPrice", row.avg_price) or None,
        time_in_force=row.time_in_force,
        position_side=row.position_side,
        reduce_only=row.reduce_only,
        close_position=row.close_position,
    )


def algo_report(row: AlgoRow, source: ReportSource) -> OrderReport:
    child = str(row.actual_order_id or "")
    return OrderReport(
        family=OrderFamily.PERP_ALGO,
        symbol=parse_symbol(row.symbol),
        client_id=row.client_algo_id,
        exchange_id=id_text(row.algo_id),
        side=row.side,
        type=row.order_type,
        status=row.algo_status,
        qty=number("quantity", row.quantity or ""),
        filled_qty=number("actualQty", row.actual_qty or ""),
        at_ms=row.update_time or row.create_time,
        source=source,
        price=number("price", row.price),
        trigger=number("triggerPrice", row.trigger_price),
        avg_price=number("actualPrice", row.actual_price or "") or None,
        time_in_force=row.time_in_force,
        position_side=row.position_side,
        reduce_only=row.reduce_only,
        close_position=row.close_position,
        child_id="" if child == "0" else child,
    )


def read_order(raw: Raw) -> OrderReport:
    return order_report(msgspec.json.decode(raw, type=OrderRow), ReportSource.READ)


def read_algo(raw: Raw) -> OrderReport:
    return algo_report(msgspec.json.decode(raw, type=AlgoRow), ReportSource.READ)


def read_trade(raw: Raw) -> FillReport:
    row = msgspec.json.decode(raw, type=_Trade)
    return FillReport(
        venue=Venue.PERP,
        symbol=parse_symbol(row.symbol),
        trade_id=str(row.id),
        order_id=str(row.order_id),
        client_id="",
        side=row.side,
        qty=number("qty", row.qty),
        price=number("price", row.price),
        at_ms=row.time,
        source=ReportSource.READ,
        commission=number("commission", row.commission),
        commission_asset=row.commission_asset,
        maker=row.maker,
        position_side=row.position_side,
    )


def read_position(raw: Raw, at_ms: int) -> PositionReport:
    row = msgspec.json.decode(raw, type=_Position)
    return PositionReport(
        symbol=parse_symbol(row.symbol),
        position_side=row.position_side,
        qty=number("positionAmt", row.position_amt),
        entry_price=number("entryPrice", row.entry_price),
        at_ms=at_ms,
    )


def read_balance(raw: Raw, at_ms: int) -> BalanceReport:
    row = msgspec.json.decode(raw, type=_Balance)
    return BalanceReport(
        wallet="FUT",
        asset=row.asset,
        free=number("balance", row.balance),
        locked=number("locked", ""),
        at_ms=at_ms,
    )
