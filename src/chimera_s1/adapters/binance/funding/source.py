"""What Binance publishes about funding settlements."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from anyio.lowlevel import checkpoint
from msgspec import Raw, Struct

from chimera_s1.adapters.binance import income
from chimera_s1.adapters.binance.account_key import KeySource, no_key
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.funding import rate_rows, spot_candle
from chimera_s1.adapters.binance.funding.income_rows import INCOME_TYPES, decode_income
from chimera_s1.adapters.binance.http.client import HttpClient, UnknownSymbolError
from chimera_s1.adapters.binance.http.http_adapter import HttpAdapter
from chimera_s1.adapters.binance.http.request_limits import funding_request, spot_weight
from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow, symbol_of
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    InvalidValueError,
)
from chimera_s1.domain.identifiers import Symbol, Venue, parse_symbol
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.funding_source import AssetPrice, IncomePage, NoPrice, RatePage

ROWS_PER_TURN = 100
"""Rows that are decoded before the event loop goes on: less than 1 ms."""

# The whole bucket is free again after 5 min: a backfill waits for it.
_RATES = RequestCall("funding.rates", Priority.BACKFILL, funding_request(), patience_ms=6 * 60_000)
_INCOME = RequestCall("funding.income", Priority.BACKFILL, income.CHARGES)
_CANDLE = RequestCall("funding.price", Priority.BACKFILL, spot_weight(2))

_T = TypeVar("_T")


class _Decoded(Struct, Generic[_T]):
    """What can be used of a page, why other rows cannot, and whose those are; None: anyone's."""

    usable: list[_T]
    unusable: list[str]
    unusable_of: frozenset[Symbol] | None


class BinanceFundingSource(HttpAdapter):
    """Implements `domain.ports.funding_source.FundingSource`.

    Attributes:
        passed_over: Rows about COIN-M contracts, since the start.
    """

    def __init__(
        self,
        endpoints: Mapping[Venue, Endpoints],
        budgets: Mapping[Venue, WeightBudget],
        key: KeySource = no_key,
        rows: RowReader | None = None,
    ) -> None:
        self.passed_over = 0
        super().__init__(HttpClient(endpoints, budgets))
        self._key = key
        self._rows = rows or RowReader()

    async def rates(self, start: int, end: int, symbol: Symbol | None = None) -> RatePage:
        """Weight 0, but 500 requests in 5 min together with fundingInfo."""
        parameters = rate_rows.page_parameters(start, end, symbol)
        rows = await self._client.get(
            Venue.PERP, rate_rows.PATH, parameters, list[Raw], call=_RATES
        )
        found = await self._decode(rate_rows.PATH, rows, rate_rows.decode_rate)
        is_full = len(rows) >= rate_rows.PAGE_ROWS
        return RatePage(tuple(found.usable), tuple(found.unusable), is_full, found.unusable_of)

    async def account(self) -> str | None:
        key = await self._key()
        return None if key is None else key.account

    async def income(self, start: int, end: int, rate_type: str) -> IncomePage:
        """Weight 30."""
        key = await self._key()
        if key is None:
            raise ExchangeRefusedError(f"GET {income.PATH}: there is no exchange key to ask with")
        parameters = income.page_parameters(INCOME_TYPES.get(rate_type, rate_type), start, end)
        signer = key.signer_for(Venue.PERP)
        rows = await self._client.get(
            Venue.PERP, income.PATH, parameters, list[Raw], call=_INCOME, signer=signer
        )
        found = await self._decode(income.PATH, rows, decode_income)
        return IncomePage(
            key.account,
            tuple(found.usable),
            tuple(found.unusable),
            len(rows) >= income.PAGE_ROWS,
            found.unusable_of,
        )

    async def usdt_price(self, asset: str, time: int) -> AssetPrice:
        """Weight 2 on spot."""
        path = spot_candle.PATH
        try:
            market = parse_symbol(f"{asset}USDT")
            parameters = spot_candle.candle_parameters(market, time)
            rows = await self._client.get(Venue.SPOT, path, parameters, list[Raw], call=_CANDLE)
        except (InvalidValueError, UnknownSymbolError):
            return NoPrice.NO_MARKET
        if not rows:
            return NoPrice.NO_CANDLE
        (candle,) = self._rows.read(f"GET {path}", rows[:1], spot_candle.decode_candle)
        if candle.opened != spot_candle.minute_of(time):
            raise ExchangeUnavailableError(
                f"GET {path}: {market} at {time}: the candle is of {candle.opened}"
            )
        return candle

    async def _decode(
        self, path: str, rows: list[Raw], decode: Callable[[Raw], _T | None]
    ) -> "_Decoded[_T]":
        found = _Decoded[_T]([], [], frozenset())
        for number, row in enumerate(rows):
            if number % ROWS_PER_TURN == 0:
                await checkpoint()
            decoded = self._rows.read_row(f"GET {path}", row, decode)
            if isinstance(decoded, UnusableRow):
                found.unusable.append(f"{decoded.name}: {decoded.reason}")
                symbol = symbol_of(row)
                known = found.unusable_of
                found.unusable_of = known | {symbol} if symbol and known is not None else None
            elif decoded is None:
                self.passed_over += 1
            else:
                found.usable.append(decoded)
        return found
