"""Spot orders: place, test, query, cancel.

SPOT rest-api.md "Trading endpoints" and "Account endpoints".
"""

from aiohttp import web

from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.matching.records import Order
from chimera_s1.adapters.simulator.matching.spot_desk import SpotDesk
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import required
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight, weight_by_symbol
from chimera_s1.adapters.simulator.rest.spot_account import (
    COMMISSION_RATES,
    DISCOUNT,
    NO_COMMISSION,
)
from chimera_s1.adapters.simulator.rest.spot_order_parameters import (
    Parameters,
    bad_combination,
    check_names,
    client_id,
    day_at_most,
    exchange_id,
    flag,
    named_by,
    new_order,
    response_type,
    row_limit,
)
from chimera_s1.adapters.simulator.rest.spot_order_replies import (
    Reply,
    canceled_list,
    cancelled,
    placed,
    queried,
)

_ORDER, _OPEN = "/api/v3/order", "/api/v3/openOrders"
_NAMED = frozenset({"symbol", "orderId", "origClientOrderId"})
_CANCEL = _NAMED | {"newClientOrderId", "cancelRestrictions"}
_RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
_ALL = frozenset({"symbol", "orderId", "startTime", "endTime", "limit"})
_FULL_BY_DEFAULT = frozenset({"MARKET", "LIMIT"})


class SpotOrderRoutes:
    def __init__(self, desk: SpotDesk, authenticator: Authenticator) -> None:
        self._desk = desk
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        free, orders = fixed_weight(0), Bucket.SPOT_ORDERS_10S
        return [
            Route("POST", _ORDER, self._place, fixed_weight(1), orders, refused_weight=1),
            Route("POST", f"{_ORDER}/test", self._test, _test_weight),
            Route("GET", _ORDER, self._find, fixed_weight(4)),
            Route("DELETE", _ORDER, self._cancel, free, refused_weight=1),
            Route("GET", _OPEN, self._open, weight_by_symbol(6, 80)),
            Route("DELETE", _OPEN, self._cancel_all, free, refused_weight=1),
            Route("GET", "/api/v3/allOrders", self._all, fixed_weight(20)),
        ]

    async def _place(self, request: web.Request) -> Reply:
        parameters = await self._authenticator.authenticate_trader(request)
        new = new_order(parameters)
        default = "FULL" if new.type in _FULL_BY_DEFAULT else "ACK"
        response = response_type(parameters, default)
        order = self._desk.place(new)
        trades = self._desk.orders.trades() if order.filled_qty else []
        key = (order.symbol, order.order_id)
        own = [each for each in trades if (each.symbol, each.order_id) == key]
        return placed(order, own, response)

    async def _test(self, request: web.Request) -> Reply:
        parameters = await self._authenticator.authenticate_trader(request)
        self._desk.check(new_order(parameters))
        if not flag(parameters, "computeCommissionRates"):
            return {}
        rates = {"maker": COMMISSION_RATES["maker"], "taker": COMMISSION_RATES["taker"]}
        nothing = {"maker": NO_COMMISSION["maker"], "taker": NO_COMMISSION["taker"]}
        return {
            "standardCommissionForOrder": rates,
            "specialCommissionForOrder": nothing,
            "taxCommissionForOrder": nothing,
            "discount": DISCOUNT,
        }

    async def _find(self, request: web.Request) -> Reply:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, _NAMED)
        symbol = required(parameters, "symbol", r".*")
        order_id, named = named_by(parameters, "orderId", "origClientOrderId")
        return queried(self._desk.find(symbol, order_id=order_id, client_id=named))

    async def _cancel(self, request: web.Request) -> Reply:
        """A leg takes its list with it; the reply is then the list's."""
        parameters = await self._authenticator.authenticate_trader(request)
        check_names(parameters, _CANCEL)
        symbol = required(parameters, "symbol", r".*")
        order_id, named = named_by(parameters, "orderId", "origClientOrderId")
        self._check_restriction(parameters, symbol, order_id, named)
        new_id = client_id(parameters, "newClientOrderId") or ""
        order = self._desk.cancel(symbol, order_id=order_id, client_id=named, new_client_id=new_id)
        if order.list_id == -1:
            return cancelled(order)
        ended = self._desk.list_of(order)
        return canceled_list(ended, self._desk.legs(ended))

    def _check_restriction(
        self, parameters: Parameters, symbol: str, order_id: int | None, named: str | None
    ) -> None:
        wanted = parameters.get("cancelRestrictions")
        if wanted is None:
            return
        if wanted not in _RESTRICTIONS:
            raise BinanceError(-1145, "Invalid cancelRestrictions")
        self._desk.advance()
        orders = self._desk.orders
        current = orders.latest(symbol, named or "")
        if order_id is not None:
            current = orders.current(symbol, order_id)
        if current is not None and current.is_open and current.status != _RESTRICTIONS[wanted]:
            raise BinanceError(-2011, "Order was not canceled due to cancel restrictions.")

    async def _open(self, request: web.Request) -> list[Reply]:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, frozenset({"symbol"}))
        symbol = parameters.get("symbol")
        if symbol is not None:
            self._desk.check_listed(symbol)
        return [queried(each) for each in self._desk.open_orders(symbol)]

    async def _cancel_all(self, request: web.Request) -> list[Reply]:
        parameters = await self._authenticator.authenticate_trader(request)
        check_names(parameters, frozenset({"symbol"}))
        orders, lists = self._desk.cancel_all(required(parameters, "symbol", r".*"))
        alone = [cancelled(each) for each in orders if each.list_id == -1]
        return alone + [canceled_list(each, self._desk.legs(each)) for each in lists]

    async def _all(self, request: web.Request) -> list[Reply]:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, _ALL)
        symbol = required(parameters, "symbol", r".*")
        self._desk.check_listed(symbol)
        return [queried(each) for each in _page(self._desk.all_orders(symbol), parameters)]


def _page(orders: list[Order], parameters: Parameters) -> list[Order]:
    """From an id or a time on, the oldest; else the newest."""
    first, window = exchange_id(parameters, "orderId"), day_at_most(parameters)
    limit = row_limit(parameters)
    if first is not None and window is not None:
        raise bad_combination()
    if first is not None:
        return [each for each in orders if each.order_id >= first][:limit]
    if window is not None:
        since, until = window
        return [each for each in orders if since <= each.created_ms <= until][:limit]
    return orders[-limit:]


def _test_weight(request: web.Request) -> int:
    return 20 if request.query.get("computeCommissionRates", "").lower() == "true" else 1
