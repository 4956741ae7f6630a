"""Rules of HTTP that hold for every request, whatever its path (RFC 9110, RFC 9112)."""

import re
from collections.abc import Iterable
from typing import Any

import anyio
from litestar import Request
from litestar.enums import ScopeType
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from chimera_s1.app.web.problem_kinds import REQUEST_INVALID
from chimera_s1.app.web.problems import AnyRequest, note_disconnect, problem_reply, problem_view

_HOST = re.compile(rb"(\[[0-9A-Za-z:.%]+\]|[0-9A-Za-z._~%!$&'()*+,;=-]*)(:[0-9]{0,5})?")

Header = tuple[bytes, bytes]


class HttpRules:
    """ASGI middleware: one valid Host header, and HEAD wherever there is GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        fault = host_fault(scope["http_version"], scope["headers"])
        if fault is not None:
            await _refuse(scope, receive, send, fault)
        elif scope["method"] == "HEAD":
            await self._answer_head(scope, receive, send)
        else:
            await self._app(scope, _noting_disconnect(scope, receive), _allowing_all(scope, send))

    async def _answer_head(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """The headers of GET; an endless response is ended after them (RFC 9110, 9.3.2)."""
        with anyio.CancelScope() as answering:

            async def send_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await send(message)
                elif message["type"] == "http.response.body":
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    answering.cancel()

            as_get: HTTPScope = {**scope, "method": "GET"}
            await self._app(as_get, receive, _allowing_all(as_get, send_headers))


def host_fault(http_version: str, headers: Iterable[Header]) -> str | None:
    """Why the Host headers are invalid (RFC 9112, 3.2); None if they are not."""
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts:
        return None if http_version == "1.0" else "the Host header is missing; send it once"
    if len(hosts) > 1:
        return f"the Host header appears {len(hosts)} times; send it once"
    if _HOST.fullmatch(hosts[0]) is None:
        return "the Host header is not a host and a port; send one, like 127.0.0.1:8080"
    return None


async def _refuse(scope: HTTPScope, receive: Receive, send: Send, fault: str) -> None:
    request: AnyRequest = Request(scope, receive, send)
    response = problem_reply(REQUEST_INVALID, problem_view(REQUEST_INVALID, fault, request))
    response.headers["Connection"] = "close"  # what follows may be meant for another host
    await response.to_asgi_response(app=None, request=request)(scope, receive, send)


def _noting_disconnect(scope: HTTPScope, receive: Receive) -> Receive:
    async def receive_noting() -> Any:  # noqa: ANN401 (Litestar's type of `receive` is that of `send`)
        message = await receive()
        if message["type"] == "http.disconnect":
            note_disconnect(scope)
        return message

    return receive_noting


def _allowing_all(scope: HTTPScope, send: Send) -> Send:
    """Adds to an Allow header HEAD where there is GET, and the methods of all handlers of the path:
    Litestar's reply to OPTIONS names only those of the first.
    """

    async def send_allowing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [_with_all_methods(header, scope) for header in message["headers"]]
            message = {**message, "headers": headers}
        await send(message)

    return send_allowing


def _with_all_methods(header: Header, scope: HTTPScope) -> Header:
    name, value = header
    if name.lower() != b"allow":
        return header
    methods = {each.strip() for each in value.split(b",")} | _routed_methods(scope)
    return name, b", ".join(sorted(methods | {b"HEAD"} if b"GET" in methods else methods))


def _routed_methods(scope: HTTPScope) -> set[bytes]:
    """Of the path that Litestar has found; empty where it has found none."""
    path = scope.get("path_template")
    routes = scope["litestar_app"].routes if path else []
    found = (each for each in routes if isinstance(each, HTTPRoute) and each.path_format == path)
    return {method.encode() for route in found for method in route.methods}
