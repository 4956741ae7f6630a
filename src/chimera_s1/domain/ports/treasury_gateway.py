"""Port: the exchange's wallets."""

from decimal import Decimal
from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.treasury.events import FailureReason, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, IncomeRow, Movement


class TransferSubmission(Struct, frozen=True, kw_only=True):
    """What one request asks the exchange for.

    Attributes:
        amount: USDT.

        client_id: Our id of the attempt; only sub-account mode sends it.

        signed_at: Timestamp to sign, exchange epoch ms.

        recv_window_ms: How long after it the exchange may accept the request.
    """

    direction: Direction
    amount: Decimal
    client_id: str
    signed_at: int
    recv_window_ms: int


class SignedTransfer(Protocol):
    """A request that is ready to be sent, once. Its text shows no signature."""

    @property
    def request_hash(self) -> str:
        """SHA-256 of what was signed, without the signature, hex."""
        ...


class ReplyAccepted(Struct, frozen=True):
    """The exchange has moved the money and says so."""

    tran_id: str


class ReplyRefused(Struct, frozen=True):
    """The exchange has certainly not moved the money, and will not if asked again.

    Attributes:
        kind: REFUSED for this transfer; FORBIDDEN for any: key, permission or signature.
    """

    kind: FailureReason
    message: str


class ReplyNotProcessed(Struct, frozen=True):
    """The exchange has certainly not moved the money, because it did not look at the request.

    Attributes:
        retry_after_ms: How long it asked us to stay away.

        clock_suspect: It found our timestamp outside its window.
    """

    cause: str
    retry_after_ms: int
    clock_suspect: bool = False


class RequestNotSent(Struct, frozen=True):
    """No byte of the request has left."""

    cause: str


class ReplyUnknown(Struct, frozen=True):
    """Anything else: the money may have moved, or may yet."""

    cause: str


SubmissionReply: TypeAlias = (
    ReplyAccepted | ReplyRefused | ReplyNotProcessed | RequestNotSent | ReplyUnknown
)


class TreasuryGateway(Protocol):
    """Moves money between the wallets of one account, and tells what has been moved."""

    @property
    def mode(self) -> TreasuryMode:
        """Which transfer of the exchange it uses."""
        ...

    def sign(self, order: TransferSubmission) -> SignedTransfer:
        """Make the request for *order*; sends nothing."""
        ...

    async def submit(self, signed: SignedTransfer) -> SubmissionReply:
        """Send *signed* exactly once, on a connection of its own.

        Every failure is a reply; what is not known to be definite is `ReplyUnknown`. Only
        cancellation leaves without one, and then nothing is known.
        """
        ...

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        """Every movement of *direction* in *window*: all pages, read until two readings agree.

        Raises:
            ExchangeUnavailableError: A page was missing or changed under way; it proves nothing.

            ExchangeRefusedError: The key may not read it.
        """
        ...

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        """Every TRANSFER row of the futures income in *window*.

        Raises:
            ExchangeUnavailableError, ExchangeRefusedError: As `movements`.
        """
        ...
