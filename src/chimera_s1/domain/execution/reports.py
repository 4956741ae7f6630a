"""What the exchange says of orders, fills, positions and balances, whatever says it.

States, types and sides are the exchange's text: a new one is kept. Times are exchange epoch ms.
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.identifiers import Symbol, Venue


class ReportSource(StrEnum):
    """How we know: the reply to our request, the private stream, or a later read."""

    REPLY = "reply"
    STREAM = "stream"
    READ = "read"


class OrderReport(Struct, frozen=True, kw_only=True):
    """The state of one order. A reply to a request has no *filled_qty* to rely on.

    Attributes:
        client_id: The order's own; never the id of a cancel.
        exchange_id: `orderId`, or `algoId` of an algo order.
        price, trigger: 0 where the type has none.
        avg_price: None where it is not said.
        list_id: Of the order list that it is a leg of; else empty.
        child_id: Of the order that a triggered algo order became; else empty.
        parent_id: `algoId`, where the exchange says whose child it is; else empty.
        reason: Why it expired or was rejected, in the exchange's words; else empty.
    """

    family: OrderFamily
    symbol: Symbol
    client_id: str
    exchange_id: str
    side: str
    type: str
    status: str
    qty: Decimal
    filled_qty: Decimal
    at_ms: int
    source: ReportSource
    price: Decimal = Decimal(0)
    trigger: Decimal = Decimal(0)
    avg_price: Decimal | None = None
    time_in_force: str = ""
    position_side: str = ""
    reduce_only: bool = False
    close_position: bool = False
    list_id: str = ""
    child_id: str = ""
    parent_id: str = ""
    reason: str = ""


class LegRef(Struct, frozen=True, kw_only=True):
    client_id: str
    exchange_id: str


class OrderListReport(Struct, frozen=True, kw_only=True):
    """The state of an OCO; the orders in it have reports of their own."""

    symbol: Symbol
    client_id: str
    exchange_id: str
    status: str
    legs: tuple[LegRef, ...]
    at_ms: int
    source: ReportSource
    reason: str = ""


class FillKey(Struct, frozen=True):
    """Identifies a trade of the account. A trade between two of its own orders has one trade id in
    both of them.
    """

    venue: Venue
    symbol: Symbol
    order_id: str
    trade_id: str


class FillReport(Struct, frozen=True, kw_only=True):
    """One trade of one order.

    Attributes:
        client_id: Of the order, as the exchange says it; empty where it does not (trade history).
        commission: None where it is not said; negative is a rebate.
        maker: None where it is not said.
    """

    venue: Venue
    symbol: Symbol
    trade_id: str
    order_id: str
    client_id: str
    side: str
    qty: Decimal
    price: Decimal
    at_ms: int
    source: ReportSource
    commission: Decimal | None = None
    commission_asset: str = ""
    maker: bool | None = None
    position_side: str = ""

    @property
    def key(self) -> FillKey:
        return FillKey(self.venue, self.symbol, self.order_id, self.trade_id)


class PositionReport(Struct, frozen=True, kw_only=True):
    """*position_side* is BOTH in one-way mode; *qty* is negative if short."""

    symbol: Symbol
    position_side: str
    qty: Decimal
    entry_price: Decimal
    at_ms: int


class BalanceReport(Struct, frozen=True, kw_only=True):
    """*wallet* is SPOT or FUT. *locked* is 0 on futures, where margin is not part of a balance."""

    wallet: str
    asset: str
    free: Decimal
    locked: Decimal
    at_ms: int


AccountReport: TypeAlias = (
    OrderReport | OrderListReport | FillReport | PositionReport | BalanceReport
)
