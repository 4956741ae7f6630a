"""Signed endpoints of the futures host (`/fapi`): balance and income."""

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    Income,
    WalletName,
    format_amount_fixed,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import DAY_MS, integer, time_window
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight

_OLDEST_MS = 92 * DAY_MS
_LIMIT_DEFAULT, _LIMIT_MAX = 100, 1000
_TRANSFER = "TRANSFER"


class PerpAccountRoutes:
    def __init__(self, account: Account, authenticator: Authenticator, clock: ScaledClock) -> None:
        self._account = account
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/fapi/v1/income", self._income, fixed_weight(30)),
            Route("GET", "/fapi/v3/balance", self._balance, fixed_weight(5)),
        ]

    async def _income(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        now = self._clock.now_ms()
        since, until = time_window(parameters, now)
        limit = integer(parameters, "limit", _LIMIT_DEFAULT, lowest=1, highest=_LIMIT_MAX)
        if parameters.get("incomeType", _TRANSFER) != _TRANSFER or "symbol" in parameters:
            return []
        oldest = max(since, now - _OLDEST_MS)
        found = [each for each in self._account.income() if oldest <= each.at_ms <= until]
        return [_income_row(each) for each in found[:limit]]

    async def _balance(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        amount = format_amount_fixed(self._account.balance(WalletName.FUT))
        row = {
            "accountAlias": "SgsR",
            "asset": ASSET,
            "balance": amount,
            "crossWalletBalance": amount,
            "crossUnPnl": "0.00000000",
            "availableBalance": amount,
            "maxWithdrawAmount": amount,
            "marginAvailable": True,
            "updateTime": self._clock.now_ms(),
        }
        return [row]


def _income_row(income: Income) -> dict[str, object]:
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
