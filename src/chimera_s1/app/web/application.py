"""The HTTP application, built from the capabilities' web parts."""

from collections.abc import Iterator, Sequence
from typing import Any

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPI, Tag
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.routes import HTTPRoute

from chimera_s1 import __version__
from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.access.guard import (
    BODY_BYTES_MAX,
    AccessDescription,
    AccessGuard,
    read_actor,
    security_components,
)
from chimera_s1.app.web.check_request import check_request
from chimera_s1.app.web.describe_schemas import describe_schemas
from chimera_s1.app.web.example_calls import add_examples
from chimera_s1.app.web.http_rules import HttpRules
from chimera_s1.app.web.page_cache import RenderedOnce
from chimera_s1.app.web.problem_kinds import ProblemKind, ProblemTable
from chimera_s1.app.web.problems import AnyRequest, problem_response
from chimera_s1.app.web.schema_page import NO_SCRIPTS, SchemaPage
from chimera_s1.app.web.start_page import read_start_page
from chimera_s1.app.web.web_part import WebPart

SCHEMA_PATH = "/schema"


class WebApplication(Litestar):
    _described: OpenAPI | None = None

    async def __call__(
        self,
        scope: Any,  # noqa: ANN401 (the types of a lifespan, which there is none of, differ)
        receive: Any,  # noqa: ANN401
        send: Any,  # noqa: ANN401
    ) -> None:
        # Litestar's own middleware runs only where a route was found.
        await HttpRules(super().__call__)(scope, receive, send)

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        # Litestar's default loads Pydantic v1 and attrs (3 MiB), which no model here uses.
        return [*plugins, MsgspecDIPlugin()]

    @property
    def openapi_schema(self) -> OpenAPI:
        """The description of the API, complete."""
        self.complete_description()
        return super().openapi_schema

    def complete_description(self) -> None:
        """Build the description, unless it is complete; a route that is added replaces it."""
        document = super().openapi_schema
        if document is not self._described:
            self._described = document
            describe_schemas(document, _described_handlers(self))
            add_examples(document)


def create_web_app(parts: Sequence[WebPart], access: ControlAccess) -> Litestar:
    """The ASGI application; it opens no connection and starts no task."""
    app = undescribed_web_app(parts, access)
    # Built now: on the first request it would block the event loop.
    app.complete_description()
    return app


def undescribed_web_app(parts: Sequence[WebPart], access: ControlAccess) -> WebApplication:
    """The same application; it builds its description on the first request that needs it."""
    problems = ProblemTable(
        [part.kind_by_error for part in parts],
        [kind for part in parts for kind in part.other_kinds],
    )
    return WebApplication(
        route_handlers=[read_start_page, *(route for part in parts for route in part.routes)],
        dependencies=_dependencies(parts),
        guards=[AccessGuard(access), check_request],
        plugins=[AccessDescription()],
        request_max_body_size=BODY_BYTES_MAX,
        exception_handlers={Exception: problem_response},
        state=State({"problem_table": problems, "public_budget": access.public}),
        openapi_config=_openapi([tag for part in parts for tag in part.tags], problems.kinds),
        logging_config=None,  # the runtime configures logging
    )


def _described_handlers(app: Litestar) -> Iterator[HTTPRouteHandler]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from (each for each in route.route_handlers if each.resolve_include_in_schema())


def _dependencies(parts: Sequence[WebPart]) -> dict[str, Provide]:
    given: dict[str, object] = {}
    for part in parts:
        shared = given.keys() & part.dependencies.keys()
        assert not shared, f"two capabilities provide {sorted(shared)}"
        given |= part.dependencies
    return {
        **{name: _provide(value) for name, value in given.items()},
        "actor": Provide(read_actor, sync_to_thread=False),
    }


def _provide(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _openapi(tags: list[Tag], problem_kinds: Sequence[ProblemKind]) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Chimera S1",
        version=__version__,
        summary="Exchange connector: Binance market data to Redis Streams, and transfers.",
        description=(
            "Published quotes, health and metrics, and transfers between the wallets. Times are "
            "local epoch ms; prices and amounts are USDT; basis points only where the name says "
            "bps. Errors are problem details (RFC 9457); `code` is stable."
        ),
        tags=tags,
        components=security_components(),
        use_handler_docstrings=True,
        render_plugins=[
            RenderedOnce(SchemaPage("/", problem_kinds)),
            RenderedOnce(JsonRenderPlugin()),
        ],
        openapi_router=Router(
            SCHEMA_PATH,
            route_handlers=[],
            include_in_schema=False,
            opt={"public": True},
            response_headers={"Content-Security-Policy": NO_SCRIPTS},
            before_request=_describe_api,
            after_request=_refuse_html_not_found,
        ),
    )


async def _describe_api(request: AnyRequest) -> None:
    assert isinstance(request.app, WebApplication)
    request.app.complete_description()


async def _refuse_html_not_found(response: Response[Any]) -> Response[Any]:
    # Litestar would answer unknown paths below /schema with an HTML page.
    if response.status_code == NotFoundException.status_code:
        raise NotFoundException
    return response
