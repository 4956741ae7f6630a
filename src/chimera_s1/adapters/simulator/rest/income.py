"""`GET /fapi/v1/income`: transfers, and what funding was paid and received."""

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import islice

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import ASSET, Income, format_amount_fixed
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.income import FundingFee, FundingIncome
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import DAY_MS, page_limit, time_window
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight

_OLDEST_MS = 92 * DAY_MS
_TRANSFER = "TRANSFER"
_Row = dict[str, object]


class IncomeRoutes:
    def __init__(
        self,
        account: Account,
        funding: FundingIncome,
        authenticator: Authenticator,
        clock: ScaledClock,
    ) -> None:
        self._account = account
        self._funding = funding
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        return [Route("GET", "/fapi/v1/income", self._income, fixed_weight(30))]

    async def _income(self, request: web.Request) -> object:
        """By time; of the last three months only."""
        parameters = await self._authenticator.authenticate_reader(request)
        if "page" in parameters:
            sent = len(parameters)
            raise BinanceError(
                -1104,
                f"Not all sent parameters were read; read '{sent - 1}' parameter(s) but was sent "
                f"'{sent}'.",
            )
        now_ms = self._clock.now_ms()
        since_ms, until_ms = time_window(parameters, now_ms)
        start_ms = max(since_ms, now_ms - _OLDEST_MS)
        limit, kind = page_limit(parameters), parameters.get("incomeType")
        rows = self._rows(start_ms, until_ms, parameters)
        return list(islice((row for row in rows if kind in {None, row["incomeType"]}), limit))

    def _rows(self, start_ms: int, end_ms: int, parameters: Mapping[str, str]) -> Iterator[_Row]:
        symbol, lag_ms = parameters.get("symbol"), self._account.income_lag_ms
        fees = self._funding.fees(start_ms, end_ms, symbol, lag_ms)
        transfers = () if symbol else self._account.income()
        moved = (_transfer(each) for each in transfers if start_ms <= each.at_ms <= end_ms)
        return merge(moved, map(_fee, fees), key=_time_of)


def _time_of(row: _Row) -> int:
    time_ms = row["time"]
    assert isinstance(time_ms, int)
    return time_ms


def _transfer(income: Income) -> _Row:
    return {
        "symbol": "",
        "incomeType": _TRANSFER,
        "income": format_amount_fixed(income.amount),
        "asset": ASSET,
        "info": _TRANSFER,
        "time": income.at_ms,
        "tranId": income.tran_id,
        "tradeId": "",
    }


def _fee(fee: FundingFee) -> _Row:
    return {
        "symbol": fee.symbol,
        "incomeType": fee.type,
        "income": format_amount_fixed(fee.amount),
        "asset": fee.asset,
        "info": fee.type,
        "time": fee.time_ms,
        "tranId": fee.tran_id,
        "tradeId": "",
    }
