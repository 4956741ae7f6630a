"""Signed endpoints of the spot host: transfers, API key permissions."""

from collections.abc import Mapping

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    Movement,
    Origin,
    TransferType,
    format_amount,
    format_amount_fixed,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import DAY_MS, integer, one_of, time_window
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.adapters.simulator.rest.signing import permission_denied
from chimera_s1.adapters.simulator.rest.transfers import (
    execute_transfer,
    unknown_wallet,
    usdt_amount,
)

TRANSFER_WEIGHT = 300
_UNSUPPORTED_TYPES = frozenset(
    {
        "MAIN_CMFUTURE", "CMFUTURE_MAIN", "MAIN_MARGIN", "MARGIN_MAIN", "UMFUTURE_MARGIN",
        "MARGIN_UMFUTURE", "CMFUTURE_MARGIN", "MARGIN_CMFUTURE", "MAIN_FUNDING", "FUNDING_MAIN",
        "FUNDING_UMFUTURE", "UMFUTURE_FUNDING", "MAIN_OPTION", "OPTION_MAIN", "UMFUTURE_OPTION",
        "OPTION_UMFUTURE", "MAIN_PORTFOLIO_MARGIN", "PORTFOLIO_MARGIN_MAIN",
    }
)  # fmt: skip
"""Types of Binance for wallets that this account does not have."""

_OLDEST_MS = 183 * DAY_MS
_PAGE_MAX, _SIZE_DEFAULT, _SIZE_MAX = 1_000_000, 10, 100


class WalletRoutes:
    """Transfers here have no client id: a request sent twice moves the money twice."""

    def __init__(self, account: Account, authenticator: Authenticator, clock: ScaledClock) -> None:
        self._account = account
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        transfer, restrictions = "/sapi/v1/asset/transfer", "/sapi/v1/account/apiRestrictions"
        ip, uid = Bucket.SAPI_IP, Bucket.SAPI_UID
        return [
            Route("POST", transfer, self._transfer, fixed_weight(TRANSFER_WEIGHT), uid),
            Route("GET", transfer, self._history, fixed_weight(1), ip),
            Route("GET", restrictions, self._restrictions, fixed_weight(1), ip),
            Route("GET", "/sapi/v1/system/status", self._status, fixed_weight(1), ip),
        ]

    async def _transfer(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate(request)
        if not self._account.permissions.universal_transfer:
            raise permission_denied()
        kind = _transfer_type(parameters)
        amount = usdt_amount(parameters)
        return {"tranId": execute_transfer(self._account, kind, amount, Origin.WALLET).tran_id}

    async def _history(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        kind = _transfer_type(parameters)
        now = self._clock.now_ms()
        since, until = time_window(parameters, now)
        page = integer(parameters, "current", 1, lowest=1, highest=_PAGE_MAX)
        size = integer(parameters, "size", _SIZE_DEFAULT, lowest=1, highest=_SIZE_MAX)
        found = self._movements(kind, max(since, now - _OLDEST_MS), until)
        rows = found[(page - 1) * size : page * size]
        return {"total": len(found), "rows": [_row(each) for each in rows]}

    def _movements(self, kind: TransferType, since_ms: int, until_ms: int) -> list[Movement]:
        return [
            each
            for each in self._account.history()
            if each.type is kind
            and each.origin is not Origin.SUBACCOUNT
            and since_ms <= each.executed_ms <= until_ms
        ]

    async def _restrictions(self, request: web.Request) -> object:
        await self._authenticator.authenticate(request)
        permissions = self._account.permissions
        return {
            "ipRestrict": permissions.ip_restrict,
            "createTime": 1_735_689_600_000,
            "enableReading": permissions.reading,
            "enableWithdrawals": permissions.withdrawals,
            "enableInternalTransfer": permissions.internal_transfer,
            "enableMargin": False,
            "enableFutures": permissions.futures,
            "permitsUniversalTransfer": permissions.universal_transfer,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": permissions.spot_trading,
            "enablePortfolioMarginTrading": False,
        }

    async def _status(self, _: web.Request) -> object:
        """Public: it needs no key."""
        if self._account.maintenance:
            return {"status": 1, "msg": "system_maintenance"}
        return {"status": 0, "msg": "normal"}


def _transfer_type(parameters: Mapping[str, str]) -> TransferType:
    """Raises BinanceError -1102, -1100 or -1130, or -5010 for a wallet the account lacks."""
    text = one_of(parameters, "type", {*TransferType, *_UNSUPPORTED_TYPES})
    if text in _UNSUPPORTED_TYPES:
        raise unknown_wallet()
    return TransferType(text)


def _row(movement: Movement) -> dict[str, object]:
    # Binance writes both "25.00000117" and "1"; so do we, in turn.
    text = format_amount_fixed if movement.tran_id % 2 else format_amount
    return {
        "asset": ASSET,
        "amount": text(movement.amount),
        "type": movement.type.value,
        "status": movement.status.value,
        "tranId": movement.tran_id,
        "timestamp": movement.executed_ms,
    }
