"""Access guard of all routes.

A route, or its controller, declares its scope or that it is public; a handler may ask for the
actor:

    @post("/xchg/example", opt={"scope": Scope.TREASURY_TRANSFER})
    async def make_example(
        self, data: JSONBody[Example], actor: NamedDependency[Actor]
    ) -> ExampleView: ...

    @get("/health", opt={"public": True})

A route without a declaration refuses every request. The guard runs before the body is read.
Bodies are limited to `BODY_BYTES_MAX`; a route may set its own `request_max_body_size`.
"""

from typing import Any
from urllib.parse import quote

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.access.public_budget import peer_of
from chimera_s1.app.web.parameters import is_options, takes_body
from chimera_s1.app.web.problem_kinds import (
    ACCESS_DISABLED,
    CONTENT_CODING,
    PUBLIC_RATE,
    RATE_EXCEEDED,
    REQUEST_INVALID,
    REQUEST_TOO_LARGE,
    SCOPE_MISSING,
    TOKEN_REFUSED,
)
from chimera_s1.app.web.problems import AnyRequest, problem_spec
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import Actor
from chimera_s1.domain.errors import ChimeraError

BODY_BYTES_MAX = 4_096
SCHEME = "bearer"


class UndeclaredScopeError(ChimeraError):
    """A defect: a route declares neither its scope nor that it is public, or both."""

    code = "access.undeclared"


class AccessGuard:
    """Litestar's guard before every handler."""

    def __init__(self, access: ControlAccess) -> None:
        self._access = access

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Authorize *connection* and set its `user` to the actor.

        Raises:
            ChimeraError: See `ControlAccess.authorize`.
            PublicRateError: Too many requests of public routes.
            UndeclaredScopeError: The route declares neither its scope nor that it is public.
        """
        scope = needed_scope(handler)
        if scope is None:
            self._access.public.take(peer_of(connection))
        else:
            path = quote(connection.scope["path"])
            connection.scope["user"] = self._access.authorize(_bearer(connection), scope, path)


class AccessDescription(ReceiveRoutePlugin):
    """Adds scopes and refusals to the OpenAPI description of each route."""

    def receive_route(self, route: BaseRoute) -> None:
        """Called by Litestar for each route."""
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    _add_responses(handler)


def security_components() -> Components:
    """The bearer scheme for the OpenAPI document."""
    scheme = SecurityScheme(
        type="http",
        scheme="bearer",
        description=(
            "A token from `chimera-s1 tokens create`; each operation names the scope it needs. "
            "If no tokens are configured, `read` needs none and the rest answers 503."
        ),
    )
    return Components(security_schemes={SCHEME: scheme})


def read_actor(request: AnyRequest) -> Actor:
    """The dependency `actor`; a public route has none."""
    actor: Actor = request.user
    return actor


def needed_scope(handler: BaseRouteHandler) -> Scope | None:
    """The declared scope; None for a public route.

    Raises:
        UndeclaredScopeError: *handler* declares neither, or both.
    """
    if is_options(handler):
        return None  # it shows what /schema shows
    match handler.opt.get("scope"), handler.opt.get("public"):
        case Scope() as scope, None:
            return scope
        case None, True:
            return None
        case _:
            raise UndeclaredScopeError(f"{handler} must declare either its scope or public")


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The token as sent; None if there is no header, empty if it is malformed."""
    sent = connection.headers.getall("authorization", [])
    if not sent:
        return None
    scheme, _, text = sent[0].partition(" ")
    return text.strip() if len(sent) == 1 and scheme.lower() == SCHEME else ""


def _add_responses(handler: HTTPRouteHandler) -> None:
    refusals = {int(REQUEST_INVALID.status): problem_spec(REQUEST_INVALID)}
    scope = needed_scope(handler)
    if scope is None:
        refusals[int(PUBLIC_RATE.status)] = problem_spec(PUBLIC_RATE)
    else:
        handler.security = [{SCHEME: [scope.value]}]
        refusals |= _refusal_responses(handler, scope)
    handler.responses = {**refusals, **(handler.responses or {})}


def _refusal_responses(handler: HTTPRouteHandler, scope: Scope) -> dict[int, ResponseSpec]:
    kinds = [TOKEN_REFUSED, SCOPE_MISSING]
    if scope.requires_tokens:
        kinds += [RATE_EXCEEDED, ACCESS_DISABLED]
    if takes_body(handler):
        kinds += [REQUEST_TOO_LARGE, CONTENT_CODING]
    return {int(kind.status): problem_spec(kind) for kind in kinds}
