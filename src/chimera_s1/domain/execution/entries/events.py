"""The events of an entry, in the stream `entry/<entry_id>` of the execution ledger.

Its orders and their fills have events of their own; these hold what follows from neither. Times
named `*_ms` are exchange epoch ms.
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.entries.specs import EntrySpec


class EntryStatus(StrEnum):
    """NEW: the entry order is not acknowledged yet. WORKING and PARTIALLY_FILLED: it is open.

    Futures: PARTIALLY_FILLED (also while the first stop for a fill is being placed), PROTECTED,
    UNPROTECTED (an attempt has failed, or 10 s are over), TIMEOUT (nothing filled), CLOSED.
    Spot: FILLED (the exit is not armed yet), ARMED, GUARD, TP_FILLED, SL_FILLED.
    """

    NEW = "NEW"
    WORKING = "WORKING"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PROTECTED = "PROTECTED"
    ARMED = "ARMED"
    GUARD = "GUARD"
    UNPROTECTED = "UNPROTECTED"
    TIMEOUT = "TIMEOUT"
    REJECTED = "REJECTED"
    CANCELED = "CANCELED"
    TP_FILLED = "TP_FILLED"
    SL_FILLED = "SL_FILLED"
    CLOSED = "CLOSED"
    FAILED = "FAILED"


ENDED = frozenset(
    {
        EntryStatus.TIMEOUT,
        EntryStatus.REJECTED,
        EntryStatus.CANCELED,
        EntryStatus.TP_FILLED,
        EntryStatus.SL_FILLED,
        EntryStatus.CLOSED,
        EntryStatus.FAILED,
    }
)


class GuardLeg(StrEnum):
    TAKE_PROFIT = "take_profit"
    STOP = "stop"


class _EntryEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base class; `type` is the tag."""

    entry_id: str
    at_ms: int


class EntryAccepted(_EntryEvent, frozen=True, kw_only=True, tag="execution.entry.accepted"):
    """Stored in one commit with the intent of the entry order.

    Attributes:
        body_hash: SHA-256 of the canonical body: the same key with another body is a conflict.
        notional_usdt: What it counts against the daily cap.
    """

    spec: EntrySpec
    body_hash: str
    notional_usdt: Decimal
    actor: str


class EntryCancelRequested(
    _EntryEvent, frozen=True, kw_only=True, tag="execution.entry.cancel_requested"
):
    """What is not filled is cancelled; protection only with *disarm*."""

    disarm: bool
    actor: str


class EntryAlarmed(_EntryEvent, frozen=True, kw_only=True, tag="execution.entry.alarmed"):
    """*qty* has been without protection since *since_ms*."""

    qty: Decimal
    since_ms: int
    cause: str


class EntryReduced(_EntryEvent, frozen=True, kw_only=True, tag="execution.entry.reduced"):
    """Somebody else has closed *qty* of what the entry holds; protection shrinks."""

    qty: Decimal


class EntryGuarded(_EntryEvent, frozen=True, kw_only=True, tag="execution.entry.guarded"):
    """The exchange refuses the OCO: this service watches the price instead. *cause*: its words."""

    cause: str


class GuardTriggered(_EntryEvent, frozen=True, kw_only=True, tag="execution.entry.triggered"):
    """Stored before the guard's exit order; a guard exits once, whatever the price does then."""

    leg: GuardLeg
    price: Decimal


class EntryChanged(_EntryEvent, frozen=True, kw_only=True, tag="execution.entry.changed"):
    """The picture of the entry as callers get it; stored before it is reported.

    Attributes:
        number: 1, 2, ... within the entry.
        closed_qty: By orders of the entry, or by others.
        dust: Held, but too little for any order: less than a step or the minimum notional.
        message: Why, in one sentence; empty where the status says it.
    """

    number: int
    status: EntryStatus
    filled_qty: Decimal
    avg_price: Decimal | None
    protected_qty: Decimal
    closed_qty: Decimal
    dust: Decimal
    message: str


EntryEvent: TypeAlias = (
    EntryAccepted
    | EntryCancelRequested
    | EntryAlarmed
    | EntryReduced
    | EntryGuarded
    | GuardTriggered
    | EntryChanged
)
