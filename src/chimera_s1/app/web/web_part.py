"""What a capability contributes to the HTTP API."""

from collections.abc import Callable, Mapping

from litestar.openapi.spec import Tag
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind


def _nothing_to_end() -> None:
    """For a part without endless responses."""


class WebPart(Struct, frozen=True, kw_only=True):
    """Routes and what they need.

    Attributes:
        dependencies: Values for the parameters of routes, by name.
        other_kinds: Problem kinds without an error class.
        end_streams: Ends endless responses; called when serving stops.
    """

    routes: tuple[ControllerRouterHandler, ...] = ()
    dependencies: Mapping[str, object] = {}
    kind_by_error: KindByError = {}
    other_kinds: tuple[ProblemKind, ...] = ()
    tags: tuple[Tag, ...] = ()
    end_streams: Callable[[], None] = _nothing_to_end
