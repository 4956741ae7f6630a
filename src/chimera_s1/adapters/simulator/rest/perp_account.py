"""Signed endpoints of the futures host (`/fapi`): account, balance and positions."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from aiohttp import web

from chimera_s1.adapters.simulator.account.movements import ASSET, format_amount_fixed
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.matching.perp_margin import PositionRisk
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.perp_order_parameters import Parameters, required_spec
from chimera_s1.adapters.simulator.rest.perp_position_views import (
    account_position_v2,
    account_position_v3,
    flat_risk,
    position_v2,
    position_v3,
)
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.domain.identifiers import Venue

_TRADING_STATE = {
    "feeTier": 0,
    "feeBurn": True,
    "canTrade": True,
    "canDeposit": True,
    "canWithdraw": True,
    "updateTime": 0,
    "tradeGroupId": -1,
}


class PerpAccountRoutes:
    def __init__(
        self, desk: PerpDesk, market: Market, authenticator: Authenticator, clock: ScaledClock
    ) -> None:
        self._desk = desk
        self._market = market
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        five = fixed_weight(5)
        return [
            Route("GET", "/fapi/v2/balance", self._balance, five),
            Route("GET", "/fapi/v3/balance", self._balance, five),
            Route("GET", "/fapi/v2/account", self._account_v2, five),
            Route("GET", "/fapi/v3/account", self._account_v3, five),
            Route("GET", "/fapi/v2/positionRisk", self._positions_v2, five),
            Route("GET", "/fapi/v3/positionRisk", self._positions_v3, five),
        ]

    async def _balance(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        margin, now_ms = self._desk.margin(), self._clock.now_ms()
        rows = []
        for balance in self._desk.balances():
            is_margin = balance.asset == ASSET
            free = margin.available if is_margin else balance.free
            unrealized = margin.unrealized if is_margin else Decimal(0)
            amount = format_amount_fixed(balance.free)
            rows.append(
                {
                    "accountAlias": "SgsR",
                    "asset": balance.asset,
                    "balance": amount,
                    "crossWalletBalance": amount,
                    "crossUnPnl": format_amount_fixed(unrealized),
                    "availableBalance": format_amount_fixed(free),
                    "maxWithdrawAmount": format_amount_fixed(free),
                    "marginAvailable": True,
                    "updateTime": now_ms,
                }
            )
        return rows

    async def _account_v2(self, request: web.Request) -> object:
        """With a position for every listed contract, and the state of trading."""
        await self._authenticator.authenticate_reader(request)
        settings = self._desk.settings
        assets = [{**each, "marginAvailable": True} for each in self._assets()]
        return {
            **_TRADING_STATE,
            "multiAssetsMargin": settings.multi_assets,
            **self._totals(),
            "assets": assets,
            "positions": [account_position_v2(each, settings) for each in self._every_position()],
        }

    async def _account_v3(self, request: web.Request) -> object:
        """With the open positions only."""
        await self._authenticator.authenticate_reader(request)
        positions = [account_position_v3(each) for each in self._desk.position_risks()]
        return {**self._totals(), "assets": self._assets(), "positions": positions}

    async def _positions_v2(self, request: web.Request) -> object:
        """Of every listed contract, or of `symbol`."""
        parameters = await self._authenticator.authenticate_reader(request)
        named = self._named(parameters)
        risks = (each for each in self._every_position() if named in {None, _symbol(each)})
        return [self._row_v2(each) for each in risks]

    def _row_v2(self, risk: PositionRisk) -> dict[str, Any]:
        spec = required_spec({"symbol": _symbol(risk)}, self._market)
        return position_v2(risk, spec, self._desk.settings)

    async def _positions_v3(self, request: web.Request) -> object:
        """Of contracts with a position or an open order."""
        parameters = await self._authenticator.authenticate_reader(request)
        named = self._named(parameters)
        ordered = {each.symbol for each in self._desk.open_orders(named)}
        risks = self._desk.position_risks()
        flat = (flat_risk(each, "BOTH") for each in sorted(ordered - set(map(_symbol, risks))))
        return [position_v3(each) for each in (*risks, *flat) if named in {None, _symbol(each)}]

    def _named(self, parameters: Parameters) -> str | None:
        return required_spec(parameters, self._market).symbol if "symbol" in parameters else None

    def _every_position(self) -> Iterator[PositionRisk]:
        """Flat ones, too: LONG and SHORT in hedge mode, else BOTH."""
        sides = ("LONG", "SHORT") if self._desk.settings.hedge_mode else ("BOTH",)
        held = {(_symbol(each), each.position.side): each for each in self._desk.position_risks()}
        for market in self._market.listed(Venue.PERP):
            if market.spec.is_usd_margined:
                symbol = market.spec.symbol
                yield from (held.get((symbol, side)) or flat_risk(symbol, side) for side in sides)

    def _totals(self) -> dict[str, object]:
        margin = self._desk.margin()
        amounts = {
            "totalInitialMargin": margin.position_margin + margin.order_margin,
            "totalMaintMargin": margin.maintenance_margin,
            "totalWalletBalance": margin.wallet,
            "totalUnrealizedProfit": margin.unrealized,
            "totalMarginBalance": margin.wallet + margin.unrealized,
            "totalPositionInitialMargin": margin.position_margin,
            "totalOpenOrderInitialMargin": margin.order_margin,
            "totalCrossWalletBalance": margin.wallet,
            "totalCrossUnPnl": margin.unrealized,
            "availableBalance": margin.available,
            "maxWithdrawAmount": margin.available,
        }
        return {name: format_amount_fixed(amount) for name, amount in amounts.items()}

    def _assets(self) -> list[dict[str, object]]:
        return [self._asset(each.asset, each.free) for each in self._desk.balances()]

    def _asset(self, asset: str, wallet: Decimal) -> dict[str, object]:
        margin, zero = self._desk.margin(), Decimal(0)
        held = asset == ASSET
        unrealized = margin.unrealized if held else zero
        amounts = {
            "walletBalance": wallet,
            "unrealizedProfit": unrealized,
            "marginBalance": wallet + unrealized,
            "maintMargin": margin.maintenance_margin if held else zero,
            "initialMargin": margin.position_margin + margin.order_margin if held else zero,
            "positionInitialMargin": margin.position_margin if held else zero,
            "openOrderInitialMargin": margin.order_margin if held else zero,
            "crossWalletBalance": wallet,
            "crossUnPnl": unrealized,
            "availableBalance": margin.available if held else wallet,
            "maxWithdrawAmount": margin.available if held else wallet,
        }
        texts = {name: format_amount_fixed(amount) for name, amount in amounts.items()}
        return {"asset": asset, **texts, "updateTime": self._clock.now_ms()}


def _symbol(risk: PositionRisk) -> str:
    return risk.position.symbol
