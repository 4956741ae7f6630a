"""Who may call what: a guard before every route.

A route, or its controller, says what it needs, and a handler may ask who called:

    @post("/xchg/example", opt={"scope": Scope.TREASURY_TRANSFER})
    async def make_example(
        self, data: JSONBody[Example], actor: NamedDependency[Actor]
    ) -> ExampleView: ...

    @get("/health", opt={"public": True})

A route that says neither is refused to everybody. The guard runs before the body is read; bodies
are limited by the application (`BODY_BYTES_MAX`), and a route that needs more sets
`request_max_body_size`.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.problem_kinds import (
    ACCESS_DISABLED,
    RATE_EXCEEDED,
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
_BODY_PARAMETERS = {"data", "body"}
"""What Litestar fills from the body: decoded, or as it is."""


class UndeclaredScopeError(ChimeraError):
    """A route says neither which scope it needs nor that it is public: a defect of ours."""

    code = "access.undeclared"


class AccessGuard:
    """Litestar's guard: lets a request through to its handler, or raises why not."""

    def __init__(self, access: ControlAccess) -> None:
        self._access = access

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Judge *connection*; the actor is its `user` from now on.

        Raises:
            ChimeraError: See `ControlAccess.admit`.

            UndeclaredScopeError: The route declares nothing.
        """
        scope = needed_scope(handler)
        if scope is not None:
            path = connection.url.path
            connection.scope["user"] = self._access.authorize(_bearer(connection), scope, path)


class AccessDescription(ReceiveRoutePlugin):
    """Writes into the OpenAPI description of each route what the guard will ask and answer."""

    def receive_route(self, route: BaseRoute) -> None:
        """Take each route as Litestar registers it."""
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
            "Where no tokens are configured, `read` needs none and the rest answers 503."
        ),
    )
    return Components(security_schemes={SCHEME: scheme})


def read_actor(request: AnyRequest) -> Actor:
    """Who called; the dependency `actor`. A public route has none."""
    actor: Actor = request.user
    return actor


def needed_scope(handler: BaseRouteHandler) -> Scope | None:
    """The scope that *handler* declares, None where it is public.

    Raises:
        UndeclaredScopeError: It declares neither, or both.
    """
    if isinstance(handler, HTTPRouteHandler) and handler.http_methods == {HttpMethod.OPTIONS}:
        return None  # Litestar's own: the methods of the path, which /schema tells everybody
    match handler.opt.get("scope"), handler.opt.get("public"):
        case Scope() as scope, None:
            return scope
        case None, True:
            return None
        case _:
            raise UndeclaredScopeError(f"{handler} must declare either its scope or public")


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """What was sent as a token; empty where it is none that can be read."""
    sent = connection.headers.getall("authorization", [])
    if not sent:
        return None
    scheme, _, text = sent[0].partition(" ")
    return text.strip() if len(sent) == 1 and scheme.lower() == SCHEME else ""


def _add_responses(handler: HTTPRouteHandler) -> None:
    scope = needed_scope(handler)
    if scope is None:
        return
    handler.security = [{SCHEME: [scope.value]}]
    handler.responses = {**_refusal_responses(handler, scope), **(handler.responses or {})}


def _refusal_responses(handler: HTTPRouteHandler, scope: Scope) -> dict[int, ResponseSpec]:
    kinds = [TOKEN_REFUSED, SCOPE_MISSING]
    if scope.requires_tokens:
        kinds += [RATE_EXCEEDED, ACCESS_DISABLED]
    if handler.parsed_fn_signature.parameters.keys() & _BODY_PARAMETERS:
        kinds.append(REQUEST_TOO_LARGE)
    return {int(kind.status): problem_spec(kind) for kind in kinds}
