"""Port: the streams `orders:executed`, `risk:sl_arm` and `spot:oco:armed`."""

from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.ledger.relayed_entry import RelayedEntry


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


class StopState(StrEnum):
    """REPLACED: cancelled while a newer stop of the entry stands. FAILED: refused, not sent,
    absent, rejected, or expired unfilled.
    """

    ARMED = "ARMED"
    REPLACED = "REPLACED"
    TRIGGERED = "TRIGGERED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"


class StopChanged(Struct, frozen=True, kw_only=True):
    """One entry of `risk:sl_arm`: what has become of a futures stop of an entry.

    Attributes:
        at_ms: `ts`: of what the exchange says its time, else the local time.
        qty: Of the stop.
        event_id: Unique; repeated with the entry.
    """

    at_ms: int
    source: str
    entry_id: str
    symbol: str
    venue: str
    state: StopState
    client_algo_id: str
    trigger_price: Decimal
    qty: Decimal
    event_id: str


class OcoState(StrEnum):
    """ARMED: of one order list. The others: of the entry, and GUARD means that this service watches
    the price instead of a list.
    """

    ARMED = "ARMED"
    GUARD = "GUARD"
    TP_FILLED = "TP_FILLED"
    SL_FILLED = "SL_FILLED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"


class OcoChanged(Struct, frozen=True, kw_only=True):
    """One entry of `spot:oco:armed`: what has become of the exit of a spot entry.

    Attributes:
        at_ms: `ts`, exchange time.
        order_list_id: Of the newest list that the exchange has acknowledged; empty without one.
        qty: ARMED: of the list. GUARD: what is watched. TP_FILLED, SL_FILLED: what was closed.
            CANCELED, FAILED: filled, and not closed.
        event_id: Unique; repeated with the entry.
    """

    at_ms: int
    source: str
    entry_id: str
    symbol: str
    state: OcoState
    order_list_id: str
    tp_price: Decimal
    sl_trigger_price: Decimal
    qty: Decimal
    event_id: str


ProtectionChange: TypeAlias = StopChanged | OcoChanged
PublishedEvent: TypeAlias = ExecutedOrder | ProtectionChange


class OrderEvents(Protocol):
    async def publish(self, event: PublishedEvent) -> RelayedEntry:
        """Append to the stream of its kind. At least once: a lost reply repeats the entry.

        Raises:
            PublisherUnavailableError: Unknown whether it was written; repeat it.
        """
        ...

    async def contains(self, entry: RelayedEntry) -> bool:
        """Whether its stream holds the entry, or has trimmed it."""
        ...
