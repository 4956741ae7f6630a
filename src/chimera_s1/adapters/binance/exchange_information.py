"""Public REST reads: exchangeInfo and server time.

Overload answers (429, 418) name how long to stay away; until then every call to that host fails at
once instead of adding to the offence, whoever makes it (`weight_budget`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlencode

import httpx2
import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.weight_budget import (
    RATE_LIMITED_STATUSES,
    WeightBudget,
    retry_after_s,
    weight_budgets,
)
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    InvalidValueError,
)
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import TopOfBook

PUBLIC_READ_TIMEOUT_S = 10.0

_TIME_PATH = {Venue.SPOT: "/api/v3/time", Venue.PERP: "/fapi/v1/time"}
_LISTING_PATH = {Venue.SPOT: "/api/v3/exchangeInfo", Venue.PERP: "/fapi/v1/exchangeInfo"}
_DEPTH_PATH = {Venue.SPOT: "/api/v3/depth", Venue.PERP: "/fapi/v1/depth"}
_SERVER_ERROR_MIN = 500
_CLIENT_ERROR_MIN = 400

_T = TypeVar("_T")
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


class _ErrorBody(Struct):
    code: int | str = 0
    msg: str = ""


class BinanceExchangeInformation:
    """Implements `domain.ports.exchange_information.ExchangeInformation`."""

    def __init__(
        self,
        endpoints: Mapping[Venue, Endpoints],
        clock: Clock,
        budgets: Mapping[Venue, WeightBudget] | None = None,
    ) -> None:
        """Args:
        endpoints: Of all venues.

        clock: Measures how long to stay away, where no budgets are given.

        budgets: Of the hosts, where others ask them too.
        """
        self._endpoints = endpoints
        self._budgets = weight_budgets(clock) if budgets is None else budgets
        self._client = httpx2.AsyncClient(timeout=PUBLIC_READ_TIMEOUT_S, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        """Every instrument the venue lists."""
        info = _decode(venue, await self._get(venue, _LISTING_PATH[venue]), _ExchangeInfo)
        return tuple(_listings(venue, info.symbols))

    async def server_time_ms(self, venue: Venue) -> int:
        """The venue's clock, epoch ms."""
        return _decode(venue, await self._get(venue, _TIME_PATH[venue]), _ServerTime).serverTime

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook:
        """The top of book now; weight 5 on spot, 2 on futures."""
        venue = instrument.venue
        query = urlencode({"symbol": instrument.symbol, "limit": 5})
        book = _decode(venue, await self._get(venue, f"{_DEPTH_PATH[venue]}?{query}"), _Depth)
        bid, bid_qty = book.bids[0] if book.bids else (0.0, 0.0)
        ask, ask_qty = book.asks[0] if book.asks else (0.0, 0.0)
        return TopOfBook(bid, bid_qty, ask, ask_qty)

    async def _get(self, venue: Venue, path: str) -> bytes:
        url = self._endpoints[venue].rest_url + path
        left_ms = self._budgets[venue].blocked_ms()
        if left_ms > 0:
            raise ExchangeUnavailableError(
                f"{url}: {venue.value} asked us to stay away for another {left_ms / 1000:.0f} s"
            )
        try:
            reply = await self._client.get(url)
        except httpx2.HTTPError as error:
            text = str(error) or type(error).__name__
            raise ExchangeUnavailableError(f"{url}: no answer: {text}") from error
        except httpx2.InvalidURL as error:
            raise ExchangeRefusedError(f"{url}: not a URL: {error}") from error
        return self._checked_content(venue, url, reply)

    def _checked_content(self, venue: Venue, url: str, reply: httpx2.Response) -> bytes:
        self._budgets[venue].record_reply(reply.status_code, reply.headers)
        if reply.status_code in RATE_LIMITED_STATUSES:
            raise ExchangeUnavailableError(
                f"{url}: answered {reply.status_code}, staying away for "
                f"{retry_after_s(reply.headers)} s"
            )
        if reply.status_code >= _SERVER_ERROR_MIN:
            raise ExchangeUnavailableError(f"{url}: answered {reply.status_code}")
        if reply.status_code >= _CLIENT_ERROR_MIN:
            raise ExchangeRefusedError(f"{url}: answered {reply.status_code}{_error_suffix(reply)}")
        return reply.content


def _listings(venue: Venue, rows: Iterable[_SymbolRow]) -> Iterator[Listing]:
    for row in rows:
        try:
            instrument = InstrumentId(venue, parse_symbol(row.symbol))
        except InvalidValueError as error:
            # One name we cannot use must not keep all others from being served.
            _log.warning("%s lists a symbol that is passed over: %s", venue, error)
            continue
        yield Listing(instrument, row.quoteAsset, row.status == "TRADING")


def _decode(venue: Venue, content: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(content, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # An HTML page of a proxy, a truncated body: nothing was said, so nothing is known.
        raise ExchangeUnavailableError(
            f"{venue.value}: the answer is not what was asked for: {error}"
        ) from error


def _error_suffix(reply: httpx2.Response) -> str:
    try:
        refusal = msgspec.json.decode(reply.content, type=_ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return f": {refusal.code} {refusal.msg}"
