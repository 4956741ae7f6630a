"""Spot orders, order lists and trades as REST replies show them.

Sources: SPOT rest-api.md "New order", "Query order", "Cancel order", "Query Order list", "Account
trade list". Words of Binance stay as they are; a number that is not one is an error.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.orders.row_fields import average, id_text, number
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.order_status import ACKNOWLEDGED
from chimera_s1.domain.execution.reports import (
    BalanceReport,
    FillReport,
    LegRef,
    OrderListReport,
    OrderReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Venue, parse_symbol


class _Fill(Struct, frozen=True, rename="camel"):
    """Of a FULL reply."""

    price: str
    qty: str
    trade_id: int
    commission: str
    commission_asset: str


class OrderRow(Struct, frozen=True, rename="camel"):
    """An ACK reply stops after *transact_time*; then the order is NEW.

    Attributes:
        orig_client_order_id: In the reply to a cancel the order's id, and *client_order_id* is the
            id of the cancel.
    """

    symbol: str
    order_id: int
    client_order_id: str
    order_list_id: int = -1
    orig_client_order_id: str = ""
    transact_time: int = 0
    update_time: int = 0
    time: int = 0
    price: str = ""
    orig_qty: str = ""
    executed_qty: str = ""
    cummulative_quote_qty: str = ""
    status: str = ACKNOWLEDGED
    time_in_force: str = ""
    type: str = ""
    side: str = ""
    stop_price: str = ""
    expiry_reason: str = ""
    fills: tuple[_Fill, ...] = ()

    @property
    def at_ms(self) -> int:
        return self.transact_time or self.update_time or self.time

    @property
    def own_client_id(self) -> str:
        return self.orig_client_order_id or self.client_order_id


class _Leg(Struct, frozen=True, rename="camel"):
    order_id: int
    client_order_id: str


class OrderListRow(Struct, frozen=True, rename="camel"):
    symbol: str
    order_list_id: int
    list_client_order_id: str
    list_order_status: str
    transaction_time: int
    orders: tuple[_Leg, ...]
    order_reports: tuple[OrderRow, ...] = ()


class _Trade(Struct, frozen=True, rename="camel"):
    symbol: str
    id: int
    order_id: int
    price: str
    qty: str
    commission: str
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class _Balance(Struct, frozen=True):
    asset: str
    free: str
    locked: str


def order_report(row: OrderRow, source: ReportSource) -> OrderReport:
    executed = number("executedQty", row.executed_qty)
    return OrderReport(
        family=OrderFamily.SPOT_ORDER,
        symbol=parse_symbol(row.symbol),
        client_id=row.own_client_id,
        exchange_id=id_text(row.order_id),
        side=row.side,
        type=row.type,
        status=row.status,
        qty=number("origQty", row.orig_qty),
        filled_qty=executed,
        at_ms=row.at_ms,
        source=source,
        price=number("price", row.price),
        trigger=number("stopPrice", row.stop_price),
        avg_price=average(number("cummulativeQuoteQty", row.cummulative_quote_qty), executed),
        time_in_force=row.time_in_force,
        list_id=id_text(row.order_list_id),
        reason=row.expiry_reason,
    )


def list_report(row: OrderListRow, source: ReportSource) -> OrderListReport:
    return OrderListReport(
        symbol=parse_symbol(row.symbol),
        client_id=row.list_client_order_id,
        exchange_id=id_text(row.order_list_id),
        status=row.list_order_status,
        legs=tuple(
            LegRef(client_id=leg.client_order_id, exchange_id=id_text(leg.order_id))
            for leg in row.orders
        ),
        at_ms=row.transaction_time,
        source=source,
    )


def fills_of_reply(row: OrderRow) -> Iterator[FillReport]:
    for fill in row.fills:
        yield FillReport(
            venue=Venue.SPOT,
            symbol=parse_symbol(row.symbol),
            trade_id=str(fill.trade_id),
            order_id=id_text(row.order_id),
            client_id=row.own_client_id,
            side=row.side,
            qty=number("qty", fill.qty),
            price=number("price", fill.price),
            at_ms=row.at_ms,
            source=ReportSource.REPLY,
            commission=number("commission", fill.commission),
            commission_asset=fill.commission_asset,
            maker=False,  # an order that fills as it arrives takes
        )


def read_order(raw: Raw) -> OrderReport:
    return order_report(msgspec.json.decode(raw, type=OrderRow), ReportSource.READ)


def read_list(raw: Raw) -> OrderListReport:
    return list_report(msgspec.json.decode(raw, type=OrderListRow), ReportSource.READ)


def read_trade(raw: Raw) -> FillReport:
    row = msgspec.json.decode(raw, type=_Trade)
    return FillReport(
        venue=Venue.SPOT,
        symbol=parse_symbol(row.symbol),
        trade_id=str(row.id),
        order_id=str(row.order_id),
        client_id="",
        side="BUY" if row.is_buyer else "SELL",
        qty=number("qty", row.qty),
        price=number("price", row.price),
        at_ms=row.time,
        source=ReportSource.READ,
        commission=number("commission", row.commission),
        commission_asset=row.commission_asset,
        maker=row.is_maker,
    )


def read_balance(raw: Raw, at_ms: int) -> BalanceReport:
    row = msgspec.json.decode(raw, type=_Balance)
    return BalanceReport(
        wallet="SPOT",
        asset=row.asset,
        free=number("free", row.free),
        locked=number("locked", row.locked),
        at_ms=at_ms,
    )
