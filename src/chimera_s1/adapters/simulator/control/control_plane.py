"""The control plane: how a test or an operator inspects and disturbs the simulator.

It is not part of Binance's API.
"""

from collections.abc import Sequence

from aiohttp import web

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.control.account_control import AccountControl
from chimera_s1.adapters.simulator.control.funding_control import FundingControl
from chimera_s1.adapters.simulator.control.limit_control import LimitControl
from chimera_s1.adapters.simulator.control.listing_control import (
    ListingControl,
    NotListedError,
    find_listed,
)
from chimera_s1.adapters.simulator.control.local_requests import refuse_foreign_requests
from chimera_s1.adapters.simulator.control.order_control import OrderControl
from chimera_s1.adapters.simulator.control.price_control import PriceControl
from chimera_s1.adapters.simulator.control.requests import (
    CLOCK_HELP,
    FAULT_HELP,
    RATE_HELP,
    ClockRequest,
    FaultRequest,
    RateRequest,
    decode,
)
from chimera_s1.adapters.simulator.control.s10_control import S10Control
from chimera_s1.adapters.simulator.control.user_stream_control import UserStreamControl
from chimera_s1.adapters.simulator.control.views import (
    books_view,
    clock_view,
    fault_view,
    frame_view,
    hub_view,
    not_simulated_view,
    scenario_view,
)
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.scenario import parse_scenario
from chimera_s1.adapters.simulator.faults.scenario_player import ScenarioPlayer
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.not_simulated import NotSimulated
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.adapters.simulator.rest.request_faults import Handler
from chimera_s1.adapters.simulator.streams.book_updater import BookUpdater
from chimera_s1.adapters.simulator.streams.listings import Listings
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.topic import FRAMES_KEPT
from chimera_s1.domain.errors import InvalidValueError


class ControlPlane:
    def __init__(
        self,
        hubs: Sequence[StreamHub],
        updater: BookUpdater,
        clock: ScaledClock,
        faults: FaultRegistry,
        player: ScenarioPlayer,
        *,
        account: AccountControl,
        orders: OrderControl,
        prices: PriceControl,
        funding: FundingControl,
        limits: RateLimits,
        listings: Listings,
        s10: S10Control | None,
        user_streams: UserStreamControl,
        not_simulated: NotSimulated,
    ) -> None:
        self._hubs = {hub.venue.value: hub for hub in hubs}
        self._updater = updater
        self._clock = clock
        self._faults = faults
        self._player = player
        self._account = account
        self._orders = orders
        self._prices = prices
        self._funding = funding
        self._limits = LimitControl(limits)
        self._listings = ListingControl(self._hubs, listings)
        self._s10 = s10
        self._user_streams = user_streams
        self._not_simulated = not_simulated

    def application(self) -> web.Application:
        application = web.Application(middlewares=[refuse_foreign_requests, _errors_as_json])
        application.add_routes(self._account.routes())
        application.add_routes(self._orders.routes())
        application.add_routes(self._prices.routes())
        application.add_routes(self._funding.routes())
        application.add_routes(self._limits.routes())
        application.add_routes(self._listings.routes())
        application.add_routes(self._user_streams.routes())
        if self._s10 is not None:
            application.add_routes(self._s10.routes())
        application.add_routes(
            [
                web.get("/sim/status", self._status),
                web.get("/sim/quotes/{venue}/{symbol}", self._quotes),
                web.get("/sim/books/{venue}/{symbol}", self._books),
                web.post("/sim/clock", self._set_clock),
                web.post("/sim/rate", self._set_rate),
                web.get("/sim/faults", self._list_faults),
                web.post("/sim/faults", self._arm_fault),
                web.delete("/sim/faults", self._clear_faults),
                web.delete("/sim/faults/{id:[0-9]+}", self._clear_faults),
                web.get("/sim/scenario", self._show_scenario),
                web.post("/sim/scenario", self._play_scenario),
                web.delete("/sim/scenario", self._stop_scenario),
            ]
        )
        return application

    async def _status(self, _: web.Request) -> web.Response:
        return json_reply(
            {
                "clock": clock_view(self._clock),
                "rate": self._updater.current_rate,
                "updates": self._updater.updates,
                "venues": {name: hub_view(hub) for name, hub in self._hubs.items()},
                "limits": self._limits.view(),
                "faults": sum(live for _, live in self._faults.list_faults()),
                "not_simulated": not_simulated_view(self._not_simulated),
            }
        )

    async def _quotes(self, request: web.Request) -> web.Response:
        hub, market = find_listed(self._hubs, request)
        symbol = market.spec.symbol
        frames = [frame_view(sent) for sent in hub.recent_frames(symbol)]
        view = {"venue": hub.venue.value, "symbol": symbol, "kept": FRAMES_KEPT, "frames": frames}
        return json_reply(view)

    async def _books(self, request: web.Request) -> web.Response:
        _, market = find_listed(self._hubs, request)
        return json_reply(books_view(market))

    async def _set_clock(self, request: web.Request) -> web.Response:
        change = decode(await request.read(), ClockRequest, CLOCK_HELP)
        self._clock.set(rate=change.effective_rate, offset_ms=change.offset_ms)
        return json_reply(clock_view(self._clock))

    async def _set_rate(self, request: web.Request) -> web.Response:
        self._updater.rate = decode(await request.read(), RateRequest, RATE_HELP).rate
        return json_reply({"rate": self._updater.current_rate})

    async def _list_faults(self, _: web.Request) -> web.Response:
        faults = [fault_view(each, live=live) for each, live in self._faults.list_faults()]
        return json_reply({"faults": faults})

    async def _arm_fault(self, request: web.Request) -> web.Response:
        body = decode(await request.read(), FaultRequest, FAULT_HELP)
        fault = self._faults.arm(body.on, body.do, body.times, body.for_ms)
        return json_reply(fault_view(fault, live=True), 201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        text = request.match_info.get("id")
        return json_reply({"cleared": self._faults.clear(None if text is None else int(text))})

    async def _show_scenario(self, _: web.Request) -> web.Response:
        return json_reply(scenario_view(self._player.current))

    async def _play_scenario(self, request: web.Request) -> web.Response:
        run = self._player.start(parse_scenario(await request.read()))
        return json_reply(scenario_view(run), 201)

    async def _stop_scenario(self, _: web.Request) -> web.Response:
        return json_reply({"left_out": self._player.stop()})


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except InvalidValueError as error:
        return json_reply({"error": str(error)}, 400)
    except NotListedError as error:
        return json_reply({"error": str(error)}, 404)
    except web.HTTPException as error:
        return json_reply(
            {"error": f"{request.method} {request.path}: {error.reason}"}, error.status
        )
