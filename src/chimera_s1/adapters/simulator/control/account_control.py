"""The control plane's view of the money, and its hand on it."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from chimera_s1.adapters.simulator.account.account import Account, InsufficientBalanceError
from chimera_s1.adapters.simulator.account.movement_journal import movement_record
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    Movement,
    MovementStatus,
    Origin,
    TransferType,
    WalletName,
    format_amount,
)
from chimera_s1.adapters.simulator.control.requests import decode
from chimera_s1.adapters.simulator.rest.replies import json_reply
from chimera_s1.domain.errors import InvalidValueError

Duration = Annotated[int, Meta(ge=0, le=10**10)]
_AMOUNT_MAX = Decimal(10) ** 15

WALLET_HELP = (
    "history_lag_ms, execution_delay_ms, pending_ms: whole numbers from 0; income_lag_ms: the "
    "same, or null; pending_ends: CONFIRMED or FAILED; permissions: reading, universal_transfer, "
    "internal_transfer, each true or false; balances: spot, futures, each an amount of USDT"
)
TRANSFER_HELP = 'type: MAIN_UMFUTURE or UMFUTURE_MAIN; amount: of USDT, like "25.5"'


class PermissionsRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is left out stays as it is."""

    reading: bool | UnsetType = UNSET
    universal_transfer: bool | UnsetType = UNSET
    internal_transfer: bool | UnsetType = UNSET


class BalancesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    spot: Decimal | UnsetType = UNSET
    futures: Decimal | UnsetType = UNSET

    def __post_init__(self) -> None:
        for amount in (self.spot, self.futures):
            if amount is not UNSET:
                check_amount(amount)


class WalletRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/wallet`; what is left out stays as it is."""

    history_lag_ms: Duration | UnsetType = UNSET
    income_lag_ms: Duration | UnsetType | None = UNSET
    execution_delay_ms: Duration | UnsetType = UNSET
    pending_ms: Duration | UnsetType = UNSET
    pending_ends: MovementStatus | UnsetType = UNSET
    permissions: PermissionsRequest = PermissionsRequest()
    balances: BalancesRequest = BalancesRequest()

    def __post_init__(self) -> None:
        if self.pending_ends in {MovementStatus.WAITING, MovementStatus.PENDING}:
            raise ValueError(f"pending_ends: {self.pending_ends} is no end")


class WebTransferRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/wallet/transfers`."""

    type: TransferType
    amount: Decimal

    def __post_init__(self) -> None:
        check_amount(self.amount)
        if not self.amount:
            raise ValueError("amount: nothing cannot be moved")


def check_amount(amount: Decimal) -> None:
    """Raises:
    ValueError: It is no amount that a account can hold.
    """
    if not amount.is_finite() or not 0 <= amount <= _AMOUNT_MAX or amount != round(amount, 8):
        raise ValueError(f"{amount} is no amount: from 0 to {_AMOUNT_MAX:f}, at most 8 decimals")


class AccountControl:
    """The routes under `/sim` that are about money."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[web.RouteDef]:
        """For the control plane's application."""
        return [
            web.get("/sim/wallet", self._show),
            web.post("/sim/wallet", self._change),
            web.post("/sim/wallet/transfers", self._transfer),
            web.get("/sim/transfers", self._transfers),
            web.get("/sim/balances", self._balances),
        ]

    async def _show(self, _: web.Request) -> web.Response:
        return json_reply(self._view())

    async def _change(self, request: web.Request) -> web.Response:
        wanted = decode(await request.read(), WalletRequest, WALLET_HELP)
        account = self._account
        changes = _given(wanted, type(account.behaviour).__struct_fields__)
        account.behaviour = msgspec.structs.replace(account.behaviour, **changes)
        fields = type(account.permissions).__struct_fields__
        account.permissions = msgspec.structs.replace(
            account.permissions, **_given(wanted.permissions, fields)
        )
        for wallet, amount in _given(wanted.balances, tuple(WalletName)).items():
            account.set_balance(WalletName(wallet), amount)
        return json_reply(self._view())

    async def _transfer(self, request: web.Request) -> web.Response:
        wanted = decode(await request.read(), WebTransferRequest, TRANSFER_HELP)
        try:
            moved = self._account.transfer(wanted.type, wanted.amount, Origin.WEB)
        except InsufficientBalanceError as error:
            raise InvalidValueError(
                f"{wanted.amount} is more than there is; GET /sim/balances tells"
            ) from error
        return json_reply(movement_record(moved), 201)

    async def _transfers(self, _: web.Request) -> web.Response:
        movements = self._account.movements()
        happened = {MovementStatus.PENDING, MovementStatus.CONFIRMED}
        return json_reply(
            {
                "transfers": _views(movements, happened),
                "waiting": _views(movements, {MovementStatus.WAITING}),
                "failed": _views(movements, {MovementStatus.FAILED}),
            }
        )

    async def _balances(self, _: web.Request) -> web.Response:
        return json_reply(self._amounts())

    def _amounts(self) -> dict[str, Any]:
        account = self._account
        amounts = {wallet.value: account.balance(wallet) for wallet in WalletName}
        amounts["in_transit"] = account.in_transit()
        return {name: {ASSET: format_amount(amount)} for name, amount in amounts.items()}

    def _view(self) -> dict[str, Any]:
        return {
            **msgspec.structs.asdict(self._account.behaviour),
            "permissions": msgspec.structs.asdict(self._account.permissions),
            "balances": self._amounts(),
        }


def _given(wanted: Struct, fields: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(wanted, name) for name in fields}
    return {name: value for name, value in values.items() if value is not UNSET}


def _views(movements: list[Movement], statuses: set[MovementStatus]) -> list[dict[str, Any]]:
    """Oldest first."""
    return [movement_record(each) for each in reversed(movements) if each.status in statuses]
