"""`/fapi` settings of the account and of its symbols."""

from aiohttp import web

from chimera_s1.adapters.simulator.market.leverage_brackets import largest_notional
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.fees import PERP_FEES
from chimera_s1.adapters.simulator.matching.perp_desk import PerpDesk
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import required
from chimera_s1.adapters.simulator.rest.perp_order_parameters import required_spec
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.domain.identifiers import Venue

_DONE = {"code": 200, "msg": "success"}
_FLAG = "true|false|TRUE|FALSE|True|False"


class PerpSettingRoutes:
    def __init__(self, desk: PerpDesk, market: Market, authenticator: Authenticator) -> None:
        self._desk = desk
        self._market = market
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        one, five, thirty = fixed_weight(1), fixed_weight(5), fixed_weight(30)
        return [
            Route("GET", "/fapi/v1/positionSide/dual", self._position_mode, thirty),
            Route("POST", "/fapi/v1/positionSide/dual", self._change_position_mode, one),
            Route("GET", "/fapi/v1/multiAssetsMargin", self._multi_assets, thirty),
            Route("POST", "/fapi/v1/multiAssetsMargin", self._change_multi_assets, one),
            Route("POST", "/fapi/v1/leverage", self._change_leverage, one),
            Route("POST", "/fapi/v1/marginType", self._change_margin_type, one),
            Route("GET", "/fapi/v1/symbolConfig", self._symbols, five),
            Route("GET", "/fapi/v1/accountConfig", self._account, five),
            Route("GET", "/fapi/v1/commissionRate", self._commission, fixed_weight(20)),
            Route("POST", "/fapi/v1/stock/contract", self._sign_tradfi, fixed_weight(50)),
        ]

    async def _position_mode(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        return {"dualSidePosition": self._desk.settings.hedge_mode}

    async def _change_position_mode(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        mode = required(parameters, "dualSidePosition", _FLAG)
        self._desk.change_hedge_mode(mode.lower() == "true")
        return _DONE

    async def _multi_assets(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        return {"multiAssetsMargin": self._desk.settings.multi_assets}

    async def _change_multi_assets(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        mode = required(parameters, "multiAssetsMargin", _FLAG)
        self._desk.change_multi_assets(mode.lower() == "true")
        return _DONE

    async def _change_leverage(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        spec = required_spec(parameters, self._market)
        leverage = int(required(parameters, "leverage", r"[0-9]{1,20}"))
        self._desk.change_leverage(spec.symbol, leverage)
        cap = largest_notional(spec, leverage)
        return {"symbol": spec.symbol, "leverage": leverage, "maxNotionalValue": str(cap)}

    async def _change_margin_type(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_futures_trader(request)
        spec = required_spec(parameters, self._market)
        kind = required(parameters, "marginType", r".*")
        self._desk.change_margin_type(spec.symbol, kind)
        return _DONE

    async def _symbols(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        if "symbol" in parameters:
            return [self._symbol(required_spec(parameters, self._market))]
        specs = (each.spec for each in self._market.listed(Venue.PERP))
        return [self._symbol(spec) for spec in specs if spec.is_usd_margined]

    def _symbol(self, spec: SymbolSpec) -> dict[str, object]:
        settings = self._desk.settings
        leverage = settings.leverage(spec.symbol)
        return {
            "symbol": spec.symbol,
            "marginType": settings.margin_type(spec.symbol),
            "isAutoAddMargin": False,
            "leverage": leverage,
            "maxNotionalValue": str(largest_notional(spec, leverage)),
        }

    async def _commission(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        return {
            "symbol": required_spec(parameters, self._market).symbol,
            "makerCommissionRate": format(PERP_FEES.maker, ".6f"),
            "takerCommissionRate": format(PERP_FEES.taker, ".6f"),
            "rpiCommissionRate": format(PERP_FEES.maker, ".6f"),
        }

    async def _account(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        settings = self._desk.settings
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": settings.hedge_mode,
            "updateTime": 0,
            "multiAssetsMargin": settings.multi_assets,
            "tradeGroupId": -1,
        }

    async def _sign_tradfi(self, request: web.Request) -> object:
        await self._authenticator.authenticate_futures_trader(request)
        self._desk.sign_tradfi()
        return _DONE
