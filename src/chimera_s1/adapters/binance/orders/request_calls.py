"""What each request of orders and of the account spends: weights of Binance, spot and USD-M.

Only what places and cancels is MONEY. Reads leave a reserve to it, and are passed by it: else many
queries, or a private stream that is interrupted again and again, would turn stops away.
"""

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
_READ_WAIT_MS = 5_000.0

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


def _read(
    charges: tuple[Charge, ...], caller: str = _READ, priority: Priority = Priority.PROBE
) -> RequestCall:
    return RequestCall(caller, priority, charges, patience_ms=_READ_WAIT_MS)


FIND = {Venue.SPOT: _read(spot_weight(4), _FIND), Venue.PERP: _read(futures_weight(1), _FIND)}

SPOT_OPEN_ORDERS = _read(spot_weight(80))
SPOT_OPEN_LISTS = _read(spot_weight(6))
PERP_OPEN_ORDERS = _read(futures_weight(40))
SPOT_ACCOUNT = _read(spot_weight(20))
PERP_ACCOUNT = _read(futures_weight(5))
# Of many symbols at once. On spot they are dear, and leave more room than the reads that one order
# waits for. On futures those of eight symbols cost as much as one listing of open orders.
TRADES = {
    Venue.SPOT: _read(spot_weight(20), priority=Priority.BACKFILL),
    Venue.PERP: _read(futures_weight(5)),
}
TRADES_OF_ORDER = {Venue.SPOT: _read(spot_weight(5)), Venue.PERP: _read(futures_weight(5))}
KEY_PERMISSIONS = _read(sapi_ip_weight(1))
