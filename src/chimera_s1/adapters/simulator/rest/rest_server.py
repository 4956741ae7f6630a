"""The HTTP side of one venue: routes, weights, Binance's errors, and the faults on the way."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar

from aiohttp import web
from msgspec import Struct

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.rest.replies import BinanceError, error_reply, json_reply
from chimera_s1.adapters.simulator.rest.request_faults import Handler, answer_with_fault
from chimera_s1.adapters.simulator.rest.weight_budget import WeightBudget
from chimera_s1.domain.identifiers import Venue

RouteHandler = Callable[[web.Request], Awaitable[object]]
"""Gives what is printed as JSON, or raises BinanceError."""

request_arrived_ms: ContextVar[int] = ContextVar("arrived_ms")
"""When the request being answered came in, exchange time: before any fault held it up."""

_NOT_FOUND = "<html><body><h2>404 Not found</h2></body></html>"


class RateLimit(Struct, frozen=True):
    """Which budget a request draws on.

    Attributes:
        headers: Of the reply; they tell what is used of it.
    """

    budget: WeightBudget
    headers: tuple[str, ...] = ("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M")


class Route(Struct, frozen=True):
    """One endpoint.

    Attributes:
        answer: What it says.
        weight: Of a request, which may depend on its parameters.
        limit: None is the venue's own.
    """

    method: str
    path: str
    handler: RouteHandler
    weight: Callable[[web.Request], int]
    limit: RateLimit | None = None


def rest_application(
    venue: Venue,
    routes: Sequence[Route],
    budget: WeightBudget,
    faults: FaultRegistry,
    clock: ScaledClock,
) -> web.Application:
    """An application that answers *routes* of *venue*, out of one weight budget unless they have
    another.
    """

    @web.middleware
    async def with_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_arrived_ms.set(clock.now_ms())
        action = faults.take_request_fault(venue, request.method, request.path)
        try:
            if action is None:
                return await handler(request)
            return await answer_with_fault(action, request, handler)
        except ConnectionResetError:
            # Whoever asked is gone, killed perhaps: nobody is there to be answered.
            return web.Response()

    application = web.Application(middlewares=[_not_found, with_faults])
    limit = RateLimit(budget)
    for route in routes:
        respond = _answering(route, route.limit or limit)
        application.router.add_route(route.method, route.path, respond)
    return application


@asynccontextmanager
async def serve(application: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve *application* while the context lasts; gives the bound port.

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


def _answering(route: Route, limit: RateLimit) -> Callable[[web.Request], Awaitable[web.Response]]:
    budget = limit.budget

    async def respond(request: web.Request) -> web.Response:
        refusal = budget.spend(route.weight(request))
        if refusal is not None:
            response = error_reply(refusal.status, -1003, refusal.message)
            response.headers["Retry-After"] = str(refusal.retry_after_s)
        else:
            try:
                response = json_reply(await route.handler(request))
            except BinanceError as error:
                response = error_reply(error.status, error.code, error.message)
        for name in limit.headers:
            response.headers[name] = str(budget.used)
        return response

    return respond


@web.middleware
async def _not_found(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=_NOT_FOUND, content_type="text/html")
