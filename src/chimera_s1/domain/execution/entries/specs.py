"""What a caller asks for: an entry on futures or on spot, with its protection."""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.order_request import (
    Hedged,
    HedgeSide,
    OneWay,
    PositionScope,
    Side,
    WorkingType,
)
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue


class OnUnprotected(StrEnum):
    """What follows when a filled quantity cannot be protected. An alarm always does."""

    CLOSE = "close"
    ALARM = "alarm"


class FuturesEntrySpec(Struct, frozen=True, kw_only=True, tag="futures"):
    """A post-only limit order, and a stop for what it fills.

    Attributes:
        timeout_ms: The rest is cancelled so long after the exchange acknowledged the order.
        position_side: Of an account in hedge mode; None in one-way mode.
    """

    symbol: Symbol
    side: Side
    qty: Decimal
    limit_price: Decimal
    stop_price: Decimal
    timeout_ms: int
    position_side: HedgeSide | None = None
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    on_unprotected: OnUnprotected = OnUnprotected.CLOSE

    @property
    def instrument(self) -> InstrumentId:
        return InstrumentId(Venue.PERP, self.symbol)

    @property
    def opening_scope(self) -> PositionScope:
        if self.position_side is None:
            return OneWay(reduce_only=False)
        return Hedged(position_side=self.position_side)

    @property
    def closing_scope(self) -> PositionScope:
        """Of an order that can only reduce the position, in either position mode."""
        if self.position_side is None:
            return OneWay(reduce_only=True)
        return Hedged(position_side=self.position_side)


class BaseQty(Struct, frozen=True, kw_only=True, tag="base"):
    qty: Decimal


class QuoteAmount(Struct, frozen=True, kw_only=True, tag="quote"):
    usdt: Decimal


SpotAmount: TypeAlias = BaseQty | QuoteAmount


class SpotEntrySpec(Struct, frozen=True, kw_only=True, tag="spot"):
    """A market order, and an OCO of take profit and stop that ends what it has opened."""

    symbol: Symbol
    side: Side
    amount: SpotAmount
    tp_price: Decimal
    sl_trigger_price: Decimal

    @property
    def instrument(self) -> InstrumentId:
        return InstrumentId(Venue.SPOT, self.symbol)


EntrySpec: TypeAlias = FuturesEntrySpec | SpotEntrySpec


def exit_side(side: Side) -> Side:
    """Of the orders that end what an entry of *side* has opened."""
    return Side.SELL if side is Side.BUY else Side.BUY
