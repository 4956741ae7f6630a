"""Movements of money between the two wallets, and how amounts are formatted."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

ASSET = "USDT"


class WalletName(StrEnum):
    SPOT = "spot"
    FUT = "fut"


class TransferType(StrEnum):
    """Binance's name for a direction."""

    MAIN_UMFUTURE = "MAIN_UMFUTURE"
    UMFUTURE_MAIN = "UMFUTURE_MAIN"

    @property
    def source(self) -> WalletName:
        return WalletName.SPOT if self is TransferType.MAIN_UMFUTURE else WalletName.FUT

    @property
    def target(self) -> WalletName:
        return WalletName.FUT if self is TransferType.MAIN_UMFUTURE else WalletName.SPOT


class MovementStatus(StrEnum):
    """WAITING means accepted but not executed: it is in no history yet."""

    WAITING = "WAITING"
    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class Origin(StrEnum):
    """How it was requested: wallet endpoint, sub-account endpoint, or by hand on the web site."""

    WALLET = "wallet"
    SUBACCOUNT = "subaccount"
    WEB = "web"


class Movement(Struct):
    """One movement, from the accepted request to its settlement.

    Attributes:
        accepted_ms, executed_ms, settled_ms: Exchange time; the latter two may be in the future.
        final_status: Status after settlement, unless the money is missing at execution.
        client_tran_id: Empty for endpoints that take none.
    """

    tran_id: int
    type: TransferType
    amount: Decimal
    origin: Origin
    client_tran_id: str
    accepted_ms: int
    executed_ms: int
    settled_ms: int
    final_status: MovementStatus
    status: MovementStatus = MovementStatus.WAITING


class Income(Struct, frozen=True):
    """A change of the futures balance.

    Attributes:
        amount: Positive for money that came in.
        tran_id: Not the movement's: Binance does not document that they are equal.
    """

    amount: Decimal
    at_ms: int
    tran_id: int


def format_amount(amount: Decimal) -> str:
    """The shortest plain form: `25`, `0.00000117`."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_amount_fixed(amount: Decimal) -> str:
    """With eight decimals: `25.00000000`."""
    return format(amount, ".8f")
