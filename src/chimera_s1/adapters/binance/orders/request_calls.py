"""What each request of orders and of the account spends: weights of Binance, spot and USD-M."""

from chimera_s1.adapters.binance.http.request_limits import (
    SPOT_ORDERS_1D,
    SPOT_ORDERS_10S,
    futures_order,
    futures_weight,
    sapi_ip_weight,
    spot_order,
    spot_weight,
)
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import Charge, RequestCall

_PLACE, _CANCEL, _FIND, _READ = "orders.place", "orders.cancel", "orders.find", "orders.account"
_MONEY = Priority.MONEY

# Signed already, and the timestamp ages: what finds no room is turned away at once.
PLACE = {
    OrderFamily.SPOT_ORDER: RequestCall(_PLACE, _MONEY, spot_order(), patience_ms=0),
    # Each leg counts as an order.
    OrderFamily.SPOT_LIST: RequestCall(
        _PLACE,
        _MONEY,
        (*spot_weight(1), Charge(SPOT_ORDERS_10S, 2), Charge(SPOT_ORDERS_1D, 2)),
        patience_ms=0,
    ),
    OrderFamily.PERP_ORDER: RequestCall(_PLACE, _MONEY, futures_order(), patience_ms=0),
    OrderFamily.PERP_ALGO: RequestCall(_PLACE, _MONEY, futures_order(), patience_ms=0),
}
CANCEL = {
    Venue.SPOT: RequestCall(_CANCEL, _MONEY, spot_weight(1), patience_ms=0),
    Venue.PERP: RequestCall(_CANCEL, _MONEY, futures_weight(1), patience_ms=0),
}
FIND = {
    Venue.SPOT: RequestCall(_FIND, _MONEY, spot_weight(4)),
    Venue.PERP: RequestCall(_FIND, _MONEY, futures_weight(1)),
}

SPOT_OPEN_ORDERS = RequestCall(_READ, _MONEY, spot_weight(80))
SPOT_OPEN_LISTS = RequestCall(_READ, _MONEY, spot_weight(6))
PERP_OPEN_ORDERS = RequestCall(_READ, _MONEY, futures_weight(40))
SPOT_ACCOUNT = RequestCall(_READ, _MONEY, spot_weight(20))
PERP_ACCOUNT = RequestCall(_READ, _MONEY, futures_weight(5))
TRADES = {
    Venue.SPOT: RequestCall(_READ, _MONEY, spot_weight(20)),
    Venue.PERP: RequestCall(_READ, _MONEY, futures_weight(5)),
}
TRADES_OF_ORDER = {
    Venue.SPOT: RequestCall(_READ, _MONEY, spot_weight(5)),
    Venue.PERP: RequestCall(_READ, _MONEY, futures_weight(5)),
}
KEY_PERMISSIONS = RequestCall(_READ, _MONEY, sapi_ip_weight(1))
