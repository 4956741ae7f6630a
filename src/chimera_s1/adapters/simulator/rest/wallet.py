"""
Signed endpoints of the spot host that move money and tell of it (`/sapi/v1/asset`, `/account`).
"""

from collections.abc import Mapping
from decimal import Decimal

from aiohttp import web
from msgspec import Struct

from chimera_s1.adapters.simulator.account.account import InsufficientBalanceError, Wallet
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    Account,
    Movement,
    Origin,
    TransferType,
    amount_text,
    fixed_text,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.rest.authenticator import Admission
from chimera_s1.adapters.simulator.rest.parameters import always
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.rest_server import Meter, Route
from chimera_s1.adapters.simulator.rest.signed_parameters import (
    amount_of,
    mandatory,
    not_valid,
    whole,
    word,
)
from chimera_s1.adapters.simulator.rest.signing import not_permitted

TRANSFER_WEIGHT = 900
ELSEWHERE = frozenset(
    {
        "MAIN_CMFUTURE", "CMFUTURE_MAIN", "MAIN_MARGIN", "MARGIN_MAIN", "UMFUTURE_MARGIN",
        "MARGIN_UMFUTURE", "CMFUTURE_MARGIN", "MARGIN_CMFUTURE", "MAIN_FUNDING", "FUNDING_MAIN",
        "FUNDING_UMFUTURE", "UMFUTURE_FUNDING", "MAIN_OPTION", "OPTION_MAIN", "UMFUTURE_OPTION",
        "OPTION_UMFUTURE", "MAIN_PORTFOLIO_MARGIN", "PORTFOLIO_MARGIN_MAIN",
    }
)  # fmt: skip
"""
Types that Binance knows, to and from wallets that this account has not.
"""

DAY_MS = 86_400_000
RECENT_MS = 7 * DAY_MS
_OLDEST_MS = 183 * DAY_MS
_TIME_MAX_MS = 10**14
_PAGE_MAX, _SIZE_DEFAULT, _SIZE_MAX = 1_000_000, 10, 100


class SapiMeters(Struct, frozen=True):
    """
    `/sapi` has budgets of its own: one per IP address, one per user id.
    """

    ip: Meter
    uid: Meter


class WalletRoutes:
    """
    Transfers without an id of the client's: what is sent twice happens twice.
    """

    def __init__(
        self, wallet: Wallet, admission: Admission, clock: ScaledClock, meters: SapiMeters
    ) -> None:
        self._wallet = wallet
        self._admission = admission
        self._clock = clock
        self._meters = meters

    def routes(self) -> list[Route]:
        """
        With Binance's weights.
        """
        transfer, restrictions = "/sapi/v1/asset/transfer", "/sapi/v1/account/apiRestrictions"
        ip, uid = self._meters.ip, self._meters.uid
        return [
            Route("POST", transfer, self._transfer, always(TRANSFER_WEIGHT), uid),
            Route("GET", transfer, self._history, always(1), ip),
            Route("GET", restrictions, self._restrictions, always(1), ip),
            Route("GET", "/api/v3/account", self._account, always(20)),
        ]

    async def _transfer(self, request: web.Request) -> object:
        signed = await self._admission.signed(request)
        if not self._admission.permissions.universal_transfer:
            raise not_permitted()
        kind = transfer_type(signed.parameters)
        amount = usdt_amount(signed.parameters)
        return {"tranId": move(self._wallet, kind, amount, Origin.WALLET).tran_id}

    async def _history(self, request: web.Request) -> object:
        parameters = (await self._admission.reader(request)).parameters
        kind = transfer_type(parameters)
        now = self._clock.now_ms()
        since, until = window(parameters, now)
        page = whole(parameters, "current", 1, lowest=1, highest=_PAGE_MAX)
        size = whole(parameters, "size", _SIZE_DEFAULT, lowest=1, highest=_SIZE_MAX)
        found = [
            each
            for each in self._wallet.history()
            if each.type is kind
            and each.origin is not Origin.SUBACCOUNT
            and max(since, now - _OLDEST_MS) <= each.executed_ms <= until
        ]
        rows = found[(page - 1) * size : page * size]
        return {"total": len(found), "rows": [_row(each) for each in rows]}

    async def _restrictions(self, request: web.Request) -> object:
        await self._admission.signed(request)
        permissions = self._admission.permissions
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

    async def _account(self, request: web.Request) -> object:
        await self._admission.reader(request)
        free = fixed_text(self._wallet.balance(Account.SPOT))
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
    """
    The direction asked for.

    Raises:
        BinanceError: -1102, -1100 or -1130; -5010 for a wallet that is not here.
    """
    text = word(parameters, "type", {*TransferType, *ELSEWHERE})
    if text in ELSEWHERE:
        raise no_such_wallet()
    return TransferType(text)


def usdt_amount(parameters: Mapping[str, str]) -> Decimal:
    """
    How much is asked for; of any other asset the account has nothing.

    Raises:
        BinanceError: A parameter is missing or wrong; -5013, the asset is not USDT.
    """
    asset = mandatory(parameters, "asset", r"[A-Z0-9]{1,20}")
    amount = amount_of(parameters)
    if asset != ASSET:
        raise insufficient()
    return amount


def move(
    wallet: Wallet, kind: TransferType, amount: Decimal, origin: Origin, client_tran_id: str = ""
) -> Movement:
    """
    `Wallet.transfer` with Binance's error.

    Raises:
        BinanceError: -5013.
    """
    try:
        return wallet.transfer(kind, amount, origin, client_tran_id)
    except InsufficientBalanceError as error:
        raise insufficient() from error


def insufficient() -> BinanceError:
    """
    The money is not there.
    """
    return BinanceError(-5013, "Asset transfer failed: insufficient balance")


def no_such_wallet() -> BinanceError:
    """
    The account has no such wallet.
    """
    return BinanceError(-5010, "Asset transfer fail.")


def window(parameters: Mapping[str, str], now_ms: int) -> tuple[int, int]:
    """
    `startTime` and `endTime`, both inclusive; what is left out makes it the last seven days.

    Raises:
        BinanceError: They are no times, or the end comes before the start.
    """
    until = whole(parameters, "endTime", now_ms, highest=_TIME_MAX_MS)
    since = whole(parameters, "startTime", until - RECENT_MS, highest=_TIME_MAX_MS)
    if since > until:
        raise not_valid("startTime")
    return since, until


def _row(movement: Movement) -> dict[str, object]:
    # Binance writes both "25.00000117" and "1"; so do we, by turns.
    text = fixed_text if movement.tran_id % 2 else amount_text
    return {
        "asset": ASSET,
        "amount": text(movement.amount),
        "type": movement.type.value,
        "status": movement.status.value,
        "tranId": movement.tran_id,
        "timestamp": movement.executed_ms,
    }
