"""`/fapi` algo orders: conditional orders, in ids and lists of their own."""

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.matching.records import AlgoOrder
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.history_pages import HistoryPage, is_kept, order_named
from chimera_s1.adapters.simulator.rest.perp_order_parameters import (
    Parameters,
    new_algo_order,
    required_spec,
)
from chimera_s1.adapters.simulator.rest.perp_order_views import placed_algo, queried_algo
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight, weight_by_symbol

_ALGO = "/fapi/v1/algoOrder"
_NAMES = ("algoId", "clientAlgoId")
_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


class PerpAlgoOrderRoutes:
    def __init__(
        self, desk: PerpDesk, market: Market, authenticator: Authenticator, clock: ScaledClock
    ) -> None:
        self._desk = desk
        self._market = market
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        one = fixed_weight(1)
        return [
            Route("POST", _ALGO, self._place, one, Bucket.FUTURES_ORDERS_10S),
            Route("GET", _ALGO, self._show, one),
            Route("DELETE", _ALGO, self._cancel, one),
            Route("DELETE", "/fapi/v1/algoOpenOrders", self._cancel_all, one),
            Route("GET", "/fapi/v1/openAlgoOrders", self._list_open, weight_by_symbol(1, 40)),
            Route("GET", "/fapi/v1/allAlgoOrders", self._list_all, fixed_weight(5)),
        ]

    async def _place(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        algo = self._desk.place_algo(new_algo_order(parameters, self._market))
        return placed_algo(algo, required_spec(parameters, self._market))

    async def _show(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        algo = self._find(parameters)
        if not is_kept(algo, self._clock.now_ms()):
            raise BinanceError(-2013, "Order does not exist.")
        return self._row(algo)

    def _find(self, parameters: Parameters) -> AlgoOrder:
        algo_id, client_id = order_named(parameters, *_NAMES)
        return self._desk.find_algo(algo_id=algo_id, client_id=client_id)

    async def _cancel(self, request: web.Request) -> object:
        """`code` is text here, and a number in the reply for all orders of a symbol."""
        parameters = await self._authenticator.authenticate_futures_trader(request)
        algo_id, client_id = order_named(parameters, *_NAMES)
        algo = self._desk.cancel_algo(algo_id=algo_id, client_id=client_id)
        return {
            "algoId": algo.algo_id,
            "clientAlgoId": algo.client_id,
            "code": "200",
            "msg": "success",
        }

    async def _cancel_all(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        self._desk.cancel_all_algos(required_spec(parameters, self._market).symbol)
        return _DONE

    async def _list_open(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        named = "symbol" in parameters
        symbol = required_spec(parameters, self._market).symbol if named else None
        return [self._row(algo) for algo in self._desk.open_algos(symbol)]

    async def _list_all(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        spec, now_ms = required_spec(parameters, self._market), self._clock.now_ms()
        page = HistoryPage.parse(parameters, "algoId", now_ms)
        kept = [each for each in self._desk.all_algos(spec.symbol) if is_kept(each, now_ms)]
        rows = page.select(kept, lambda each: each.algo_id, lambda each: each.created_ms)
        return [queried_algo(algo, spec) for algo in rows]

    def _row(self, algo: AlgoOrder) -> dict[str, object]:
        return queried_algo(algo, required_spec({"symbol": algo.symbol}, self._market))
