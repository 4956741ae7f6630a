"""The orders that this service can place, one shape for each that an exchange accepts.

Prices and quantities are exact and already checked against the instrument's rules. Client ids are
ours: see `client_ids`. Sources: Binance, SPOT rest-api.md "New order", "New Order list - OCO";
USD-M "New Order", "New Algo Order".
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol, Venue


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class TimeInForce(StrEnum):
    """GTX is post-only, and exists on futures only."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class HedgeSide(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"


class WorkingType(StrEnum):
    """Which price triggers a conditional order."""

    CONTRACT_PRICE = "CONTRACT_PRICE"
    MARK_PRICE = "MARK_PRICE"


class Limit(Struct, frozen=True, kw_only=True, tag="limit"):
    qty: Decimal
    price: Decimal
    time_in_force: TimeInForce


class LimitMaker(Struct, frozen=True, kw_only=True, tag="limit_maker"):
    """Spot's post-only order."""

    qty: Decimal
    price: Decimal


class Market(Struct, frozen=True, kw_only=True, tag="market"):
    qty: Decimal


class MarketForQuote(Struct, frozen=True, kw_only=True, tag="market_for_quote"):
    """Spot: buys or sells for *quote_qty* of the quote asset."""

    quote_qty: Decimal


class Stop(Struct, frozen=True, kw_only=True, tag="stop"):
    """A market order once the price has moved against the position as far as *trigger*."""

    qty: Decimal
    trigger: Decimal


class StopLimit(Struct, frozen=True, kw_only=True, tag="stop_limit"):
    """As `Stop`, but a limit order, which may not fill."""

    qty: Decimal
    trigger: Decimal
    price: Decimal
    time_in_force: TimeInForce


class TakeProfit(Struct, frozen=True, kw_only=True, tag="take_profit"):
    """A market order once the price has moved in favour of the position as far as *trigger*."""

    qty: Decimal
    trigger: Decimal


class TakeProfitLimit(Struct, frozen=True, kw_only=True, tag="take_profit_limit"):
    qty: Decimal
    trigger: Decimal
    price: Decimal
    time_in_force: TimeInForce


SpotBody: TypeAlias = (
    Limit | LimitMaker | Market | MarketForQuote | Stop | StopLimit | TakeProfit | TakeProfitLimit
)
PerpBody: TypeAlias = Limit | Market
AlgoBody: TypeAlias = Stop | StopLimit | TakeProfit | TakeProfitLimit


class OneWay(Struct, frozen=True, kw_only=True, tag="one_way"):
    """Of an account in one-way mode."""

    reduce_only: bool


class Hedged(Struct, frozen=True, kw_only=True, tag="hedged"):
    """Of an account in hedge mode, where the side of the position says whether it is reduced."""

    position_side: HedgeSide


PositionScope: TypeAlias = OneWay | Hedged


class SpotOrder(Struct, frozen=True, kw_only=True, tag="spot.order"):
    client_id: str
    symbol: Symbol
    side: Side
    body: SpotBody


class OcoTakeProfit(Struct, frozen=True, kw_only=True):
    """A LIMIT_MAKER leg."""

    client_id: str
    price: Decimal


class OcoStop(Struct, frozen=True, kw_only=True):
    """A STOP_LOSS leg; STOP_LOSS_LIMIT where there is a *limit*."""

    client_id: str
    trigger: Decimal
    limit: Decimal | None = None


class SpotOco(Struct, frozen=True, kw_only=True, tag="spot.oco"):
    """One leg cancels the other. *client_id* is the list's."""

    client_id: str
    symbol: Symbol
    side: Side
    qty: Decimal
    take_profit: OcoTakeProfit
    stop: OcoStop


class PerpOrder(Struct, frozen=True, kw_only=True, tag="perp.order"):
    client_id: str
    symbol: Symbol
    side: Side
    scope: PositionScope
    body: PerpBody


class PerpAlgoOrder(Struct, frozen=True, kw_only=True, tag="perp.algo"):
    """A conditional order. It always has a quantity: `closePosition` excludes a second stop in the
    same direction (-4130), and needs a position that is already visible (-4509).
    """

    client_id: str
    symbol: Symbol
    side: Side
    scope: PositionScope
    working_type: WorkingType
    body: AlgoBody


OrderRequest: TypeAlias = SpotOrder | SpotOco | PerpOrder | PerpAlgoOrder


class OrderFamily(StrEnum):
    """Which endpoint knows the order: an algo order is unknown among normal orders (-2013)."""

    SPOT_ORDER = "spot.order"
    SPOT_LIST = "spot.oco"
    PERP_ORDER = "perp.order"
    PERP_ALGO = "perp.algo"

    @property
    def venue(self) -> Venue:
        return Venue.SPOT if self in {self.SPOT_ORDER, self.SPOT_LIST} else Venue.PERP


class OrderRef(Struct, frozen=True, kw_only=True):
    """An order at the exchange, by our id, or by the exchange's where *exchange_id* is not empty.

    A client id that was used again finds the newest order only; the exchange's id is unique for a
    symbol.
    """

    family: OrderFamily
    symbol: Symbol
    client_id: str
    exchange_id: str = ""


def family_of(request: OrderRequest) -> OrderFamily:
    return OrderFamily(str(request.__struct_config__.tag))


def ref_of(request: OrderRequest) -> OrderRef:
    return OrderRef(family=family_of(request), symbol=request.symbol, client_id=request.client_id)
