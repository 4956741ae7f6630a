"""What Binance publishes about its instruments."""

from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from anyio.lowlevel import checkpoint
from msgspec import Raw

from chimera_s1.adapters.binance.account_key import AccountKey, KeySource, no_key
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.http_adapter import HttpAdapter
from chimera_s1.adapters.binance.http.request_limits import (
    funding_request,
    futures_weight,
    sapi_ip_weight,
)
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow, symbol_of
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.instruments import (
    funding_intervals,
    leverage_brackets,
    schedules,
)
from chimera_s1.adapters.binance.instruments.exchange_info import PATHS, read_exchange_info
from chimera_s1.adapters.binance.instruments.symbol_row import decode_spec
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec, LeverageBrackets
from chimera_s1.domain.instruments.listing_read import ListingRead, UnusableListing
from chimera_s1.domain.instruments.trading_session import TradingSession
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall

ROWS_PER_TURN = 10
"""Rows that are decoded before the event loop goes on: about 1 ms."""

_BRACKETS = RequestCall("instruments", Priority.PROBE, futures_weight(1))
_FUNDING_INFO = RequestCall("instruments", Priority.PROBE, funding_request())
_DELISTINGS = RequestCall("instruments", Priority.PROBE, sapi_ip_weight(100))
_SESSIONS = RequestCall("instruments", Priority.PROBE, futures_weight(5))

_T = TypeVar("_T")


class BinanceInstrumentSource(HttpAdapter):
    """Implements `domain.ports.instrument_source.InstrumentSource`."""

    def __init__(
        self,
        endpoints: Mapping[Venue, Endpoints],
        budgets: Mapping[Venue, WeightBudget],
        key: KeySource = no_key,
        rows: RowReader | None = None,
    ) -> None:
        super().__init__(HttpClient(endpoints, budgets))
        self._budgets = budgets
        self._key = key
        self._rows = rows or RowReader()

    async def listing(self, venue: Venue) -> ListingRead:
        """Weight 20 on spot, 1 on futures."""
        source, decode = f"GET {PATHS[venue]}", partial(decode_spec, venue)
        specs: dict[InstrumentId, InstrumentSpec] = {}
        unusable: list[UnusableListing] = []
        rows = await read_exchange_info(self._client, self._budgets, venue)
        for number, row in enumerate(rows):
            if number % ROWS_PER_TURN == 0:
                await checkpoint()
            spec = self._rows.read_row(source, row, decode)
            if isinstance(spec, UnusableRow):
                unusable.append(UnusableListing(symbol_of(row) or "", spec.reason))
            elif spec is not None and specs.setdefault(spec.instrument, spec) is not spec:
                unusable.append(UnusableListing(spec.instrument.symbol, "listed twice"))
        return ListingRead(venue, tuple(specs.values()), tuple(unusable))

    async def leverage_brackets(self) -> Mapping[Symbol, LeverageBrackets] | None:
        key = await self._key()
        if key is None:
            return None
        path = leverage_brackets.PATH
        kind = leverage_brackets.REPLY
        rows = leverage_brackets.rows(await self._get(Venue.PERP, path, kind, _BRACKETS, key))
        decode = partial(leverage_brackets.decode_brackets, key.account)
        return dict(self._rows.read(f"GET {path}", rows, decode))

    async def funding_intervals(self) -> Mapping[Symbol, int | None]:
        """Weight 0, but 500 requests in 5 min together with fundingRate."""
        path = funding_intervals.PATH
        rows = await self._get(Venue.PERP, path, list[Raw], _FUNDING_INFO)
        if not rows:
            # Nearly all contracts are in it: nothing would read as 8 h for each of them.
            raise ExchangeUnavailableError(f"GET {path}: the reply has no rows")
        intervals: dict[Symbol, int | None] = {}
        for row in rows:
            read = self._rows.read_row(f"GET {path}", row, funding_intervals.decode_interval)
            if not isinstance(read, UnusableRow):
                intervals.update([read] if read else [])
            elif symbol := symbol_of(row):
                intervals[symbol] = None
        return intervals

    async def delisting_dates(self) -> Mapping[InstrumentId, int] | None:
        """Weight 100 of the wallet API."""
        key = await self._key()
        if key is None:
            return None
        path = schedules.DELISTING_PATH
        reply = await self._get(Venue.SPOT, path, list[Raw], _DELISTINGS, key)
        dates: dict[InstrumentId, int] = {}
        for row in self._rows.read(f"GET {path}", reply, schedules.decode_delisting):
            for instrument, date in row:
                dates[instrument] = min(date, dates.get(instrument, date))
        return dates

    async def trading_sessions(self) -> Mapping[str, tuple[TradingSession, ...]]:
        """Weight 5."""
        path = schedules.SESSIONS_PATH
        schedule = await self._get(Venue.PERP, path, schedules.TradingSchedule, _SESSIONS)
        sessions: dict[str, tuple[TradingSession, ...]] = {}
        for kind, market in schedule.marketSchedules.items():
            rows = self._rows.read_row(f"GET {path}", market, schedules.session_rows)
            if not isinstance(rows, UnusableRow):
                read = self._rows.read(f"GET {path}", rows, schedules.decode_session)
                sessions[kind] = tuple(sorted(read, key=lambda session: session.start))
        return sessions

    async def _get(
        self,
        venue: Venue,
        path: str,
        kind: type[_T],
        call: RequestCall,
        key: AccountKey | None = None,
    ) -> _T:
        signer = None if key is None else key.signer_for(venue)
        return await self._client.get(venue, path, (), kind, call=call, signer=signer, strict=False)
