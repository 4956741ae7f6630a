"""The control plane's routes for balances and transfers."""

from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from chimera_s1.adapters.simulator.account.account import Account, InsufficientBalanceError
from chimera_s1.adapters.simulator.account.movement_journal import movement_record
from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
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
    "internal_transfer, withdrawals, futures, spot_trading, ip_restrict, each true or false; "
    "maintenance: true or false; local_timestamps: true or false; notional_coef: above 0, up to "
    "100, or null; balances: spot, fut, each an amount of USDT"
)
TRANSFER_HELP = 'type: MAIN_UMFUTURE or UMFUTURE_MAIN; amount: of USDT, like "25.5"'


class PermissionsRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A missing field changes nothing."""

    reading: bool | UnsetType = UNSET
    universal_transfer: bool | UnsetType = UNSET
    internal_transfer: bool | UnsetType = UNSET
    withdrawals: bool | UnsetType = UNSET
    futures: bool | UnsetType = UNSET
    spot_trading: bool | UnsetType = UNSET
    ip_restrict: bool | UnsetType = UNSET


class BalancesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A missing field changes nothing."""

    spot: Decimal | UnsetType = UNSET
    fut: Decimal | UnsetType = UNSET

    def __post_init__(self) -> None:
        for amount in (self.spot, self.fut):
            if amount is not UNSET:
                check_amount(amount)


class WalletRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/wallet`; a missing field changes nothing."""

    history_lag_ms: Duration | UnsetType = UNSET
    income_lag_ms: Duration | UnsetType | None = UNSET
    execution_delay_ms: Duration | UnsetType = UNSET
    pending_ms: Duration | UnsetType = UNSET
    pending_ends: MovementStatus | UnsetType = UNSET
    permissions: PermissionsRequest = PermissionsRequest()
    balances: BalancesRequest = BalancesRequest()
    maintenance: bool | UnsetType = UNSET
    local_timestamps: bool | UnsetType = UNSET
    notional_coef: Annotated[float, Meta(gt=0, le=100)] | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if self.pending_ends in {MovementStatus.WAITING, MovementStatus.PENDING}:
            raise ValueError(
                f"pending_ends: {self.pending_ends} is not a final status; "
                "write CONFIRMED or FAILED"
            )


class WebTransferRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/wallet/transfers`."""

    type: TransferType
    amount: Decimal

    def __post_init__(self) -> None:
        check_amount(self.amount)
        if not self.amount:
            raise ValueError("amount: 0 cannot be moved; write an amount above 0")


def check_amount(amount: Decimal) -> None:
    """Raises ValueError unless a wallet can hold *amount*."""
    if not amount.is_finite() or not 0 <= amount <= _AMOUNT_MAX or amount != round(amount, 8):
        raise ValueError(
            f"{amount} is not an amount; write 0 to {_AMOUNT_MAX:f}, at most 8 decimals"
        )


class AccountControl:
    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[web.RouteDef]:
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
        change = decode(await request.read(), WalletRequest, WALLET_HELP)
        account = self._account
        account.behaviour = _changed(account.behaviour, change)
        account.permissions = _changed(account.permissions, change.permissions)
        if change.maintenance is not UNSET:
            account.maintenance = change.maintenance
        if change.local_timestamps is not UNSET:
            account.local_timestamps = change.local_timestamps
        if change.notional_coef is not UNSET:
            account.notional_coef = change.notional_coef
        for wallet, amount in _given(change.balances, tuple(WalletName)).items():
            account.set_balance(WalletName(wallet), amount)
        return json_reply(self._view())

    async def _transfer(self, request: web.Request) -> web.Response:
        transfer = decode(await request.read(), WebTransferRequest, TRANSFER_HELP)
        try:
            moved = self._account.transfer(transfer.type, transfer.amount, Origin.WEB)
        except InsufficientBalanceError as error:
            raise InvalidValueError(
                f"{transfer.amount} is more than the wallet holds; see GET /sim/balances"
            ) from error
        return json_reply(movement_record(moved), 201)

    async def _transfers(self, _: web.Request) -> web.Response:
        moved = {MovementStatus.PENDING, MovementStatus.CONFIRMED}
        return json_reply(
            {
                "transfers": self._records(moved),
                "waiting": self._records({MovementStatus.WAITING}),
                "failed": self._records({MovementStatus.FAILED}),
            }
        )

    def _records(self, statuses: set[MovementStatus]) -> list[dict[str, Any]]:
        """Oldest first."""
        movements = reversed(self._account.movements())
        return [movement_record(each) for each in movements if each.status in statuses]

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
            "maintenance": self._account.maintenance,
            "local_timestamps": self._account.local_timestamps,
            "notional_coef": self._account.notional_coef,
        }


Values = TypeVar("Values", bound=Struct)


def _changed(values: Values, change: Struct) -> Values:
    """*values* with the fields that *change* sets."""
    return msgspec.structs.replace(values, **_given(change, values.__struct_fields__))


def _given(change: Struct, fields: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(change, name) for name in fields}
    return {name: value for name, value in values.items() if value is not UNSET}
