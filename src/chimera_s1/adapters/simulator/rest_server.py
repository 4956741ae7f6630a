"""
The HTTP side of one venue: routes, weights, Binance's errors, and the faults on the way.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import orjson
from aiohttp import web
from msgspec import Struct

from chimera_s1.adapters.simulator.fault_actions import Action, Deed
from chimera_s1.adapters.simulator.faults import FaultRegistry
from chimera_s1.adapters.simulator.weights import WeightBudget
from chimera_s1.domain.identifiers import Venue

Endpoint = Callable[[web.Request], Awaitable[object]]
"""
Gives what is printed as JSON, or raises BinanceError.
"""

_NOT_FOUND = "<html><body><h2>404 Not found</h2></body></html>"
_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
_MESSAGES = {
    -1000: (500, "An unknown error occurred while processing the request."),
    -1001: (503, "Internal error; unable to process your request. Please try again."),
    -1003: (429, "Too many requests; current limit of IP is 2400 requests per minute."),
    -1007: (
        408,
        (
            "Timeout waiting for response from backend server. Send status unknown; "
            "execution status unknown."
        ),
    ),
    -1008: (
        503,
        (
            "Request throttled by system-level protection. Reduce-only/close-position orders "
            "are exempt. Please try again."
        ),
    ),
    -1015: (429, "Too many new orders."),
    -1021: (400, "Timestamp for this request is outside of the recvWindow."),
    -1022: (400, "Signature for this request is not valid."),
    -2015: (401, "Invalid API-key, IP, or permissions for action."),
}


class BinanceError(Exception):
    """
    An error in Binance's shape, `{"code":-1121,"msg":"Invalid symbol."}`.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Route(Struct, frozen=True):
    """
    One endpoint.

    Attributes:
        answer: What it says.

        weight: Of a request, which may depend on its parameters.
    """

    method: str
    path: str
    answer: Endpoint
    weight: Callable[[web.Request], int]


def rest_application(
    venue: Venue, routes: Sequence[Route], budget: WeightBudget, faults: FaultRegistry
) -> web.Application:
    """
    An application that answers *routes* of *venue* out of one weight budget.
    """

    @web.middleware
    async def with_faults(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        action = faults.take_rest(venue, request.method, request.path)
        if action is None:
            return await handler(request)
        return await _under_fault(action, request, handler)

    application = web.Application(middlewares=[_not_found, with_faults])
    for route in routes:
        application.router.add_route(route.method, route.path, _answering(route, budget))
    return application


@asynccontextmanager
async def listening(application: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """
    Serve *application* while the context lasts; gives the bound port.

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


def _answering(
    route: Route, budget: WeightBudget
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(request: web.Request) -> web.Response:
        refusal = budget.spend(route.weight(request))
        if refusal is not None:
            response = _error(refusal.status, -1003, refusal.message)
            response.headers["Retry-After"] = str(refusal.retry_after_s)
        else:
            try:
                response = _json(await route.answer(request))
            except BinanceError as error:
                response = _error(error.status, error.code, error.message)
        response.headers["X-MBX-USED-WEIGHT"] = str(budget.used)
        response.headers["X-MBX-USED-WEIGHT-1M"] = str(budget.used)
        return response

    return respond


@web.middleware
async def _not_found(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=_NOT_FOUND, content_type="text/html")


async def _under_fault(
    action: Action,
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    match action.deed:
        case Deed.DELAY:
            await anyio.sleep(action.number / 1000)
            return await handler(request)
        case Deed.EXECUTE_THEN_DROP:
            return _drop(request, await handler(request))
        case Deed.STATUS:
            return _status(action.number)
        case Deed.CODE:
            status, message = _MESSAGES.get(action.number, (400, "Injected error."))
            return _error(status, action.number, message)
        case Deed.BODY:
            return await _broken_body(action.choice, request, await handler(request))
        case _:
            return _drop(request, web.Response())


def _drop(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response


def _status(status: int) -> web.Response:
    if status in {418, 429}:
        response = _error(status, -1003, "Too many requests.")
        response.headers["Retry-After"] = "1" if status == 429 else "120"  # noqa: PLR2004  # HTTP
        return response
    return web.Response(status=status, text=_HTML.format(status), content_type="text/html")


async def _broken_body(
    body: str, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    if body == "html":
        return web.Response(text=_HTML.format("200"), content_type="text/html")
    if body == "empty":
        return web.Response(content_type="application/json")
    content = response.body if isinstance(response, web.Response) else b""
    whole = content if isinstance(content, bytes) else b""
    cut = web.StreamResponse(headers={"Content-Type": "application/json"})
    cut.content_length = len(whole)
    await cut.prepare(request)
    await cut.write(whole[: len(whole) // 2])
    return _drop(request, cut)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _error(status: int, code: int, message: str) -> web.Response:
    response = _json({"code": code, "msg": message})
    response.set_status(status)
    return response
