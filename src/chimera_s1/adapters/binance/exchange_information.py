"""Public reads: exchangeInfo, server time and the top of book."""

from collections.abc import Mapping
from functools import partial

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.http_adapter import HttpAdapter
from chimera_s1.adapters.binance.http.request_limits import (
    futures_weight,
    spot_weight,
)
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.adapters.binance.instruments.exchange_info import PATHS, read_exchange_info
from chimera_s1.adapters.binance.instruments.symbol_row import decode_listing
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import TopOfBook

_TIME_PATH = {Venue.SPOT: "/api/v3/time", Venue.PERP: "/fapi/v1/time"}
_DEPTH_PATH = {Venue.SPOT: "/api/v3/depth", Venue.PERP: "/fapi/v1/depth"}

_CLOCK_CALL = {
    # A wait would be measured as part of the round trip.
    Venue.SPOT: RequestCall("clock", Priority.PROBE, spot_weight(1), patience_ms=0),
    Venue.PERP: RequestCall("clock", Priority.PROBE, futures_weight(1), patience_ms=0),
}
_DEPTH_CALL = {
    Venue.SPOT: RequestCall("liveness", Priority.PROBE, spot_weight(5)),
    Venue.PERP: RequestCall("liveness", Priority.PROBE, futures_weight(2)),
}


class _ServerTime(Struct):
    serverTime: int  # noqa: N815 (Binance's name)


class _Depth(Struct):
    lastUpdateId: int  # noqa: N815 (Binance's name)
    bids: list[msgspec.Raw]
    asks: list[msgspec.Raw]


class BinanceExchangeInformation(HttpAdapter):
    """Implements `domain.ports.exchange_information.ExchangeInformation`."""

    def __init__(
        self,
        endpoints: Mapping[Venue, Endpoints],
        clock: Clock,
        budgets: Mapping[Venue, WeightBudget] | None = None,
        rows: RowReader | None = None,
    ) -> None:
        # Without budgets: nothing else in this process uses the hosts.
        self._budgets = weight_budgets(clock) if budgets is None else budgets
        super().__init__(HttpClient(endpoints, self._budgets))
        self._rows = rows or RowReader()

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        rows = await read_exchange_info(self._client, self._budgets, venue)
        source, decode = f"GET {PATHS[venue]}", partial(decode_listing, venue)
        return tuple(filter(None, self._rows.read(source, rows, decode)))

    async def server_time_ms(self, venue: Venue) -> int:
        path, call = _TIME_PATH[venue], _CLOCK_CALL[venue]
        time = await self._client.get(venue, path, (), _ServerTime, call=call, strict=False)
        return time.serverTime

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook:
        venue, parameters = instrument.venue, (("symbol", instrument.symbol), ("limit", "5"))
        path, call = _DEPTH_PATH[venue], _DEPTH_CALL[venue]
        book = await self._client.get(venue, path, parameters, _Depth, call=call, strict=False)
        try:
            (bid, bid_qty), (ask, ask_qty) = _first_level(book.bids), _first_level(book.asks)
        except msgspec.DecodeError as error:
            raise ExchangeUnavailableError(f"{instrument}: unusable best level: {error}") from error
        return TopOfBook(bid, bid_qty, ask, ask_qty, book.lastUpdateId)


def _first_level(levels: list[msgspec.Raw]) -> tuple[float, float]:
    # Only this one is used, so an odd one behind it must not spoil it.
    if not levels:
        return 0.0, 0.0
    return msgspec.json.decode(levels[0], type=tuple[float, float], strict=False)
