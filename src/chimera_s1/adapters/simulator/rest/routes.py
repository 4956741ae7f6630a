"""REST endpoints and the weight of their requests."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec import Struct

from chimera_s1.adapters.simulator.rest.weight_limit import WeightLimit

RouteHandler = Callable[[web.Request], Awaitable[object]]
"""Returns the reply, to be encoded as JSON, or raises BinanceError."""

Weight = Callable[[web.Request], int]


class RouteLimit(Struct, frozen=True):
    """A weight limit, and the headers that show its use in every reply."""

    weight_limit: WeightLimit
    headers: tuple[str, ...] = ("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M")


class Route(Struct, frozen=True):
    """One endpoint.

    Attributes:
        weight: Of a request; it may depend on the parameters.
        limit: None means the venue's own.
    """

    method: str
    path: str
    handler: RouteHandler
    weight: Weight
    limit: RouteLimit | None = None


def fixed_weight(weight: int) -> Weight:
    return lambda _: weight


def weight_by_symbol(with_symbol: int, without: int) -> Weight:
    return lambda request: with_symbol if "symbol" in request.query else without
