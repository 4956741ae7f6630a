"""REST endpoints and the weight of their requests."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec import Struct

from chimera_s1.adapters.simulator.limits.rules import Bucket

RouteHandler = Callable[[web.Request], Awaitable[object]]
"""Returns the reply, to be encoded as JSON, or raises BinanceError."""

Weight = Callable[[web.Request], int]


class Route(Struct, frozen=True):
    """One endpoint.

    Attributes:
        weight: Of a request; it may depend on the parameters.
        bucket: None means the weight of the venue.
        refused_weight: Of a refused spot order or cancel; those that are accepted have none.
    """

    method: str
    path: str
    handler: RouteHandler
    weight: Weight
    bucket: Bucket | None = None
    refused_weight: int = 0


def fixed_weight(weight: int) -> Weight:
    return lambda _: weight


def weight_by_symbol(with_symbol: int, without: int) -> Weight:
    return lambda request: with_symbol if "symbol" in request.query else without
