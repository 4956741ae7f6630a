"""Helpers of the transfer endpoints."""

from collections.abc import Mapping
from decimal import Decimal

from chimera_s1.adapters.simulator.account.account import Account, InsufficientBalanceError
from chimera_s1.adapters.simulator.account.movements import ASSET, Movement, Origin, TransferType
from chimera_s1.adapters.simulator.rest.parameters import positive_amount, required
from chimera_s1.adapters.simulator.rest.replies import BinanceError


def usdt_amount(parameters: Mapping[str, str]) -> Decimal:
    """The amount to transfer; the account holds no asset but USDT.

    Raises:
        BinanceError: A parameter is missing or wrong; -5013, the asset is not USDT.
    """
    asset = required(parameters, "asset", r"[A-Z0-9]{1,20}")
    amount = positive_amount(parameters)
    if asset != ASSET:
        raise _insufficient_balance()
    return amount


def execute_transfer(
    account: Account, kind: TransferType, amount: Decimal, origin: Origin, client_tran_id: str = ""
) -> Movement:
    """Raises BinanceError -1016 in a maintenance, -5013 if the wallet holds less than *amount*."""
    if account.maintenance:
        raise BinanceError(-1016, "This service is no longer available.")
    try:
        return account.transfer(kind, amount, origin, client_tran_id)
    except InsufficientBalanceError as error:
        raise _insufficient_balance() from error


def unknown_wallet() -> BinanceError:
    return BinanceError(-5010, "Asset transfer fail.")


def _insufficient_balance() -> BinanceError:
    return BinanceError(-5013, "Asset transfer failed: insufficient balance")
