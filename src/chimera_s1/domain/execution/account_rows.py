"""Rows of the account as other programs read them: open orders, positions, balances."""

from decimal import Decimal
from typing import Final, TypeAlias, assert_never

from msgspec import Struct

from chimera_s1.domain.execution.foreign_orders import label_of
from chimera_s1.domain.execution.order_request import (
    Hedged,
    Limit,
    LimitMaker,
    Market,
    MarketForQuote,
    OneWay,
    OrderFamily,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    PositionScope,
    SpotOco,
    SpotOrder,
    Stop,
    StopLimit,
    TakeProfit,
    TakeProfitLimit,
)
from chimera_s1.domain.execution.reports import OrderListReport, OrderReport
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.identifiers import Symbol, Venue

OURS: Final = "ours"
OCO: Final = "OCO"

ListedOrder: TypeAlias = OrderReport | OrderListReport


class OpenOrderRow(Struct, frozen=True, kw_only=True):
    """One open order of the account.

    Attributes:
        order_id: `orderId`, `algoId` or `orderListId`; empty before the acknowledgement.
        status: The exchange's text; `planned` or `unknown` before it has said one.
        qty, price, trigger: None where the order has none, or it was not said.
        ours: The ledger has the order, its list, or the algo order that it came from.
        label: `ours`, or a hint at what placed it.
        entry_id: Of the entry that an order of ours belongs to.
        at_ms: When the exchange last said that this is so; exchange epoch ms.
    """

    venue: Venue
    family: OrderFamily
    symbol: Symbol
    side: str
    type: str
    status: str
    client_id: str
    order_id: str
    qty: Decimal | None
    filled_qty: Decimal
    price: Decimal | None
    trigger: Decimal | None
    position_side: str
    reduce_only: bool
    ours: bool
    label: str
    entry_id: str
    at_ms: int


class PositionRow(Struct, frozen=True, kw_only=True):
    """A futures position that is not 0.

    Attributes:
        qty: Negative if short.
        known_qty: What the fills of the ledger give.
        at_ms: When the exchange last said that this is so; exchange epoch ms.
    """

    symbol: Symbol
    position_side: str
    qty: Decimal
    entry_price: Decimal
    known_qty: Decimal
    at_ms: int


class BalanceRow(Struct, frozen=True, kw_only=True):
    """*at_ms*: when the exchange last said that this is so; exchange epoch ms."""

    wallet: str
    asset: str
    free: Decimal
    locked: Decimal
    at_ms: int


def listed_row(report: ListedOrder, owner: TrackedOrder | None, at_ms: int) -> OpenOrderRow:
    """*owner* is the order of ours that the report is about, or whose child or leg it is about."""
    label = OURS if owner is not None else label_of(report.client_id)
    entry_id = owner.entry_id if owner is not None else ""
    if isinstance(report, OrderListReport):
        return OpenOrderRow(
            venue=Venue.SPOT,
            family=OrderFamily.SPOT_LIST,
            symbol=report.symbol,
            side="",
            type=OCO,
            status=report.status,
            client_id=report.client_id,
            order_id=report.exchange_id,
            qty=None,
            filled_qty=Decimal(0),
            price=None,
            trigger=None,
            position_side="",
            reduce_only=False,
            ours=owner is not None,
            label=label,
            entry_id=entry_id,
            at_ms=at_ms,
        )
    return OpenOrderRow(
        venue=report.family.venue,
        family=report.family,
        symbol=report.symbol,
        side=report.side,
        type=report.type,
        status=report.status,
        client_id=report.client_id,
        order_id=report.exchange_id,
        qty=report.qty,
        filled_qty=report.filled_qty,
        price=report.price or None,
        trigger=report.trigger or None,
        position_side=report.position_side,
        reduce_only=report.reduce_only,
        ours=owner is not None,
        label=label,
        entry_id=entry_id,
        at_ms=at_ms,
    )


def tracked_row(order: TrackedOrder) -> OpenOrderRow:
    """An order of ours that the exchange has not listed yet."""
    request = order.request
    name, qty, price, trigger = _terms(request)
    reduce_only, position_side = _scope(request)
    return OpenOrderRow(
        venue=order.venue,
        family=order.family,
        symbol=request.symbol,
        side=request.side.value,
        type=name,
        status=order.status or order.phase.value,
        client_id=order.client_id,
        order_id=order.exchange_id,
        qty=qty,
        filled_qty=order.filled_qty,
        price=price,
        trigger=trigger,
        position_side=position_side,
        reduce_only=reduce_only,
        ours=True,
        label=OURS,
        entry_id=order.entry_id,
        at_ms=order.at_ms or order.signed_at_ms,
    )


_Terms: TypeAlias = tuple[str, Decimal | None, Decimal | None, Decimal | None]
"""Type, quantity, price, trigger."""


def _terms(request: OrderRequest) -> _Terms:  # noqa: PLR0911 (one for each type)
    """The type is the exchange's name."""
    if isinstance(request, SpotOco):
        return OCO, request.qty, request.take_profit.price, request.stop.trigger
    spot = isinstance(request, SpotOrder)
    match request.body:
        case Limit(qty=qty, price=price):
            return "LIMIT", qty, price, None
        case LimitMaker(qty=qty, price=price):
            return "LIMIT_MAKER", qty, price, None
        case Market(qty=qty):
            return "MARKET", qty, None, None
        case MarketForQuote():
            return "MARKET", None, None, None
        case Stop(qty=qty, trigger=trigger):
            return "STOP_LOSS" if spot else "STOP_MARKET", qty, None, trigger
        case StopLimit(qty=qty, trigger=trigger, price=price):
            return "STOP_LOSS_LIMIT" if spot else "STOP", qty, price, trigger
        case TakeProfit(qty=qty, trigger=trigger):
            return "TAKE_PROFIT" if spot else "TAKE_PROFIT_MARKET", qty, None, trigger
        case TakeProfitLimit(qty=qty, trigger=trigger, price=price):
            return "TAKE_PROFIT_LIMIT" if spot else "TAKE_PROFIT", qty, price, trigger
        case _:
            assert_never(request.body)


def _scope(request: OrderRequest) -> tuple[bool, str]:
    """Whether it is reduce-only, and the side of the position."""
    if not isinstance(request, PerpOrder | PerpAlgoOrder):
        return False, ""
    scope: PositionScope = request.scope
    match scope:
        case OneWay(reduce_only=reduce_only):
            return reduce_only, "BOTH"
        case Hedged(position_side=position_side):
            return False, position_side.value
        case _:
            assert_never(scope)
