"""Applies faults to single requests."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.actions import FaultAction
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.faults.limit_replies import limit_reply
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.rest.listing_faults import spoil_listing
from chimera_s1.adapters.simulator.rest.replies import error_reply, json_reply, limit_response
from chimera_s1.adapters.simulator.rest.row_faults import spoil_rows

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

executes_late: ContextVar[bool] = ContextVar("executes_late", default=False)
"""The current request was accepted in time, and its execution took longer than its recvWindow."""

_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
_UNAVAILABLE = 503
_RETRY_AFTER_S = {429: "1", 418: "120"}
_ERRORS = {
    -1000: (500, "An unknown error occurred while processing the request."),
    -1001: (_UNAVAILABLE, "Internal error; unable to process your request. Please try again."),
    -1003: (429, "Too many requests; current limit of IP is 2400 requests per minute."),
    -1006: (
        500,
        "An unexpected response was received from the message bus. Execution status unknown.",
    ),
    -1007: (
        408,
        (
            "Timeout waiting for response from backend server. Send status unknown; "
            "execution status unknown."
        ),
    ),
    -1008: (
        _UNAVAILABLE,
        (
            "Request throttled by system-level protection. Reduce-only/close-position orders "
            "are exempt. Please try again."
        ),
    ),
    -1015: (429, "Too many new orders."),
    -1016: (400, "This service is no longer available."),
    -1021: (400, "Timestamp for this request is outside of the recvWindow."),
    -1022: (400, "Signature for this request is not valid."),
    -1125: (400, "This listenKey does not exist."),
    -2015: (401, "Invalid API-key, IP, or permissions for action."),
    -5012: (400, "Asset transfer is in pending."),
    -5013: (400, "Asset transfer failed: insufficient balance"),
    -9000: (400, "user have no avaliable amount"),
}
_UNAVAILABLE_CODES = {"internal": -1001, "throttled": -1008}
_GATEWAY_MESSAGES = {
    "unknown": "Unknown error, please check your request or try again later.",
    "service": "Service Unavailable.",
}


def with_request_faults(faults: FaultRegistry, clock: ScaledClock) -> Middleware:
    """For a port of no venue: a fault on a request, such as `GET /active`, acts on it."""

    @web.middleware
    async def with_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
        action = faults.take_request_fault(None, request.method, request.path)
        try:
            if action is None:
                return await handler(request)
            return await answer_with_fault(action, request, handler, clock)
        except ConnectionResetError:
            # The client has disconnected, perhaps killed: no response can reach it.
            return web.Response()

    return with_faults


async def answer_with_fault(
    action: FaultAction, request: web.Request, handler: Handler, clock: ScaledClock
) -> web.StreamResponse:
    """Answer *request* as *action* says; *handler* executes it, where the action allows it.

    Delays are of exchange time.
    """
    match action.kind:
        case FaultKind.DELAY:
            await clock.sleep_ms(action.number)
            return await handler(request)
        case FaultKind.RATE_LIMIT | FaultKind.BAN:
            return limit_response(limit_reply(action, clock.now_ms()))
        case FaultKind.STATUS | FaultKind.CODE | FaultKind.UNAVAILABLE:
            return _refuse(action, request)
        case FaultKind.DROP_BEFORE:
            return _drop(request, web.Response())
        case FaultKind.DROP_THEN_EXECUTE | FaultKind.UNAVAILABLE_THEN_EXECUTE:
            return await _answer_then_execute(action, request, handler, clock)
        case _:
            return await _spoil_response(action, request, await handler(request), clock)


async def _answer_then_execute(
    action: FaultAction, request: web.Request, handler: Handler, clock: ScaledClock
) -> web.StreamResponse:
    await request.read()
    response: web.StreamResponse = _unavailable("unknown", request)
    response.force_close()  # no other request may wait behind this one
    if action.kind is FaultKind.DROP_THEN_EXECUTE:
        response = _drop(request, response)
    else:
        await response.prepare(request)
        await response.write_eof()
    await clock.sleep_ms(action.number)
    executes_late.set(True)
    await handler(request)
    return response


async def _spoil_response(
    action: FaultAction, request: web.Request, response: web.StreamResponse, clock: ScaledClock
) -> web.StreamResponse:
    """The request was executed: delay, replace or drop its *response*."""
    match action.kind:
        case FaultKind.EXECUTE_THEN_DELAY:
            await clock.sleep_ms(action.number)
            return response
        case FaultKind.EXECUTE_THEN_STATUS:
            return _status(action.number)
        case FaultKind.EXECUTE_THEN_CODE:
            return _code(action.number)
        case FaultKind.EXECUTE_THEN_UNAVAILABLE:
            return _unavailable(action.variant, request)
        case FaultKind.BODY | FaultKind.LISTING | FaultKind.FUNDING:
            return await _broken_body(action, request, response)
        case _:
            return _drop(request, response)


def _refuse(action: FaultAction, request: web.Request) -> web.Response:
    match action.kind:
        case FaultKind.STATUS:
            return _status(action.number)
        case FaultKind.CODE:
            return _code(action.number)
        case _:
            return _unavailable(action.variant, request)


def _drop(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response


def _code(code: int) -> web.Response:
    status, message = _ERRORS.get(code, (400, "Injected error."))
    return error_reply(status, code, message)


def _unavailable(variant: str, request: web.Request) -> web.Response:
    """One of the four 503s of the futures API; two come from a gateway and carry no code."""
    if variant in _UNAVAILABLE_CODES:
        return _code(_UNAVAILABLE_CODES[variant])
    return json_reply({"path": request.path, "msg": _GATEWAY_MESSAGES[variant]}, _UNAVAILABLE)


def _status(status: int) -> web.Response:
    if status in _RETRY_AFTER_S:
        response = error_reply(status, -1003, "Too many requests.")
        response.headers["Retry-After"] = _RETRY_AFTER_S[status]
        return response
    return web.Response(status=status, text=_HTML.format(status), content_type="text/html")


async def _broken_body(
    action: FaultAction, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    if action.kind in {FaultKind.LISTING, FaultKind.FUNDING}:
        return _other_rows(action, request, response)
    if action.variant == "html":
        return web.Response(text=_HTML.format("200"), content_type="text/html")
    if action.variant == "empty":
        return web.Response(content_type="application/json")
    return await _truncated(request, response)


def _other_rows(
    action: FaultAction, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    if not isinstance(response, web.Response) or response.status != HTTPStatus.OK:
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    if action.kind is FaultKind.FUNDING:
        response.body = spoil_rows(action.variant, body)
    else:
        spot = request.path.startswith("/api/")
        response.body = spoil_listing(action.variant, body, spot=spot)
    return response


async def _truncated(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    content = response.body if isinstance(response, web.Response) else b""
    whole = content if isinstance(content, bytes) else b""
    truncated = web.StreamResponse(headers={"Content-Type": "application/json"})
    truncated.content_length = len(whole)
    await truncated.prepare(request)
    await truncated.write(whole[: len(whole) // 2])
    return _drop(request, truncated)
