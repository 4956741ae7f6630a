"""The spot account: balances, commission, its trades and its count of orders.

SPOT rest-api.md "Account endpoints".
"""

from aiohttp import web

from chimera_s1.adapters.simulator.account.movements import format_amount_fixed
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.matching.fees import BNB, SPOT_FEES
from chimera_s1.adapters.simulator.matching.records import Trade
from chimera_s1.adapters.simulator.matching.spot_desk import SpotDesk
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import required
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.adapters.simulator.rest.spot_exchange_info import spot_order_limits
from chimera_s1.adapters.simulator.rest.spot_order_parameters import (
    Parameters,
    bad_combination,
    check_names,
    day_at_most,
    exchange_id,
    flag,
    row_limit,
)
from chimera_s1.adapters.simulator.rest.spot_order_replies import Reply, trade_row

_TRADES = frozenset({"symbol", "orderId", "startTime", "endTime", "fromId", "limit"})
_ORDER_COUNTS = (Bucket.SPOT_ORDERS_10S, Bucket.SPOT_ORDERS_1D)
_NONE = "0.00000000"
NO_COMMISSION = {"maker": _NONE, "taker": _NONE, "buyer": _NONE, "seller": _NONE}
COMMISSION_RATES = NO_COMMISSION | {
    "maker": format_amount_fixed(SPOT_FEES.maker),
    "taker": format_amount_fixed(SPOT_FEES.taker),
}
DISCOUNT = {
    "enabledForAccount": True,
    "enabledForSymbol": True,
    "discountAsset": BNB,
    "discount": format_amount_fixed(SPOT_FEES.bnb_discount),
}
_GONE = "<html><head><title>410 Gone</title></head><body><h1>410 Gone</h1></body></html>"


class SpotAccountRoutes:
    def __init__(
        self, desk: SpotDesk, authenticator: Authenticator, limits: RateLimits, clock: ScaledClock
    ) -> None:
        self._desk = desk
        self._authenticator = authenticator
        self._limits = limits
        self._clock = clock

    def routes(self) -> list[Route]:
        commission, listen_key = "/api/v3/account/commission", "/api/v3/userDataStream"
        counts, twenty = "/api/v3/rateLimit/order", fixed_weight(20)
        return [
            Route("GET", "/api/v3/account", self._account, twenty),
            Route("GET", commission, self._commission, twenty),
            Route("GET", counts, self._order_counts, fixed_weight(40)),
            Route("GET", "/api/v3/myTrades", self._trades, _trades_weight),
            *(
                Route(verb, listen_key, _gone, fixed_weight(1))
                for verb in ("POST", "PUT", "DELETE")
            ),
        ]

    async def _account(self, request: web.Request) -> Reply:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, frozenset({"omitZeroBalances"}))
        omits_zero = flag(parameters, "omitZeroBalances")
        balances = [
            {
                "asset": each.asset,
                "free": format_amount_fixed(each.free),
                "locked": format_amount_fixed(each.locked),
            }
            for each in self._desk.balances()
            if each.free or each.locked or not omits_zero
        ]
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": COMMISSION_RATES,
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._clock.now_ms(),
            "accountType": "SPOT",
            "balances": balances,
            "permissions": ["SPOT"],
            "uid": 354_937_868,
        }

    async def _commission(self, request: web.Request) -> Reply:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, frozenset({"symbol"}))
        symbol = required(parameters, "symbol", r".*")
        self._desk.check_listed(symbol)
        return {
            "symbol": symbol,
            "standardCommission": COMMISSION_RATES,
            "specialCommission": NO_COMMISSION,
            "taxCommission": NO_COMMISSION,
            "discount": DISCOUNT,
        }

    async def _order_counts(self, request: web.Request) -> list[Reply]:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, frozenset())
        rows = zip(spot_order_limits(self._limits), _ORDER_COUNTS, strict=True)
        return [row | {"count": self._limits.used(bucket)} for row, bucket in rows]

    async def _trades(self, request: web.Request) -> list[Reply]:
        parameters = await self._authenticator.authenticate_reader(request)
        check_names(parameters, _TRADES)
        symbol = required(parameters, "symbol", r".*")
        self._desk.check_listed(symbol)
        order_id = exchange_id(parameters, "orderId")
        trades = self._desk.trades(symbol, order_id=order_id)
        return [trade_row(each) for each in _page(trades, parameters)]


def _page(trades: list[Trade], parameters: Parameters) -> list[Trade]:
    """From an id or a time on, the oldest; else the newest."""
    first, window = exchange_id(parameters, "fromId"), day_at_most(parameters)
    limit = row_limit(parameters)
    if window is not None and {"fromId", "orderId"} & parameters.keys():
        raise bad_combination()
    if first is not None:
        return [each for each in trades if each.trade_id >= first][:limit]
    if window is not None:
        since, until = window
        return [each for each in trades if since <= each.at_ms <= until][:limit]
    return trades[-limit:]


async def _gone(_: web.Request) -> object:
    """Removed on 2026-02-20: the WebSocket API has the user stream."""
    raise web.HTTPGone(text=_GONE, content_type="text/html")


def _trades_weight(request: web.Request) -> int:
    return 5 if "orderId" in request.query else 20
