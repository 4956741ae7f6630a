"""What a capability contributes to the HTTP API."""

from collections.abc import Callable, Mapping

from litestar.openapi.spec import Tag
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind


def _nothing_to_end() -> None:
    """No response of this part goes on for ever."""


class WebPart(Struct, frozen=True, kw_only=True):
    """Routes and what they need.

    Attributes:
        dependencies: What a route may ask for, by the name of its parameter.
        kind_by_error: The problems that its errors are.
        other_kinds: Problems that no error class stands for.
        end_streams: Ends every response that would not end by itself; called when serving stops.
    """

    routes: tuple[ControllerRouterHandler, ...] = ()
    dependencies: Mapping[str, object] = {}
    kind_by_error: KindByError = {}
    other_kinds: tuple[ProblemKind, ...] = ()
    tags: tuple[Tag, ...] = ()
    end_streams: Callable[[], None] = _nothing_to_end
