"""Endpoints of the spot host (`/sapi`) that describe coins, margin pairs and fees.

Clients read them before anything else; none of them moves money.
"""

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import ASSET, WalletName, format_amount
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import find_symbol
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.domain.identifiers import Venue

_COMMISSION = "0.001"
_PAIR_ID_BASE = 351_637_150_141_000_000
_NETWORK: dict[str, object] = {
    "network": "ETH",
    "withdrawIntegerMultiple": "0.00000001",
    "isDefault": True,
    "depositEnable": True,
    "withdrawEnable": True,
    "depositDesc": "",
    "withdrawDesc": "",
    "specialTips": "",
    "specialWithdrawTips": "",
    "name": "Ethereum (ERC20)",
    "resetAddressStatus": False,
    "addressRegex": "^(0x)[0-9A-Fa-f]{40}$",
    "memoRegex": "",
    "withdrawFee": "1",
    "withdrawMin": "10",
    "withdrawMax": "9999999999.99999999",
    "withdrawInternalMin": "0.00000001",
    "depositDust": "0.00000001",
    "minConfirm": 6,
    "unLockConfirm": 64,
    "sameAddress": False,
    "withdrawTag": False,
    "estimatedArrivalTime": 2,
    "busy": False,
    "contractAddressUrl": "https://etherscan.io/address/",
    "contractAddress": "",
}
_NOTHING = dict.fromkeys(("locked", "freeze", "withdrawing", "ipoing", "ipoable", "storage"), "0")


class AssetCatalogueRoutes:
    def __init__(self, market: Market, account: Account, authenticator: Authenticator) -> None:
        self._market = market
        self._account = account
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        ip = Bucket.SAPI_IP
        isolated = "/sapi/v1/margin/isolated/allPairs"
        return [
            Route("GET", "/sapi/v1/capital/config/getall", self._coins, fixed_weight(10), ip),
            Route("GET", "/sapi/v1/asset/tradeFee", self._trade_fees, fixed_weight(1), ip),
            Route("GET", "/sapi/v1/margin/allPairs", self._cross_pairs, fixed_weight(1), ip),
            Route("GET", isolated, self._isolated_pairs, fixed_weight(10), ip),
        ]

    async def _coins(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        specs = [market.spec for market in self._market.listed(Venue.SPOT)]
        coins = dict.fromkeys(coin for spec in specs for coin in (spec.base, spec.quote))
        return [self._coin(coin) for coin in coins]

    def _coin(self, coin: str) -> dict[str, object]:
        free = self._account.balance(WalletName.SPOT) if coin == ASSET else None
        return {
            "coin": coin,
            "depositAllEnable": True,
            "withdrawAllEnable": True,
            "name": coin,
            "free": "0" if free is None else format_amount(free),
            **_NOTHING,
            "isLegalMoney": False,
            "trading": True,
            "networkList": [{**_NETWORK, "coin": coin}],
        }

    async def _trade_fees(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        return [
            {
                "symbol": market.spec.symbol,
                "makerCommission": _COMMISSION,
                "takerCommission": _COMMISSION,
            }
            for market in self._named(parameters.get("symbol"))
        ]

    async def _cross_pairs(self, request: web.Request) -> object:
        return [
            {**_pair(market), "id": _PAIR_ID_BASE + number}
            for number, market in enumerate(self._margin_pairs(request))
        ]

    async def _isolated_pairs(self, request: web.Request) -> object:
        return [_pair(market) for market in self._margin_pairs(request)]

    def _margin_pairs(self, request: web.Request) -> list[SymbolMarket]:
        self._authenticator.check_key(request)
        named = self._named(request.query.get("symbol"))
        return [market for market in named if market.spec.margin_pair]

    def _named(self, symbol: str | None) -> list[SymbolMarket]:
        """All symbols, or the one that is named."""
        if symbol is None:
            return self._market.listed(Venue.SPOT)
        return [find_symbol(symbol, self._market, Venue.SPOT)]


def _pair(market: SymbolMarket) -> dict[str, object]:
    spec = market.spec
    return {
        "base": spec.base,
        "isBuyAllowed": True,
        "isMarginTrade": True,
        "isSellAllowed": True,
        "quote": spec.quote,
        "symbol": spec.symbol,
    }
