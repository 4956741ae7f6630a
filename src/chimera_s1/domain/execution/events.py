"""The events of the execution ledger.

The tag of a class is the event's name in the ledger and never changes. A new field needs a default.
Times named `*_ms` are exchange epoch ms; the commit has the local time.

| stream | history of |
|---|---|
| `order/<client_id>` | an order of ours, from the intent to its end |
| `fill/<venue>/<symbol>/<order_id>/<trade_id>` | a trade of the account, ours or not, once |
| `position/<symbol>/<position side>` | the quantities that were adopted from the exchange |
| `entry/<entry_id>` | an entry: see `entries.events` |
| `account` | the account that all of this belongs to |
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.entries.events import EntryEvent
from chimera_s1.domain.execution.order_request import OrderRequest
from chimera_s1.domain.execution.reports import FillKey, FillReport, LegRef
from chimera_s1.domain.identifiers import Symbol


class RefusalReason(StrEnum):
    """Why the exchange certainly did not place an order."""

    POST_ONLY = "post_only"
    WOULD_TRIGGER = "would_trigger"
    REDUCE_ONLY = "reduce_only"
    DUPLICATE_ID = "duplicate_id"
    BALANCE = "balance"
    ORDERS_MAX = "orders_max"
    RULE = "rule"
    AGREEMENT = "agreement"
    FORBIDDEN = "forbidden"
    TURNED_AWAY = "turned_away"
    UNSUPPORTED = "unsupported"
    OTHER = "other"


class OrderEnding(StrEnum):
    """How an order ended at the exchange.

    TIMEOUT is a cancel of ours, because the time that the order was given is over. An order that
    was refused as post-only after its acknowledgement is REJECTED, whatever its status says.
    """

    FILLED = "filled"
    CANCELED = "canceled"
    TIMEOUT = "timeout"
    EXPIRED = "expired"
    REJECTED = "rejected"


class CancelCause(StrEnum):
    REQUESTED = "requested"
    TIMEOUT = "timeout"


class _ExecutionEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base class; `type` is the tag."""

    client_id: str


class OrderPlanned(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.order.planned"):
    """The intent, stored before the signed request leaves.

    Attributes:
        entry_id: Of the entry that the order belongs to; empty if there is none.
        signed_at_ms: Timestamp in the request; never renewed.
        recv_window_ms: The exchange accepts the request for so long after *signed_at_ms*.
        request_hash: SHA-256 of the signed text, without the signature.
    """

    request: OrderRequest
    entry_id: str
    signed_at_ms: int
    recv_window_ms: int
    request_hash: str


class OrderRefused(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.order.refused"):
    """Certainly not placed; *message* is the exchange's."""

    reason: RefusalReason
    code: int | None
    message: str


class OrderNotSent(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.order.not_sent"):
    """No byte of the request left."""

    cause: str


class OrderUnknown(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.order.unknown"):
    """It may have been placed; looked up until that is certain."""

    cause: str


class OrderAbsent(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.order.absent"):
    """Looked up *lookups* times; the last came after the request could no longer be accepted."""

    lookups: int
    last_lookup_ms: int


class OrderUpdated(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.order.updated"):
    """The exchange said something new. The first one acknowledges the order.

    Attributes:
        exchange_id: `orderId`, `algoId` or `orderListId`.
        filled_qty: The most that the exchange has said; replies and fills do not count.
        at_ms: Of *status*.
        legs: Of an order list.
        reason: Why it expired or was rejected.
        acknowledges: The first event that proves that the exchange has the order.
        ends: None while the order is open, and if it ended before.
    """

    exchange_id: str
    status: str
    filled_qty: Decimal
    avg_price: Decimal | None
    at_ms: int
    source: str
    child_id: str = ""
    legs: tuple[LegRef, ...] = ()
    reason: str = ""
    acknowledges: bool = False
    ends: OrderEnding | None = None


class ChildOrderUpdated(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.child.updated"):
    """The exchange said something new of a child order: a leg of an order list of ours, or the
    order that a triggered algo order of ours became. *client_id* is the parent's.

    Attributes:
        child_id, child_client_id: `orderId` and client id of the child order.
        ends: Of the parent, if this ends it.
    """

    child_id: str
    child_client_id: str
    status: str
    filled_qty: Decimal
    avg_price: Decimal | None
    at_ms: int
    source: str
    reason: str = ""
    ends: OrderEnding | None = None


class CancelRequested(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.cancel.requested"):
    """Stored before the cancel leaves."""

    signed_at_ms: int
    cause: CancelCause = CancelCause.REQUESTED


class CancelRefused(_ExecutionEvent, frozen=True, kw_only=True, tag="execution.cancel.refused"):
    """-2011 may also mean that the order is filled: the order is read then."""

    code: int | None
    message: str


class FillRecorded(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="execution.fill.recorded"
):
    """A trade of the account.

    Attributes:
        client_id: The order of ours that it belongs to (the algo order's, of its child's trades;
            the list's, of a leg's); empty if another program or person placed the order.
        entry_id: Of that order.
        order_status: Of the order as known with this trade; empty where it is not.
        filled_qty, avg_price: Of the order, this trade included, as far as known.
    """

    client_id: str
    entry_id: str
    fill: FillReport
    order_status: str = ""
    filled_qty: Decimal | None = None
    avg_price: Decimal | None = None


class FillCompleted(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="execution.fill.completed"
):
    """The commission of a recorded trade, which was not said at first."""

    key: FillKey
    client_id: str
    commission: Decimal
    commission_asset: str
    maker: bool | None = None


class FillAttributed(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="execution.fill.attributed"
):
    """A trade that was recorded as foreign belongs to an order of ours: the trade was read before
    the exchange's id of the order was known.
    """

    key: FillKey
    client_id: str
    entry_id: str


class PositionAdopted(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="execution.position.adopted"
):
    """The known quantity is moved to the exchange's: at the first sight of the position, or after a
    difference that no trade explains.

    Attributes:
        position_side: BOTH in one-way mode.
        qty: Negative if short.
        known_qty: What the ledger's fills gave when they were compared. The difference is added, so
            that a fill recorded in between still counts.
        at_ms: When the position was read.
    """

    symbol: Symbol
    position_side: str
    qty: Decimal
    known_qty: Decimal
    at_ms: int


class AccountBound(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="execution.account.bound"
):
    """The ledger belongs to this account from now on. It comes with the first other event, so that
    a key that was never used for anything binds nothing.

    Attributes:
        account: `live:354937868`; of a service without spot, `live:futures-SgsR`.
    """

    account: str


OrderConclusion: TypeAlias = (
    OrderRefused | OrderNotSent | OrderUnknown | OrderAbsent | CancelRequested | CancelRefused
)
"""What this service has found out, or is about to do, of an order that is in the ledger."""

OrderReported: TypeAlias = OrderUpdated | ChildOrderUpdated
OrderEvent: TypeAlias = OrderPlanned | OrderConclusion | OrderReported
FillEvent: TypeAlias = FillRecorded | FillCompleted | FillAttributed
ExecutionEvent: TypeAlias = OrderEvent | FillEvent | PositionAdopted | AccountBound | EntryEvent
