"""Port: the exchange's wallets."""

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.treasury.events import FailureReason, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, IncomeRow, Movement


class TransferSubmission(Struct, frozen=True, kw_only=True):
    """The content of one transfer request.

    Attributes:
        amount: USDT.
        client_id: Our id of the attempt; sent in sub-account mode only.
        signed_at: Timestamp to sign, exchange epoch ms.
        recv_window_ms: The exchange accepts the request for so long after *signed_at*.
    """

    direction: Direction
    amount: Decimal
    client_id: str
    signed_at: int
    recv_window_ms: int


class SignedTransfer(Protocol):
    """A request ready to be sent once; its `str` and `repr` hide the signature."""

    @property
    def request_hash(self) -> str:
        """SHA-256 of the signed text, without the signature, hex."""
        ...


class ReplyAccepted(Struct, frozen=True):
    """The exchange confirms that the money has moved."""

    tran_id: str


class ReplyRefused(Struct, frozen=True):
    """The money has certainly not moved, and a repetition would be refused too; *kind* is REFUSED
    for this transfer, FORBIDDEN for all (key, permission or signature).
    """

    kind: FailureReason
    message: str


class ReplyNotProcessed(Struct, frozen=True):
    """The exchange did not process the request, so the money has certainly not moved;
    *clock_suspect* if it found our timestamp outside its window.
    """

    cause: str
    retry_after_ms: int
    clock_suspect: bool = False


class RequestNotSent(Struct, frozen=True):
    """No byte of the request was sent."""

    cause: str


class ReplyUnknown(Struct, frozen=True):
    """Any other result: the money may have moved, or may move later."""

    cause: str


SubmissionReply: TypeAlias = (
    ReplyAccepted | ReplyRefused | ReplyNotProcessed | RequestNotSent | ReplyUnknown
)


class HistoryIncompleteError(ExchangeUnavailableError):
    """Some rows cannot be used, and any of them may be the movement that is looked for.

    What is found in the *usable* movements is proof; what is missing in them proves nothing.
    """

    def __init__(self, message: str, usable: tuple[Movement, ...]) -> None:
        super().__init__(message)
        self.usable = usable


def no_obstacle() -> str:
    """Nothing is in the way."""
    return ""


class TreasuryGateway(Protocol):
    """Moves money between the wallets of one account and reads the movement histories."""

    @property
    def mode(self) -> TreasuryMode: ...

    def sign(self, order: TransferSubmission) -> SignedTransfer:
        """Create the request; sends nothing."""
        ...

    async def submit(
        self, signed: SignedTransfer, obstacle: Callable[[], str] = no_obstacle
    ) -> SubmissionReply:
        """Send *signed* exactly once, on a connection of its own.

        *obstacle* is asked once that connection stands, right before the first byte: connecting
        may take seconds. What it says is the cause of `RequestNotSent`; empty: nothing is in the
        way.

        Every failure is a reply; one that is not known to be definite is `ReplyUnknown`. After
        cancellation the outcome is unknown too.
        """
        ...

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        """All movements of *direction* in *window*: all pages, read until two reads agree.

        Raises:
            HistoryIncompleteError: A row cannot be used.
            ExchangeUnavailableError: A page is missing or changed meanwhile; this proves nothing.
            ExchangeRefusedError: The key has no read permission.
        """
        ...

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        """All TRANSFER rows of the futures income in *window*; raises as `read_movements`."""
        ...
