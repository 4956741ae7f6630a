"""Spot order lists, of which there are OCOs. SPOT rest-api.md "Order lists"."""

from aiohttp import web

from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.matching.records import OrderList
from chimera_s1.adapters.simulator.matching.spot_desk import SpotDesk
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import required
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.adapters.simulator.rest.spot_order_parameters import (
    Parameters,
    bad_combination,
    check_names,
    client_id,
    day_at_most,
    exchange_id,
    named_by,
    new_oco,
    response_type,
    row_limit,
)
from chimera_s1.adapters.simulator.rest.spot_order_replies import (
    Reply,
    canceled_list,
    list_view,
    placed_list,
)

_LIST = "/api/v3/orderList"
_ORDERS_IN_OCO = 2
_CANCEL = frozenset({"symbol", "orderListId", "listClientOrderId", "newClientOrderId"})
_ALL = frozenset({"fromId", "startTime", "endTime", "limit"})


class SpotOrderListRoutes:
    def __init__(self, desk: SpotDesk, authenticator: Authenticator) -> None:
        self._desk = desk
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        orders, counted = Bucket.SPOT_ORDERS_10S, fixed_weight(_ORDERS_IN_OCO)
        return [
            Route("POST", f"{_LIST}/oco", self._place, counted, orders, refused_weight=1),
            Route("GET", _LIST, self._find, fixed_weight(4)),
            Route("DELETE", _LIST, self._cancel, fixed_weight(0), refused_weight=1),
            Route("GET", "/api/v3/openOrderList", self._open, fixed_weight(6)),
            Route("GET", "/api/v3/allOrderList", self._all, fixed_weight(20)),
        ]

    async def _place(self, request: web.Request) -> Reply:
        parameters = await self._authenticator.authenticate_trader(request)
        new, response = new_oco(parameters), response_type(parameters, "RESULT")
        started = self._desk.place_oco(new)
        return placed_list(started, self._desk.legs(started), response)

    async def _find(self, request: web.Request) -> Reply:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, frozenset({"orderListId", "origClientOrderId"}))
        list_id, named = named_by(parameters, "orderListId", "origClientOrderId")
        return list_view(self._desk.find_list(list_id=list_id, client_id=named))

    async def _cancel(self, request: web.Request) -> Reply:
        """`newClientOrderId` names the cancel."""
        parameters = await self._authenticator.authenticate_trader(request)
        check_names(parameters, _CANCEL)
        symbol = required(parameters, "symbol", r".*")
        list_id, named = named_by(parameters, "orderListId", "listClientOrderId")
        new_id = client_id(parameters, "newClientOrderId") or ""
        ended = self._desk.cancel_list(
            symbol, list_id=list_id, client_id=named, new_client_id=new_id
        )
        return canceled_list(ended, self._desk.legs(ended))

    async def _open(self, request: web.Request) -> list[Reply]:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, frozenset())
        return [list_view(each) for each in self._desk.open_lists()]

    async def _all(self, request: web.Request) -> list[Reply]:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, _ALL)
        return [list_view(each) for each in _page(self._desk.all_lists(), parameters)]


def _page(lists: list[OrderList], parameters: Parameters) -> list[OrderList]:
    """From an id or a time on, the oldest; else the newest."""
    first, window = exchange_id(parameters, "fromId"), day_at_most(parameters)
    limit = row_limit(parameters)
    if first is not None and window is not None:
        raise bad_combination()
    if first is not None:
        return [each for each in lists if each.list_id >= first][:limit]
    if window is not None:
        since, until = window
        return [each for each in lists if since <= each.created_ms <= until][:limit]
    return lists[-limit:]
