"""Transfers with a client id (`/sapi/v1/sub-account/universalTransfer`)."""

from collections.abc import Mapping

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    Movement,
    MovementStatus,
    Origin,
    TransferType,
    format_amount,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.rest.authenticator import Authenticator
from chimera_s1.adapters.simulator.rest.parameters import (
    RECENT_MS,
    integer,
    one_of,
    time_window,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.routes import Route, fixed_weight
from chimera_s1.adapters.simulator.rest.signing import permission_denied
from chimera_s1.adapters.simulator.rest.transfers import (
    execute_transfer,
    unknown_wallet,
    usdt_amount,
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
_ACCOUNT_TYPES = {direction: types for types, direction in _DIRECTIONS.items()}
_STATUS = {
    MovementStatus.PENDING: "PROCESS",
    MovementStatus.CONFIRMED: "SUCCESS",
    MovementStatus.FAILED: "FAILURE",
}
_MASTER = "master@example.com"


class SubaccountRoutes:
    """Between the wallets of the master account; there are no sub-accounts."""

    def __init__(self, account: Account, authenticator: Authenticator, clock: ScaledClock) -> None:
        self._account = account
        self._authenticator = authenticator
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route("POST", _PATH, self._transfer, fixed_weight(360), Bucket.SAPI_UID),
            Route("GET", _PATH, self._history, fixed_weight(1), Bucket.SAPI_IP),
        ]

    async def _transfer(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate(request)
        if not self._account.permissions.internal_transfer:
            raise permission_denied()
        kind = _direction(parameters)
        amount = usdt_amount(parameters)
        client_id = parameters.get("clientTranId", "")
        self._check_client_id(client_id)
        moved = execute_transfer(self._account, kind, amount, Origin.SUBACCOUNT, client_id)
        reply: dict[str, object] = {"tranId": moved.tran_id}
        return {**reply, "clientTranId": client_id} if client_id else reply

    def _check_client_id(self, client_id: str) -> None:
        """Raises BinanceError -4114 if it is too long, -4115 if used in the last seven days."""
        if len(client_id) > _ID_LENGTH_MAX:
            raise BinanceError(-4114, "ClientTranId is not valid: its length must be less than 64")
        recent_ms = self._clock.now_ms() - RECENT_MS
        recent = (m for m in self._account.movements() if m.accepted_ms > recent_ms)
        if client_id and any(each.client_tran_id == client_id for each in recent):
            raise BinanceError(-4115, "ClientTranId is duplicated")

    async def _history(self, request: web.Request) -> object:
        parameters = await self._authenticator.authenticate_reader(request)
        since, until = time_window(parameters, self._clock.now_ms())
        page = integer(parameters, "page", 1, lowest=1, highest=_PAGE_MAX)
        limit = integer(parameters, "limit", _LIMIT_DEFAULT, lowest=1, highest=_LIMIT_MAX)
        client_id = parameters.get("clientTranId")
        found = [
            each
            for each in self._account.history()
            if each.origin is Origin.SUBACCOUNT
            and client_id in {None, each.client_tran_id}
            and since <= each.executed_ms <= until
        ]
        rows = found[(page - 1) * limit : page * limit]
        return {"result": [_row(each) for each in rows], "totalCount": len(found)}


def _direction(parameters: Mapping[str, str]) -> TransferType:
    types = (
        one_of(parameters, "fromAccountType", _TYPES),
        one_of(parameters, "toAccountType", _TYPES),
    )
    emails = {parameters.get("fromEmail", _MASTER), parameters.get("toEmail", _MASTER)}
    if types not in _DIRECTIONS or emails != {_MASTER}:
        raise unknown_wallet()
    return _DIRECTIONS[types]


def _row(movement: Movement) -> dict[str, object]:
    source, target = _ACCOUNT_TYPES[movement.type]
    return {
        "tranId": movement.tran_id,
        "fromEmail": _MASTER,
        "toEmail": _MASTER,
        "asset": ASSET,
        "amount": format_amount(movement.amount),
        "createTimeStamp": movement.executed_ms,
        "fromAccountType": source,
        "toAccountType": target,
        "status": _STATUS[movement.status],
        "clientTranId": movement.client_tran_id,
    }
