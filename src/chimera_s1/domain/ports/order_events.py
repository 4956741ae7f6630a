"""Port: the stream `orders:executed`."""

from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class OrderEventKind(StrEnum):
    ACK = "ACK"
    FILL = "FILL"
    CANCEL = "CANCEL"
    TIMEOUT = "TIMEOUT"
    REJECT = "REJECT"


class ExecutedOrder(Struct, frozen=True, kw_only=True):
    """One entry. `entry_id` is empty, and `source` is `exchange`, where others placed the order.

    Attributes:
        at_ms: `ts`. Of a FILL the exchange's time of the trade; of what the exchange says of an
            order, its time; else the local time.
        venue: `spot` or `perp`.
        status: The exchange's text; empty before the acknowledgement.
        price, qty: Of a FILL, the trade's; else the order's, 0 where the order has none.
        filled_qty, avg_price: Of the order so far; 0 where that is not known.
        event_id: Unique; repeated with the entry.
        reason: Why it was refused, cancelled or has expired.
        corrects: The event id of a FILL that this one takes the place of: the trade was published
            as one of others. Empty otherwise.
    """

    at_ms: int
    source: str
    entry_id: str
    symbol: str
    venue: str
    kind: OrderEventKind
    client_order_id: str
    order_id: str
    side: str
    status: str
    price: Decimal
    qty: Decimal
    filled_qty: Decimal
    avg_price: Decimal
    event_id: str
    reason: str = ""
    corrects: str = ""


class OrderEvents(Protocol):
    async def publish(self, event: ExecutedOrder) -> str:
        """Append; returns the entry's id. At least once: a lost reply repeats the entry.

        Raises:
            PublisherUnavailableError: Unknown whether it was written; repeat it.
        """
        ...

    async def contains(self, entry_id: str) -> bool:
        """Whether the stream still holds the entry."""
        ...
