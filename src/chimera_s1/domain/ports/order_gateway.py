"""Port: orders at the exchange."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import OrderRef, OrderRequest
from chimera_s1.domain.execution.reports import FillReport, OrderListReport, OrderReport


class SignedRequest(Protocol):
    """A request ready to be sent once; its `str` and `repr` hide the signature."""

    @property
    def request_hash(self) -> str:
        """SHA-256 of the signed text, without the signature, hex."""
        ...

    @property
    def signed_at_ms(self) -> int:
        """The timestamp in it, exchange epoch ms."""
        ...

    @property
    def recv_window_ms(self) -> int: ...


class RequestAccepted(Struct, frozen=True, kw_only=True):
    """The exchange has taken the request: an acknowledgement, whatever else it says.

    Attributes:
        reports: Of the order; of a list, also of its legs. A fill in them is no more than a hint.
        fills: Of a spot FULL reply: real trades.
    """

    reports: tuple[OrderReport | OrderListReport, ...]
    fills: tuple[FillReport, ...] = ()


class RequestRefused(Struct, frozen=True, kw_only=True):
    """Certainly not executed; *message* is the exchange's."""

    reason: RefusalReason
    code: int | None
    message: str


class RequestTurnedAway(Struct, frozen=True, kw_only=True):
    """Certainly not executed, and no fault of the request: a rate limit, an overload, our clock."""

    cause: str
    retry_after_ms: int = 0
    clock_suspect: bool = False


class RequestNotSent(Struct, frozen=True, kw_only=True):
    """No byte of the request was sent."""

    cause: str


class OutcomeUnknown(Struct, frozen=True, kw_only=True):
    """Any other result: the request may have been executed, or may be later."""

    cause: str


class OrderNotFound(Struct, frozen=True, kw_only=True):
    """-2011 of a cancel: it never existed, or is filled, cancelled or expired. Read the order."""

    message: str


OrderReply: TypeAlias = (
    RequestAccepted | RequestRefused | RequestTurnedAway | RequestNotSent | OutcomeUnknown
)
CancelReply: TypeAlias = OrderReply | OrderNotFound


class OrderFound(Struct, frozen=True, kw_only=True):
    """As `RequestAccepted`, but a read: its *filled_qty* and *avg_price* hold."""

    reports: tuple[OrderReport | OrderListReport, ...]


class OrderGateway(Protocol):
    """Places, cancels and looks up orders of one account."""

    async def sign_order(self, request: OrderRequest) -> SignedRequest:
        """Create the request; sends nothing.

        Raises:
            ExchangeUnavailableError: The key's account or the exchange's clock is not known yet.
            ExchangeRefusedError: There is no key, or the exchange refuses it.
        """
        ...

    async def sign_cancel(self, ref: OrderRef) -> SignedRequest:
        """As `sign_order`; of a list, all its legs."""
        ...

    async def send_order(self, signed: SignedRequest, obstacle: Callable[[], str]) -> OrderReply:
        """Send *signed* exactly once, on a connection on which nothing else is under way.

        *obstacle* is asked right before the first byte; what it says is the cause of
        `RequestNotSent`, empty: nothing is in the way. Every failure is a reply; one that is not
        known to be definite is `OutcomeUnknown`. Only cancellation raises.
        """
        ...

    async def send_cancel(
        self, signed: SignedRequest, obstacle: Callable[[], str]
    ) -> CancelReply: ...

    async def find(self, ref: OrderRef) -> OrderFound | OrderNotFound:
        """Look an order up. `OrderNotFound` may be too early: queries lag behind the exchange.

        Raises:
            ExchangeUnavailableError: No reply that can be relied upon.
            ExchangeRefusedError: The key may not read.
        """
        ...
