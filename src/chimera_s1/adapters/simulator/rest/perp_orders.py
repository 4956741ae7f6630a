"""`/fapi` orders: place, query, cancel, and the trades of the account."""

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.matching.perp_rules import check_parameters
from chimera_s1.adapters.simulator.matching.records import Order
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.exchange_info import perp_order_limits
from chimera_s1.adapters.simulator.rest.history_pages import HistoryPage, is_kept, order_named
from chimera_s1.adapters.simulator.rest.perp_order_parameters import (
    Parameters,
    new_perp_order,
    required_spec,
)
from chimera_s1.adapters.simulator.rest.perp_order_views import (
    placed_order,
    queried_order,
    trade_row,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight, weight_by_symbol

_ORDER = "/fapi/v1/order"
_NAMES = ("orderId", "origClientOrderId")
_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


class PerpOrderRoutes:
    def __init__(
        self,
        desk: PerpDesk,
        market: Market,
        authenticator: Authenticator,
        limits: RateLimits,
        clock: ScaledClock,
    ) -> None:
        self._desk = desk
        self._market = market
        self._authenticator = authenticator
        self._limits = limits
        self._clock = clock

    def routes(self) -> list[Route]:
        one, orders = fixed_weight(1), Bucket.FUTURES_ORDERS_10S
        return [
            Route("POST", _ORDER, self._place, one, orders),
            Route("POST", f"{_ORDER}/test", self._test, one),
            Route("GET", _ORDER, self._show, one),
            Route("DELETE", _ORDER, self._cancel, one),
            Route("DELETE", "/fapi/v1/allOpenOrders", self._cancel_all, one),
            Route("GET", "/fapi/v1/openOrder", self._show_open, one),
            Route("GET", "/fapi/v1/openOrders", self._list_open, weight_by_symbol(1, 40)),
            Route("GET", "/fapi/v1/allOrders", self._list_all, fixed_weight(5)),
            Route("GET", "/fapi/v1/userTrades", self._trades, fixed_weight(5)),
            Route("GET", "/fapi/v1/rateLimit/order", self._order_limits, one),
        ]

    async def _place(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        order = self._desk.place(new_perp_order(parameters, self._market))
        return placed_order(order, required_spec(parameters, self._market))

    async def _test(self, request: web.Request) -> object:
        """Checks the parameters only, not the account."""
        parameters = await self._authenticator.authenticate_futures_trader(request)
        check_parameters(new_perp_order(parameters, self._market), self._clock.now_ms())
        return {}

    async def _show(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        return queried_order(self._find(parameters), required_spec(parameters, self._market))

    async def _show_open(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        order = self._find(parameters)
        if not order.is_open:
            raise _no_such_order()
        return queried_order(order, required_spec(parameters, self._market))

    def _find(self, parameters: Parameters) -> Order:
        spec = required_spec(parameters, self._market)
        order_id, client_id = order_named(parameters, *_NAMES)
        order = self._desk.find(spec.symbol, order_id=order_id, client_id=client_id)
        if not is_kept(order, self._clock.now_ms()):
            raise _no_such_order()
        return order

    async def _cancel(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        spec = required_spec(parameters, self._market)
        order_id, client_id = order_named(parameters, *_NAMES)
        order = self._desk.cancel(spec.symbol, order_id=order_id, client_id=client_id)
        return placed_order(order, spec)

    async def _cancel_all(self, request: web.Request) -> object:
        """The algo orders stay."""
        parameters = await self._authenticator.authenticate_futures_trader(request)
        self._desk.cancel_all(required_spec(parameters, self._market).symbol)
        return _DONE

    async def _list_open(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        named = "symbol" in parameters
        symbol = required_spec(parameters, self._market).symbol if named else None
        return [self._row(order) for order in self._desk.open_orders(symbol)]

    def _row(self, order: Order) -> dict[str, object]:
        return queried_order(order, required_spec({"symbol": order.symbol}, self._market))

    async def _list_all(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        spec, now_ms = required_spec(parameters, self._market), self._clock.now_ms()
        page = HistoryPage.parse(parameters, "orderId", now_ms)
        kept = [each for each in self._desk.all_orders(spec.symbol) if is_kept(each, now_ms)]
        rows = page.select(kept, lambda each: each.order_id, lambda each: each.created_ms)
        return [queried_order(order, spec) for order in rows]

    async def _trades(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        spec = required_spec(parameters, self._market)
        page = HistoryPage.parse(parameters, "fromId", self._clock.now_ms())
        trades, order_id = self._desk.trades(spec.symbol), parameters.get("orderId")
        if order_id is not None:
            trades = [each for each in trades if str(each.order_id) == order_id]
        rows = page.select(trades, lambda each: each.trade_id, lambda each: each.at_ms)
        return [trade_row(trade, spec) for trade in rows]

    async def _order_limits(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        return perp_order_limits(self._limits)


def _no_such_order() -> BinanceError:
    return BinanceError(-2013, "Order does not exist.")
