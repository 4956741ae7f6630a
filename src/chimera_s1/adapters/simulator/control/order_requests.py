"""Bodies of the control plane's requests about orders, prices and the matching."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chimera_s1.adapters.simulator.matching.behaviour import MatchingBehaviour
from chimera_s1.adapters.simulator.matching.new_orders import (
    NewAlgoOrder,
    NewOco,
    NewPerpOrder,
    NewSpotOrder,
    OcoLeg,
)
from chimera_s1.adapters.simulator.matching.records import Origin
from chimera_s1.domain.identifiers import Venue

_BPS = Decimal(10_000)
_LIMIT = 10**9
ALGO_TYPES = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"})
ORDER_HELP = (
    "venue: spot or perp; symbol, side, type, and what the type needs of qty, quote_qty, price, "
    "stop_price, time_in_force, client_id, position_side, reduce_only; "
    "an OCO: venue, symbol, side, qty, above, below, each {type, price, stop_price}"
)
CANCEL_HELP = "venue: spot or perp; symbol; order_id or client_id; algo: true or false"
PRICE_HELP = "venue: spot or perp; symbol; price, or move_bps: hundredths of a percent"
ASSET_HELP = "venue: spot or perp; asset; free: an amount from 0"
MATCHING_HELP = (
    "query_lag_ms: whole number from 0; gtx_expires, algo_event_first, child_takes_client_id, "
    "pays_in_bnb, reduce_only_algos_expire: true or false; duplicate_algo_code: whole number; "
    "price_range: part of the price; liquidity: part of each level, 0 to 1"
)


class LegRequest(Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    client_id: str = ""
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None

    def leg(self) -> OcoLeg:
        return OcoLeg(**msgspec.structs.asdict(self))


class OrderRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /sim/orders`; *above* and *below* make it an OCO."""

    venue: Venue
    symbol: str
    side: str
    type: str = ""
    client_id: str = ""
    qty: Decimal | None = None
    quote_qty: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None
    position_side: str | None = None
    reduce_only: bool | None = None
    working_type: str = "CONTRACT_PRICE"
    above: LegRequest | None = None
    below: LegRequest | None = None

    def __post_init__(self) -> None:
        if (self.above is None) != (self.below is None):
            raise ValueError("an OCO needs above and below")
        if self.above is None and not self.type:
            raise ValueError("type is missing")
        if self.above is not None and (self.qty is None or self.venue is not Venue.SPOT):
            raise ValueError("an OCO needs the venue spot, and qty")

    def order(self) -> NewSpotOrder | NewOco | NewPerpOrder | NewAlgoOrder:
        """The same request, as if from the web site."""
        if self.above is not None and self.below is not None and self.qty is not None:
            fields = _fields(self, "symbol side client_id qty")
            return NewOco(above=self.above.leg(), below=self.below.leg(), **fields)
        if self.venue is Venue.SPOT:
            names = "symbol side type client_id qty quote_qty price stop_price time_in_force"
            return NewSpotOrder(**_fields(self, names))
        names = "symbol side type client_id qty price time_in_force position_side reduce_only"
        if self.type in ALGO_TYPES:
            fields = _fields(self, f"{names} working_type")
            return NewAlgoOrder(trigger=self.stop_price, **fields)
        return NewPerpOrder(**_fields(self, names))


class CancelRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/orders/cancel`; *algo*: *order_id* and *client_id* name an algo order."""

    venue: Venue
    symbol: str
    order_id: int | None = None
    client_id: str | None = None
    algo: bool = False

    def __post_init__(self) -> None:
        if (self.order_id is None) == (self.client_id is None):
            raise ValueError("write order_id or client_id")


class PriceRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/price`: where the last price goes."""

    venue: Venue
    symbol: str
    price: Decimal | None = None
    move_bps: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.price is None) == (self.move_bps is None):
            raise ValueError("write either price or move_bps")
        for value in (self.price, self.move_bps):
            if value is not None and not (value.is_finite() and abs(value) < _LIMIT):
                raise ValueError(f"{value} is no price; write a number below {_LIMIT}")

    def target(self, last: Decimal) -> Decimal:
        if self.price is not None:
            return self.price
        return last * (1 + (self.move_bps or Decimal(0)) / _BPS)


class AssetRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/assets`: as if by a deposit or a withdrawal."""

    venue: Venue
    asset: str
    free: Decimal

    def __post_init__(self) -> None:
        if not self.free.is_finite() or self.free < 0:
            raise ValueError(f"free: {self.free} is not an amount; write 0 or more")


class MatchingRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/matching`; a missing field changes nothing."""

    query_lag_ms: Annotated[int, Meta(ge=0, le=86_400_000)] | UnsetType = UNSET
    gtx_expires: bool | UnsetType = UNSET
    algo_event_first: bool | UnsetType = UNSET
    child_takes_client_id: bool | UnsetType = UNSET
    pays_in_bnb: bool | UnsetType = UNSET
    reduce_only_algos_expire: bool | UnsetType = UNSET
    duplicate_algo_code: int | UnsetType = UNSET
    price_range: Decimal | UnsetType = UNSET
    liquidity: Decimal | UnsetType = UNSET

    def __post_init__(self) -> None:
        for name in ("price_range", "liquidity"):
            value = getattr(self, name)
            if value is not UNSET and not (value.is_finite() and 0 <= value <= 1):
                raise ValueError(f"{name}: {value} is not a part; write 0 to 1")

    def changed(self, behaviour: MatchingBehaviour) -> MatchingBehaviour:
        values = msgspec.structs.asdict(self)
        given = {name: value for name, value in values.items() if value is not UNSET}
        return msgspec.structs.replace(behaviour, **given)


def _fields(request: OrderRequest, names: str) -> dict[str, Any]:
    return {"origin": Origin.OTHER} | {name: getattr(request, name) for name in names.split()}
