"""The HTTP port of one venue: routes, weights, Binance's errors and injected faults."""

import html
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import (
    ORDERS,
    RULES,
    Bucket,
    Charge,
    charges,
)
from chimera_s1.adapters.simulator.not_simulated import Feature, NotSimulated
from chimera_s1.adapters.simulator.rest.replies import (
    BinanceError,
    error_reply,
    json_reply,
    limit_response,
)
from chimera_s1.adapters.simulator.rest.request_faults import (
    Handler,
    answer_with_fault,
)
from chimera_s1.adapters.simulator.rest.routes import Route
from chimera_s1.adapters.simulator.time_unit import is_microseconds, reply_in_microseconds
from chimera_s1.domain.identifiers import Venue

request_arrived_ms: ContextVar[int] = ContextVar("request_arrived_ms")
"""When the current request came in, exchange time: before any fault delayed it."""

_WEIGHT = {Venue.SPOT: Bucket.SPOT_WEIGHT, Venue.PERP: Bucket.FUTURES_WEIGHT}
_TIME_UNIT_HEADER = "X-MBX-TIME-UNIT"
_NOT_SIMULATED = "<html><body><h2>{} {}</h2><p>The simulator does not have {}.</p></body></html>"


def rest_application(
    venue: Venue,
    routes: Sequence[Route],
    limits: RateLimits,
    faults: FaultRegistry,
    clock: ScaledClock,
    *,
    not_simulated: NotSimulated,
) -> web.Application:
    """Serves *routes*; those without a bucket of their own use the weight of *venue*."""
    application = web.Application(
        middlewares=[
            _missing_middleware(venue, not_simulated),
            _fault_middleware(venue, faults, clock),
        ]
    )
    for route in routes:
        respond = _limited(route, route.bucket or _WEIGHT[venue], limits)
        application.router.add_route(route.method, route.path, respond)
    return application


@asynccontextmanager
async def serve(application: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve *application* while the context lasts; yields the bound port.

    Raises:
        OSError: The address cannot be bound.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _fault_middleware(venue: Venue, faults: FaultRegistry, clock: ScaledClock) -> Middleware:
    @web.middleware
    async def with_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_arrived_ms.set(clock.now_ms())
        action = faults.take_request_fault(venue, request.method, request.path)
        try:
            if action is None:
                return await handler(request)
            return await answer_with_fault(action, request, handler, clock)
        except ConnectionResetError:
            # The client has disconnected, perhaps killed: no response can reach it.
            return web.Response()

    return with_faults


def _limited(
    route: Route, bucket: Bucket, limits: RateLimits
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Counted before it is executed: what is answered 400 has its weight, too."""

    async def respond(request: web.Request) -> web.Response:
        spent, address = charges(bucket, route.weight(request)), request.remote or ""
        refusal = limits.spend(spent, address)
        response = await _answer(route, request) if refusal is None else limit_response(refusal)
        if refusal is None and response.status >= HTTPStatus.BAD_REQUEST:
            _charge_refused(route, spent, limits, address)
        response.headers.update(limits.headers(spent, address))
        return response

    return respond


def _charge_refused(
    route: Route, spent: tuple[Charge, ...], limits: RateLimits, address: str
) -> None:
    """A refused order is no order, and has the weight that an accepted one has not."""
    orders = tuple(each for each in spent if RULES[each.bucket].unit == ORDERS)
    if route.refused_weight:
        limits.give_back(orders)
        limits.add((Charge(Bucket.SPOT_WEIGHT, route.refused_weight),), address)


async def _answer(route: Route, request: web.Request) -> web.Response:
    try:
        microseconds = _wants_microseconds(request)
        reply = await route.handler(request)
        return json_reply(reply_in_microseconds(reply) if microseconds else reply)
    except BinanceError as error:
        return error_reply(error.status, error.code, error.message)


def _wants_microseconds(request: web.Request) -> bool:
    """Raises BinanceError -1194 for a unit that Binance does not know."""
    if not request.path.startswith("/api/"):
        return False
    microseconds = is_microseconds(request.headers.get(_TIME_UNIT_HEADER, "MILLISECOND"))
    if microseconds is None:
        raise BinanceError(
            -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
        )
    return microseconds


def _missing_middleware(venue: Venue, not_simulated: NotSimulated) -> Middleware:
    @web.middleware
    async def report_missing(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            name = f"{request.method} {request.path}"
            not_simulated.record(venue, Feature.REQUEST, name, f"answered {error.status}")
            text = _NOT_SIMULATED.format(error.status, error.reason, html.escape(name))
            return web.Response(status=error.status, text=text, content_type="text/html")

    return report_missing
