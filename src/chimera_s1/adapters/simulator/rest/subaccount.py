"""
Transfers with an id of the client's (`/sapi/v1/sub-account/universalTransfer`).
"""

from collections.abc import Mapping

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Wallet
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    Movement,
    Origin,
    Status,
    TransferType,
    amount_text,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.rest.authenticator import Admission
from chimera_s1.adapters.simulator.rest.parameters import always
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.rest_server import Route
from chimera_s1.adapters.simulator.rest.signed_parameters import whole, word
from chimera_s1.adapters.simulator.rest.signing import not_permitted
from chimera_s1.adapters.simulator.rest.wallet import (
    RECENT_MS,
    SapiMeters,
    move,
    no_such_wallet,
    usdt_amount,
    window,
)

_PATH = "/sapi/v1/sub-account/universalTransfer"
_ID_LENGTH_MAX = 63
_LIMIT_DEFAULT = _LIMIT_MAX = 500
_PAGE_MAX = 1_000_000
_TYPES = ("SPOT", "USDT_FUTURE", "COIN_FUTURE", "MARGIN", "ISOLATED_MARGIN", "ALPHA")
_DIRECTIONS = {
    ("SPOT", "USDT_FUTURE"): TransferType.MAIN_UMFUTURE,
    ("USDT_FUTURE", "SPOT"): TransferType.UMFUTURE_MAIN,
}
_ACCOUNTS = {direction: accounts for accounts, direction in _DIRECTIONS.items()}
_STATUS = {Status.PENDING: "PROCESS", Status.CONFIRMED: "SUCCESS", Status.FAILED: "FAILURE"}
_MASTER = "master@example.com"


class SubaccountRoutes:
    """
    Between the wallets of the master account; there are no sub-accounts.
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
        return [
            Route("POST", _PATH, self._transfer, always(360), self._meters.uid),
            Route("GET", _PATH, self._history, always(1), self._meters.ip),
        ]

    async def _transfer(self, request: web.Request) -> object:
        parameters = (await self._admission.signed(request)).parameters
        if not self._admission.permissions.internal_transfer:
            raise not_permitted()
        kind = _direction(parameters)
        amount = usdt_amount(parameters)
        given = self._new_id(parameters.get("clientTranId", ""))
        moved = move(self._wallet, kind, amount, Origin.SUBACCOUNT, given)
        reply: dict[str, object] = {"tranId": moved.tran_id}
        return {**reply, "clientTranId": given} if given else reply

    def _new_id(self, given: str) -> str:
        """
        *given*, where no movement of the last seven days has it.
        """
        if len(given) > _ID_LENGTH_MAX:
            raise BinanceError(-4114, "ClientTranId is not valid: its length must be less than 64")
        recent_ms = self._clock.now_ms() - RECENT_MS
        used = (m for m in self._wallet.movements() if m.accepted_ms > recent_ms)
        if given and any(each.client_tran_id == given for each in used):
            raise BinanceError(-4115, "ClientTranId is duplicated")
        return given

    async def _history(self, request: web.Request) -> object:
        parameters = (await self._admission.reader(request)).parameters
        since, until = window(parameters, self._clock.now_ms())
        page = whole(parameters, "page", 1, lowest=1, highest=_PAGE_MAX)
        limit = whole(parameters, "limit", _LIMIT_DEFAULT, lowest=1, highest=_LIMIT_MAX)
        wanted = parameters.get("clientTranId")
        found = [
            each
            for each in self._wallet.history()
            if each.origin is Origin.SUBACCOUNT
            and wanted in {None, each.client_tran_id}
            and since <= each.executed_ms <= until
        ]
        rows = found[(page - 1) * limit : page * limit]
        return {"result": [_row(each) for each in rows], "totalCount": len(found)}


def _direction(parameters: Mapping[str, str]) -> TransferType:
    accounts = (
        word(parameters, "fromAccountType", _TYPES),
        word(parameters, "toAccountType", _TYPES),
    )
    elsewhere = {parameters.get("fromEmail", _MASTER), parameters.get("toEmail", _MASTER)}
    if accounts not in _DIRECTIONS or elsewhere != {_MASTER}:
        raise no_such_wallet()
    return _DIRECTIONS[accounts]


def _row(movement: Movement) -> dict[str, object]:
    source, target = _ACCOUNTS[movement.type]
    return {
        "tranId": movement.tran_id,
        "fromEmail": _MASTER,
        "toEmail": _MASTER,
        "asset": ASSET,
        "amount": amount_text(movement.amount),
        "createTimeStamp": movement.executed_ms,
        "fromAccountType": source,
        "toAccountType": target,
        "status": _STATUS[movement.status],
        "clientTranId": movement.client_tran_id,
    }
