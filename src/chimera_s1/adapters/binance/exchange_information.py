"""Public reads: exchangeInfo, server time and the top of book."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from msgspec import Struct

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import TopOfBook

_TIME_PATH = {Venue.SPOT: "/api/v3/time", Venue.PERP: "/fapi/v1/time"}
_LISTING_PATH = {Venue.SPOT: "/api/v3/exchangeInfo", Venue.PERP: "/fapi/v1/exchangeInfo"}
_DEPTH_PATH = {Venue.SPOT: "/api/v3/depth", Venue.PERP: "/fapi/v1/depth"}

_log = logging.getLogger(__name__)


class _ServerTime(Struct):
    serverTime: int  # noqa: N815 (Binance's name)


class _SymbolRow(Struct):
    symbol: str
    status: str
    quoteAsset: str  # noqa: N815 (Binance's name)


class _ExchangeInfo(Struct):
    symbols: list[_SymbolRow]


class _Depth(Struct):
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class BinanceExchangeInformation:
    """Implements `domain.ports.exchange_information.ExchangeInformation`."""

    def __init__(
        self,
        endpoints: Mapping[Venue, Endpoints],
        clock: Clock,
        budgets: Mapping[Venue, WeightBudget] | None = None,
    ) -> None:
        # Without budgets: nothing else in this process uses the hosts.
        self._client = HttpClient(endpoints, weight_budgets(clock) if budgets is None else budgets)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        info = await self._client.get(venue, _LISTING_PATH[venue], (), _ExchangeInfo, strict=False)
        return tuple(_listings(venue, info.symbols))

    async def server_time_ms(self, venue: Venue) -> int:
        time = await self._client.get(venue, _TIME_PATH[venue], (), _ServerTime, strict=False)
        return time.serverTime

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook:
        """Weight 5 on spot, 2 on futures."""
        venue, parameters = instrument.venue, (("symbol", instrument.symbol), ("limit", "5"))
        book = await self._client.get(venue, _DEPTH_PATH[venue], parameters, _Depth, strict=False)
        bid, bid_qty = book.bids[0] if book.bids else (0.0, 0.0)
        ask, ask_qty = book.asks[0] if book.asks else (0.0, 0.0)
        return TopOfBook(bid, bid_qty, ask, ask_qty)


def _listings(venue: Venue, rows: Iterable[_SymbolRow]) -> Iterator[Listing]:
    for row in rows:
        try:
            instrument = InstrumentId(venue, parse_symbol(row.symbol))
        except InvalidValueError as error:
            # One unusable name must not keep all others from being served.
            _log.warning("%s: skipping a listed symbol: %s", venue, error)
            continue
        yield Listing(instrument, row.quoteAsset, row.status == "TRADING")
