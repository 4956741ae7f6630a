"""Signed endpoints of the spot host that execute_transfer money and tell of it (`/sapi/v1/asset`, `/wallet`)."""

from collections.abc import Mapping
from decimal import Decimal

from aiohttp import web
from msgspec import Struct

from chimera_s1.adapters.simulator.account.account import Account, InsufficientBalanceError
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    Movement,
    Origin,
    TransferType,
    WalletName,
    format_amount,
    format_amount_fixed,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import fixed_weight
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.rest_server import RateLimit, Route
from chimera_s1.adapters.simulator.rest.signed_parameters import (
    integer,
    invalid_parameter,
    one_of,
    positive_amount,
    required,
)
from chimera_s1.adapters.simulator.rest.signing import permission_denied

TRANSFER_WEIGHT = 900
UNSUPPORTED_TYPES = frozenset(
    {
        "MAIN_CMFUTURE", "CMFUTURE_MAIN", "MAIN_MARGIN", "MARGIN_MAIN", "UMFUTURE_MARGIN",
        "MARGIN_UMFUTURE", "CMFUTURE_MARGIN", "MARGIN_CMFUTURE", "MAIN_FUNDING", "FUNDING_MAIN",
        "FUNDING_UMFUTURE", "UMFUTURE_FUNDING", "MAIN_OPTION", "OPTION_MAIN", "UMFUTURE_OPTION",
        "OPTION_UMFUTURE", "MAIN_PORTFOLIO_MARGIN", "PORTFOLIO_MARGIN_MAIN",
    }
)  # fmt: skip
"""Types that Binance knows, to and from wallets that this wallet has not."""

DAY_MS = 86_400_000
RECENT_MS = 7 * DAY_MS
_OLDEST_MS = 183 * DAY_MS
_TIME_MAX_MS = 10**14
_PAGE_MAX, _SIZE_DEFAULT, _SIZE_MAX = 1_000_000, 10, 100


class SapiLimits(Struct, frozen=True):
    """`/sapi` has budgets of its own: one per IP address, one per user id."""

    ip: RateLimit
    uid: RateLimit


class WalletRoutes:
    """Transfers without an id of the client's: what is sent twice happens twice."""

    def __init__(
        self, account: Account, authenticator: Authenticator, clock: ScaledClock, limits: SapiLimits
    ) -> None:
        self._account = account
        self._authenticator = authenticator
        self._clock = clock
        self._limits = limits

    def routes(self) -> list[Route]:
        """With Binance's weights."""
        transfer, restrictions = "/sapi/v1/asset/transfer", "/sapi/v1/account/apiRestrictions"
        ip, uid = self._limits.ip, self._limits.uid
        return [
            Route("POST", transfer, self._transfer, fixed_weight(TRANSFER_WEIGHT), uid),
            Route("GET", transfer, self._history, fixed_weight(1), ip),
            Route("GET", restrictions, self._restrictions, fixed_weight(1), ip),
            Route("GET", "/api/v3/account", self._spot_account, fixed_weight(20)),
        ]

    async def _transfer(self, request: web.Request) -> object:
        signed = await self._authenticator.authenticate(request)
        if not self._authenticator.permissions.universal_transfer:
            raise permission_denied()
        kind = transfer_type(signed.parameters)
        amount = usdt_amount(signed.parameters)
        return {"tranId": execute_transfer(self._account, kind, amount, Origin.WALLET).tran_id}

    async def _history(self, request: web.Request) -> object:
        parameters = (await self._authenticator.authenticate_reader(request)).parameters
        kind = transfer_type(parameters)
        now = self._clock.now_ms()
        since, until = time_window(parameters, now)
        page = integer(parameters, "current", 1, lowest=1, highest=_PAGE_MAX)
        size = integer(parameters, "size", _SIZE_DEFAULT, lowest=1, highest=_SIZE_MAX)
        found = [
            each
            for each in self._account.history()
            if each.type is kind
            and each.origin is not Origin.SUBACCOUNT
            and max(since, now - _OLDEST_MS) <= each.executed_ms <= until
        ]
        rows = found[(page - 1) * size : page * size]
        return {"total": len(found), "rows": [_row(each) for each in rows]}

    async def _restrictions(self, request: web.Request) -> object:
        await self._authenticator.authenticate(request)
        permissions = self._authenticator.permissions
        return {
            "ipRestrict": False,
            "createTime": 1_735_689_600_000,
            "enableReading": permissions.reading,
            "enableWithdrawals": False,
            "enableInternalTransfer": permissions.internal_transfer,
            "enableMargin": False,
            "enableFutures": True,
            "permitsUniversalTransfer": permissions.universal_transfer,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": True,
            "enablePortfolioMarginTrading": False,
        }

    async def _spot_account(self, request: web.Request) -> object:
        await self._authenticator.authenticate_reader(request)
        free = format_amount_fixed(self._account.balance(WalletName.SPOT))
        rate = "0.00100000"
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {"maker": rate, "taker": rate, "buyer": "0", "seller": "0"},
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._clock.now_ms(),
            "accountType": "SPOT",
            "balances": [{"asset": ASSET, "free": free, "locked": "0.00000000"}],
            "permissions": ["SPOT"],
            "uid": 354_937_868,
        }


def transfer_type(parameters: Mapping[str, str]) -> TransferType:
    """The direction asked for.

    Raises:
        BinanceError: -1102, -1100 or -1130; -5010 for a account that is not here.
    """
    text = one_of(parameters, "type", {*TransferType, *UNSUPPORTED_TYPES})
    if text in UNSUPPORTED_TYPES:
        raise unknown_wallet()
    return TransferType(text)


def usdt_amount(parameters: Mapping[str, str]) -> Decimal:
    """How much is asked for; of any other asset the wallet has nothing.

    Raises:
        BinanceError: A parameter is missing or wrong; -5013, the asset is not USDT.
    """
    asset = required(parameters, "asset", r"[A-Z0-9]{1,20}")
    amount = positive_amount(parameters)
    if asset != ASSET:
        raise insufficient_balance()
    return amount


def execute_transfer(
    account: Account, kind: TransferType, amount: Decimal, origin: Origin, client_tran_id: str = ""
) -> Movement:
    """`Account.transfer` with Binance's error.

    Raises:
        BinanceError: -5013.
    """
    try:
        return account.transfer(kind, amount, origin, client_tran_id)
    except InsufficientBalanceError as error:
        raise insufficient_balance() from error


def insufficient_balance() -> BinanceError:
    """The money is not there."""
    return BinanceError(-5013, "Asset transfer failed: insufficient balance")


def unknown_wallet() -> BinanceError:
    """The wallet has no such account."""
    return BinanceError(-5010, "Asset transfer fail.")


def time_window(parameters: Mapping[str, str], now_ms: int) -> tuple[int, int]:
    """`startTime` and `endTime`, both inclusive; what is left out makes it the last seven days.

    Raises:
        BinanceError: They are no times, or the end comes before the start.
    """
    until = integer(parameters, "endTime", now_ms, highest=_TIME_MAX_MS)
    since = integer(parameters, "startTime", until - RECENT_MS, highest=_TIME_MAX_MS)
    if since > until:
        raise invalid_parameter("startTime")
    return since, until


def _row(movement: Movement) -> dict[str, object]:
    # Binance writes both "25.00000117" and "1"; so do we, by turns.
    text = format_amount_fixed if movement.tran_id % 2 else format_amount
    return {
        "asset": ASSET,
        "amount": text(movement.amount),
        "type": movement.type.value,
        "status": movement.status.value,
        "tranId": movement.tran_id,
        "timestamp": movement.executed_ms,
    }
