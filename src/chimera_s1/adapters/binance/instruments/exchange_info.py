"""`exchangeInfo`: the rows of a venue's listing, and the limits of requests."""

from collections.abc import Mapping

from msgspec import Raw, Struct

from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.request_limits import (
    futures_weight,
    read_rate_limits,
    spot_weight,
)
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import LimitSource, Priority
from chimera_s1.domain.operations.request_budget import RequestCall

PATHS = {Venue.SPOT: "/api/v3/exchangeInfo", Venue.PERP: "/fapi/v1/exchangeInfo"}
_PARAMETERS = {
    Venue.SPOT: (("showPermissionSets", "false"),),  # hundreds of names a symbol otherwise
    Venue.PERP: (),
}
_CALLS = {
    Venue.SPOT: RequestCall("listings", Priority.PROBE, spot_weight(20)),
    Venue.PERP: RequestCall("listings", Priority.PROBE, futures_weight(1)),
}


class ExchangeInfo(Struct):
    symbols: list[Raw]
    rateLimits: list[Raw] = []  # noqa: N815 (Binance's name)


async def read_exchange_info(
    client: HttpClient, budgets: Mapping[Venue, WeightBudget], venue: Venue
) -> list[Raw]:
    """The rows of *venue*; *budgets* learn the limits that come with them."""
    path, parameters, call = PATHS[venue], _PARAMETERS[venue], _CALLS[venue]
    info = await client.get(venue, path, parameters, ExchangeInfo, call=call, strict=False)
    for name, limit in read_rate_limits(venue, info.rateLimits):
        budgets[venue].requests.learn(name, limit, LimitSource.EXCHANGE)
    return info.symbols
