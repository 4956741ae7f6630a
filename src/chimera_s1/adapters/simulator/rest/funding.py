"""`GET /fapi/v1/fundingRate`: the history of funding settlements."""

from aiohttp import web

from chimera_s1.adapters.simulator.funding.rate_history import RateHistory
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.settlements import Settlement
from chimera_s1.adapters.simulator.rest.parameters import (
    TIME_MAX_MS,
    integer,
    invalid_parameter,
    page_limit,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight

_LATEST_ROWS = 200


class FundingRoutes:
    def __init__(self, market: Market, rates: RateHistory) -> None:
        self._market = market
        self._rates = rates

    def routes(self) -> list[Route]:
        path, bucket = "/fapi/v1/fundingRate", Bucket.FUTURES_FUNDING
        return [Route("GET", path, self._rate_history, fixed_weight(1), bucket)]

    async def _rate_history(self, request: web.Request) -> object:
        """The first rows from `startTime`; without it the last ones, 200 if nothing is said."""
        query, market = request.query, self._named(request)
        limit = page_limit(query)
        end_ms = integer(query, "endTime", TIME_MAX_MS, highest=TIME_MAX_MS)
        if "startTime" not in query:
            limit = limit if {"limit", "endTime"} & set(query) else _LATEST_ROWS
            return [_row(each) for each in self._rates.last_rows(end_ms, limit, market)]
        start_ms = integer(query, "startTime", 0, highest=TIME_MAX_MS)
        if start_ms > end_ms:
            raise invalid_parameter("startTime")
        return [_row(each) for each in self._rates.first_rows(start_ms, end_ms, limit, market)]

    def _named(self, request: web.Request) -> SymbolMarket | None:
        """A delisted contract has its history, too.

        Raises:
            BinanceError: -1121, it was never listed, or is a COIN-M contract.
        """
        symbol = request.query.get("symbol")
        if symbol is None:
            return None
        market = self._market.find_funded(symbol)
        if market is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return market


def _row(row: Settlement) -> dict[str, object]:
    return {
        "symbol": row.symbol,
        "fundingRate": row.rate,
        "fundingTime": row.time_ms,
        "markPrice": row.mark_price,
        "rateType": row.rate_type,
    }
