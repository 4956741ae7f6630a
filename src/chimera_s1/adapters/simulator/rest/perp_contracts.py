"""What the futures host says about contracts besides their listing: brackets, funding, sessions."""

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.leverage_brackets import (
    LeverageBracket,
    leverage_brackets,
)
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import TRADIFI_PERPETUAL, SymbolSpec
from chimera_s1.adapters.simulator.market.trading_hours import (
    UNDERLYING_TYPES,
    Session,
)
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import find_symbol
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.domain.identifiers import Venue

_FUNDED = frozenset({"PERPETUAL", TRADIFI_PERPETUAL})
_DEFAULT_FUNDING_HOURS = 8
_ABSENT_ONE_IN, _UNDATED_ONE_IN = 10, 14


class PerpContractRoutes:
    def __init__(
        self, market: Market, account: Account, authenticator: Authenticator, clock: ScaledClock
    ) -> None:
        self._market = market
        self._account = account
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        funding = Bucket.FUTURES_FUNDING
        return [
            Route("GET", "/fapi/v1/leverageBracket", self._brackets, fixed_weight(1)),
            Route("GET", "/fapi/v1/fundingInfo", self._funding_info, fixed_weight(1), funding),
            Route("GET", "/fapi/v1/tradingSchedule", self._trading_schedule, fixed_weight(5)),
        ]

    async def _brackets(self, request: web.Request) -> object:
        """An object for `symbol`, else an array."""
        parameters = await self._authenticator.authenticate_reader(request)
        symbol = parameters.get("symbol")
        if symbol is not None:
            return self._bracket_row(find_symbol(symbol, self._market, Venue.PERP).spec)
        specs = [market.spec for market in self._market.listed(Venue.PERP)]
        return [self._bracket_row(spec) for spec in specs if spec.is_usd_margined]

    def _bracket_row(self, spec: SymbolSpec) -> dict[str, object]:
        coef = self._account.notional_coef
        return {
            "symbol": spec.symbol,
            **({} if coef is None else {"notionalCoef": coef}),
            "brackets": [_bracket(each) for each in leverage_brackets(spec)],
        }

    async def _funding_info(self, _: web.Request) -> object:
        """COIN-M rows too; a few contracts that settle every eight hours are absent."""
        now_ms, markets = self._clock.now_ms(), self._market.listed(Venue.PERP)
        hours = ((market.spec, _current_hours(market, now_ms)) for market in markets)
        return [_funding_row(spec, each) for spec, each in hours if _has_funding_row(spec, each)]

    async def _trading_schedule(self, _: web.Request) -> object:
        now_ms, hours = self._clock.now_ms(), self._market.hours
        schedules = {
            kind: {"sessions": [_session(each) for each in hours.sessions(kind, now_ms)]}
            for kind in UNDERLYING_TYPES
        }
        return {"updateTime": now_ms, "marketSchedules": schedules}


def _bracket(bracket: LeverageBracket) -> dict[str, object]:
    """Numbers, not text."""
    return {
        "bracket": bracket.number,
        "initialLeverage": bracket.max_leverage,
        "notionalCap": bracket.cap,
        "notionalFloor": bracket.floor,
        "maintMarginRatio": float(bracket.maintenance_ratio),
        "cum": float(bracket.cumulated),
    }


def _current_hours(market: SymbolMarket, now_ms: int) -> int:
    """Contracts that do not trade have a row, too."""
    return market.funding.hours_after(now_ms) or market.spec.funding_hours


def _has_funding_row(spec: SymbolSpec, hours: int) -> bool:
    usual = hours == _DEFAULT_FUNDING_HOURS
    absent = usual and sum(spec.symbol.encode()) % _ABSENT_ONE_IN == 0
    return spec.contract_type in _FUNDED and not absent


def _funding_row(spec: SymbolSpec, hours: int) -> dict[str, object]:
    dated = sum(spec.symbol.encode()) % _UNDATED_ONE_IN
    return {
        "symbol": spec.symbol,
        "adjustedFundingRateCap": "0.02000000",
        "adjustedFundingRateFloor": "-0.02000000",
        "fundingIntervalHours": hours,
        "disclaimer": False,
        "updateTime": spec.onboard_ms if dated else None,
    }


def _session(session: Session) -> dict[str, object]:
    return {"startTime": session.start_ms, "endTime": session.end_ms, "type": session.kind}
