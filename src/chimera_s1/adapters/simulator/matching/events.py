"""What a desk tells its listeners, in the order in which it happened; the user streams send it."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.adapters.simulator.matching.records import (
    AlgoOrder,
    Balance,
    Order,
    OrderList,
    Position,
    Trade,
)


class OrderEvent(Struct, frozen=True, kw_only=True):
    """*execution* is Binance's `x`: NEW, TRADE, CANCELED, EXPIRED, TRADE_PREVENTION, CALCULATED.

    *number* grows with every event of a desk: spot's `I`.
    """

    order: Order
    execution: str
    number: int
    at_ms: int
    trade: Trade | None = None


class ListEvent(Struct, frozen=True, kw_only=True):
    order_list: OrderList
    at_ms: int


class AlgoEvent(Struct, frozen=True, kw_only=True):
    algo: AlgoOrder
    at_ms: int


class BalanceEvent(Struct, frozen=True, kw_only=True):
    """Spot: the balances that changed, as they are now."""

    balances: tuple[Balance, ...]
    at_ms: int


class AccountEvent(Struct, frozen=True, kw_only=True):
    """Futures: the balances and positions that changed, as they are now.

    *reason* is Binance's `m`; *change* is what came in or went out besides profit and commission.
    """

    reason: str
    balances: tuple[Balance, ...]
    positions: tuple[Position, ...]
    at_ms: int
    change: Decimal = Decimal(0)


class ConfigEvent(Struct, frozen=True, kw_only=True):
    """Futures: a setting changed, the leverage of *symbol*, or multi-assets mode."""

    at_ms: int
    symbol: str = ""
    leverage: int = 0
    multi_assets: bool | None = None


SpotEvent: TypeAlias = OrderEvent | ListEvent | BalanceEvent
PerpEvent: TypeAlias = OrderEvent | AlgoEvent | AccountEvent | ConfigEvent
SpotListener: TypeAlias = Callable[[SpotEvent], None]
PerpListener: TypeAlias = Callable[[PerpEvent], None]
