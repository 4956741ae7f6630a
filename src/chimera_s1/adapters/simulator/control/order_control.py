"""The control plane's routes for orders, trades, positions, prices and the matching.

They show the exchange's own books: nothing lags, nothing is hidden.
"""

from typing import Any, assert_never

import msgspec
from aiohttp import web

from chimera_s1.adapters.simulator.control.order_requests import (
    ASSET_HELP,
    CANCEL_HELP,
    MATCHING_HELP,
    ORDER_HELP,
    AssetRequest,
    CancelRequest,
    MatchingRequest,
    OrderRequest,
)
from chimera_s1.adapters.simulator.control.order_views import (
    algo_view,
    order_view,
    plain,
    position_view,
    trade_view,
)
from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.new_orders import (
    NewAlgoOrder,
    NewOco,
    NewPerpOrder,
    NewSpotOrder,
)
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.matching.spot_desk import SpotDesk
from chimera_s1.adapters.simulator.rest.replies import BinanceError, json_reply
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue

View = dict[str, Any]


class OrderControl:
    def __init__(self, spot: SpotDesk, perp: PerpDesk, behaviour: CurrentBehaviour) -> None:
        self._spot = spot
        self._perp = perp
        self._behaviour = behaviour

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sim/orders", self._orders),
            web.post("/sim/orders", self._place),
            web.post("/sim/orders/cancel", self._cancel),
            web.get("/sim/trades", self._trades),
            web.get("/sim/positions", self._positions),
            web.get("/sim/assets", self._assets),
            web.post("/sim/assets", self._set_asset),
            web.get("/sim/matching", self._show_matching),
            web.post("/sim/matching", self._change_matching),
        ]

    async def _orders(self, _: web.Request) -> web.Response:
        self._advance()
        orders = [order_view(each) for each in self._spot.orders.all()]
        orders += [order_view(each) for each in self._perp.every_order()]
        orders += [algo_view(each) for each in self._perp.every_algo()]
        return json_reply({"orders": orders})

    async def _trades(self, _: web.Request) -> web.Response:
        self._advance()
        trades = self._spot.orders.trades() + self._perp.every_trade()
        return json_reply({"trades": [trade_view(each) for each in trades]})

    async def _positions(self, _: web.Request) -> web.Response:
        self._advance()
        positions = [position_view(each) for each in self._perp.positions() if each.qty]
        return json_reply({"positions": positions})

    async def _place(self, request: web.Request) -> web.Response:
        new = decode(await request.read(), OrderRequest, ORDER_HELP).order()
        try:
            return json_reply({"orders": self._placed(new)}, 201)
        except BinanceError as error:
            raise _refused(error) from error

    def _placed(self, new: NewSpotOrder | NewOco | NewPerpOrder | NewAlgoOrder) -> list[View]:
        match new:
            case NewSpotOrder():
                return [order_view(self._spot.place(new))]
            case NewOco():
                legs = self._spot.legs(self._spot.place_oco(new))
                return [order_view(leg) for leg in legs]
            case NewPerpOrder():
                return [order_view(self._perp.place(new))]
            case NewAlgoOrder():
                return [algo_view(self._perp.place_algo(new))]
            case _:
                assert_never(new)

    async def _cancel(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), CancelRequest, CANCEL_HELP)
        try:
            return json_reply(self._canceled(body))
        except BinanceError as error:
            raise _refused(error) from error

    def _canceled(self, body: CancelRequest) -> View:
        number, client_id = body.order_id, body.client_id
        if body.algo:
            return algo_view(self._perp.cancel_algo(algo_id=number, client_id=client_id))
        cancel = self._spot.cancel if body.venue is Venue.SPOT else self._perp.cancel
        return order_view(cancel(body.symbol, order_id=number, client_id=client_id))

    async def _assets(self, _: web.Request) -> web.Response:
        return json_reply(self._assets_view())

    async def _set_asset(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), AssetRequest, ASSET_HELP)
        if body.venue is Venue.SPOT:
            wallet = self._spot.wallet
            wallet.add(body.asset, body.free - wallet.free(body.asset))
        else:
            self._perp.set_balance(body.asset, body.free)
        return json_reply(self._assets_view())

    def _assets_view(self) -> View:
        balances = {"spot": self._spot.balances(), "perp": self._perp.balances()}
        return {
            venue: {
                each.asset: {"free": plain(each.free), "locked": plain(each.locked)}
                for each in held
            }
            for venue, held in balances.items()
        }

    async def _show_matching(self, _: web.Request) -> web.Response:
        return json_reply(self._matching_view())

    async def _change_matching(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), MatchingRequest, MATCHING_HELP)
        self._behaviour.value = body.changed(self._behaviour.value)
        return json_reply(self._matching_view())

    def _matching_view(self) -> View:
        values = msgspec.structs.asdict(self._behaviour.value)
        return values | {name: plain(values[name]) for name in ("price_range", "liquidity")}

    def _advance(self) -> None:
        self._spot.advance()
        self._perp.advance()


def _refused(error: BinanceError) -> InvalidValueError:
    return InvalidValueError(f"refused as Binance would: {error.code} {error.message}")
