"""Signed endpoints of the futures host (`/fapi`): account and balance."""

from decimal import Decimal

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    WalletName,
    format_amount_fixed,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.domain.identifiers import Venue

_ZERO = format_amount_fixed(Decimal(0))
_FLAT = {
    "initialMargin": _ZERO,
    "maintMargin": _ZERO,
    "unrealizedProfit": _ZERO,
    "positionInitialMargin": _ZERO,
    "openOrderInitialMargin": _ZERO,
}
_TRADING_STATE = {
    "feeTier": 0,
    "feeBurn": True,
    "canTrade": True,
    "canDeposit": True,
    "canWithdraw": True,
    "updateTime": 0,
    "multiAssetsMargin": False,
    "tradeGroupId": -1,
}


class PerpAccountRoutes:
    """The account shows no positions: the simulator matches no orders."""

    def __init__(
        self, market: Market, account: Account, authenticator: Authenticator, clock: ScaledClock
    ) -> None:
        self._market = market
        self._account = account
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/fapi/v2/balance", self._balance, fixed_weight(5)),
            Route("GET", "/fapi/v3/balance", self._balance, fixed_weight(5)),
            Route("GET", "/fapi/v2/account", self._account_v2, fixed_weight(5)),
            Route("GET", "/fapi/v3/account", self._account_v3, fixed_weight(5)),
        ]

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

    async def _account_v2(self, request: web.Request) -> object:
        """With a position for every listed contract, and the state of trading."""
        await self._authenticator.authenticate_reader(request)
        listed = self._market.listed(Venue.PERP)
        symbols = [market.spec.symbol for market in listed if market.spec.is_usd_margined]
        asset = {**self._asset(), "marginAvailable": True}
        positions = [_flat_position(symbol) for symbol in symbols]
        return {**_TRADING_STATE, **self._totals(), "assets": [asset], "positions": positions}

    async def _account_v3(self, request: web.Request) -> object:
        """With the open positions only: none."""
        await self._authenticator.authenticate_reader(request)
        return {**self._totals(), "assets": [self._asset()], "positions": []}

    def _totals(self) -> dict[str, object]:
        amount = format_amount_fixed(self._account.balance(WalletName.FUT))
        return {
            "totalInitialMargin": _ZERO,
            "totalMaintMargin": _ZERO,
            "totalWalletBalance": amount,
            "totalUnrealizedProfit": _ZERO,
            "totalMarginBalance": amount,
            "totalPositionInitialMargin": _ZERO,
            "totalOpenOrderInitialMargin": _ZERO,
            "totalCrossWalletBalance": amount,
            "totalCrossUnPnl": _ZERO,
            "availableBalance": amount,
            "maxWithdrawAmount": amount,
        }

    def _asset(self) -> dict[str, object]:
        amount = format_amount_fixed(self._account.balance(WalletName.FUT))
        return {
            "asset": ASSET,
            "walletBalance": amount,
            "marginBalance": amount,
            **_FLAT,
            "crossWalletBalance": amount,
            "crossUnPnl": _ZERO,
            "availableBalance": amount,
            "maxWithdrawAmount": amount,
            "updateTime": self._clock.now_ms(),
        }


def _flat_position(symbol: str) -> dict[str, object]:
    return {
        "symbol": symbol,
        **_FLAT,
        "leverage": "20",
        "isolated": False,
        "entryPrice": "0.0",
        "breakEvenPrice": "0.0",
        "maxNotional": "250000",
        "bidNotional": "0",
        "askNotional": "0",
        "positionSide": "BOTH",
        "positionAmt": "0",
        "updateTime": 0,
    }
