"""One movement of money between the two wallets, from the request that was accepted to its end."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

ASSET = "USDT"


class WalletName(StrEnum):
    """Where the money is."""

    SPOT = "spot"
    FUTURES = "futures"


class TransferType(StrEnum):
    """Binance's word for a direction."""

    MAIN_UMFUTURE = "MAIN_UMFUTURE"
    UMFUTURE_MAIN = "UMFUTURE_MAIN"

    @property
    def source(self) -> WalletName:
        """What is debited."""
        return WalletName.SPOT if self is TransferType.MAIN_UMFUTURE else WalletName.FUTURES

    @property
    def target(self) -> WalletName:
        """What is credited."""
        return WalletName.FUTURES if self is TransferType.MAIN_UMFUTURE else WalletName.SPOT


class MovementStatus(StrEnum):
    """WAITING is accepted and not yet executed: no history knows of it."""

    WAITING = "WAITING"
    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class Origin(StrEnum):
    """Who asked: the wallet endpoint, the sub-account endpoint, or a human on the web site."""

    WALLET = "wallet"
    SUBACCOUNT = "subaccount"
    WEB = "web"


class Movement(Struct):
    """Attributes:
    accepted_ms, executed_ms, settled_ms: Exchange time; the latter two may be to come.
    final_status: What it is once it is settled, unless the money was not there.
    client_tran_id: Empty where the endpoint has none.
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
        amount: Above zero where money came in.
        tran_id: Not the movement's: Binance does not say that they are the same.
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
