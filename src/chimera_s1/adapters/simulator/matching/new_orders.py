"""Orders as they are requested. None means that the parameter was not sent.

Values are the request's own: the desks refuse what Binance refuses.
"""

from decimal import Decimal

from msgspec import Struct

from chimera_s1.adapters.simulator.matching.records import Origin


class NewSpotOrder(Struct, frozen=True, kw_only=True):
    """`POST /api/v3/order`; an empty *client_id* lets the exchange make one."""

    symbol: str
    side: str
    type: str
    client_id: str = ""
    qty: Decimal | None = None
    quote_qty: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None
    stp_mode: str = "EXPIRE_MAKER"
    origin: Origin = Origin.API


class OcoLeg(Struct, frozen=True, kw_only=True):
    type: str
    client_id: str = ""
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None


class NewOco(Struct, frozen=True, kw_only=True):
    """`POST /api/v3/orderList/oco`."""

    symbol: str
    side: str
    qty: Decimal
    above: OcoLeg
    below: OcoLeg
    client_id: str = ""
    stp_mode: str = "EXPIRE_MAKER"
    origin: Origin = Origin.API


class NewPerpOrder(Struct, frozen=True, kw_only=True):
    """`POST /fapi/v1/order`."""

    symbol: str
    side: str
    type: str
    client_id: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    time_in_force: str | None = None
    position_side: str | None = None
    reduce_only: bool | None = None
    stp_mode: str = "EXPIRE_MAKER"
    good_till_ms: int | None = None
    origin: Origin = Origin.API


class NewAlgoOrder(Struct, frozen=True, kw_only=True):
    """`POST /fapi/v1/algoOrder` with `algoType=CONDITIONAL`."""

    symbol: str
    side: str
    type: str
    client_id: str = ""
    qty: Decimal | None = None
    trigger: Decimal | None = None
    price: Decimal | None = None
    time_in_force: str | None = None
    position_side: str | None = None
    reduce_only: bool | None = None
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    stp_mode: str = "EXPIRE_MAKER"
    origin: Origin = Origin.API
