"""The HTTP application, from the use cases it shows."""

from collections.abc import Callable
from typing import Any

from litestar import Litestar, Response, Router
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Tag
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from msgspec import Struct

from chimera_s1 import __version__
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.web.routes import QuotesController
from chimera_s1.app.capabilities.operations.report_health import ReportHealth
from chimera_s1.app.capabilities.operations.web.routes import (
    read_health,
    read_metrics,
    read_readiness,
)
from chimera_s1.app.capabilities.treasury.accept_transfers import AcceptTransfers
from chimera_s1.app.capabilities.treasury.read_transfers import ReadTransfers
from chimera_s1.app.capabilities.treasury.resolve_transfers import ResolveTransfers
from chimera_s1.app.capabilities.treasury.web.routes import TreasuryController
from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.access.guard import (
    BODY_BYTES_MAX,
    AccessDescription,
    AccessGuard,
    read_actor,
    security_components,
)
from chimera_s1.app.web.problems import problem_response
from chimera_s1.app.web.schema_page import SchemaPage

SCHEMA_PATH = "/schema"

_NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'"


class WebServices(Struct, frozen=True, kw_only=True):
    """Everything a route may ask for; a field's name is the parameter's name.

    Attributes:
        quote_board: The newest published quotes.

        report_health: What every component says.

        render_metrics: The Prometheus page, bytes.

        accept_transfers: Moves money.

        read_transfers: What became of it.

        resolve_transfers: Takes the verdicts of operators.
    """

    quote_board: QuoteBoard
    report_health: ReportHealth
    render_metrics: Callable[[], bytes]
    accept_transfers: AcceptTransfers
    read_transfers: ReadTransfers
    resolve_transfers: ResolveTransfers


class _Application(Litestar):
    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        # Litestar's own default loads Pydantic v1 and attrs, 3 MiB, for models nobody here writes.
        return [*plugins, MsgspecDIPlugin()]


def create_web_app(services: WebServices, access: ControlAccess) -> Litestar:
    """The ASGI application; it owns no connection and starts no task.

    Args:
        services: What routes may ask for.

        access: Who may call them.
    """
    app = _Application(
        route_handlers=[
            read_health,
            read_readiness,
            read_metrics,
            QuotesController,
            TreasuryController,
        ],
        dependencies={
            **{name: _provide(services, name) for name in WebServices.__struct_fields__},
            "actor": Provide(read_actor, sync_to_thread=False),
        },
        guards=[AccessGuard(access)],
        plugins=[AccessDescription()],
        request_max_body_size=BODY_BYTES_MAX,
        exception_handlers={Exception: problem_response},
        openapi_config=_openapi(),
        logging_config=None,  # the runtime sets logging up; an application that does too fights it
    )
    _ = app.openapi_schema  # built now: on the first request it would hold the event loop
    return app


def _provide(services: WebServices, name: str) -> Provide:
    return Provide(lambda: getattr(services, name), sync_to_thread=False)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Chimera S1",
        version=__version__,
        summary="Exchange connector: Binance market data to Redis Streams, and transfers.",
        description=(
            "What the service publishes, how it does, and the one thing that moves money: "
            "transfers between the wallets. Times are local epoch ms; prices and amounts are USDT; "
            "basis points only where the name says bps. Errors are problem details (RFC 9457); "
            "`code` is stable."
        ),
        tags=[
            Tag(name="quotes", description="What was published, newest first."),
            Tag(name="treasury", description="Money between the wallets, once for each key."),
            Tag(name="operation", description="For orchestrators, Prometheus and people on call."),
        ],
        components=security_components(),
        use_handler_docstrings=True,
        render_plugins=[SchemaPage(path="/")],
        openapi_router=Router(
            SCHEMA_PATH,
            route_handlers=[],
            include_in_schema=False,
            opt={"public": True},
            response_headers={"Content-Security-Policy": _NO_SCRIPTS},
            after_request=_refuse_html_not_found,
        ),
    )


async def _refuse_html_not_found(response: Response[Any]) -> Response[Any]:
    # Litestar answers unknown paths below /schema with a page of its own.
    if response.status_code == NotFoundException.status_code:
        raise NotFoundException
    return response
