"""What an entry does next, and what its decision depends on beside the ledger."""

from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.entries.entry import Entry, EntryOrders
from chimera_s1.domain.execution.entries.events import (
    EntryAlarmed,
    EntryChanged,
    EntryGuarded,
    EntryReduced,
    GuardTriggered,
)
from chimera_s1.domain.execution.events import CancelCause
from chimera_s1.domain.execution.order_request import OrderRequest
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.execution.reports import FillReport
from chimera_s1.domain.instruments.instrument import InstrumentSpec


class Place(Struct, frozen=True, kw_only=True):
    """Place an order that ends or protects what is held; never the entry order."""

    request: OrderRequest


class Cancel(Struct, frozen=True, kw_only=True):
    client_id: str
    cause: CancelCause = CancelCause.REQUESTED


class LookUp(Struct, frozen=True, kw_only=True):
    """Ask the exchange once for an order whose placement has an unknown outcome."""

    client_id: str


class Record(Struct, frozen=True, kw_only=True):
    """Store the event; the next decision follows from it."""

    event: EntryAlarmed | EntryReduced | EntryGuarded | GuardTriggered | EntryChanged


Step: TypeAlias = Place | Cancel | LookUp | Record


class NextSteps(Struct, frozen=True, kw_only=True):
    """Attributes:
    steps: To be begun now, concurrently, the most urgent first.
    wake_ms: Decide again then at the latest, exchange epoch ms; None: only when something changes.
    waiting_for: What comes next and when, for the timeline.
    """

    steps: tuple[Step, ...] = ()
    wake_ms: int | None = None
    waiting_for: str = ""


class Situation(Struct, frozen=True, kw_only=True):
    """Everything that a decision depends on: the same situation gives the same steps.

    Attributes:
        now_ms: The exchange's clock, epoch ms.
        fills: Trades of the entry order, in the order of their time.
        instrument: None while the listing is not known.
        busy: Client ids of orders for which a request of this process is under way.
        not_found: Client ids of unresolved orders that one lookup of this process, begun after
            their request was sent, has not found.
        position_qty: Futures: of the position that belongs to this entry at most, never negative;
            None where it is not known.
        position_since_ms: When *position_qty* last changed, as this process saw it.
        held_until_ms: Of the newest rate limit hold: no order is sent before; 0 without one.
        free_quote: Spot: quote asset that can be spent, for a BUY exit; None where not known.
        prices: Of this process's feed or a read, never older than the limit for decisions.
        blind_since_ms: Without *prices*: since when, or since when they are wanted; 0 if not known.
    """

    entry: Entry
    orders: EntryOrders
    now_ms: int
    fills: tuple[FillReport, ...] = ()
    instrument: InstrumentSpec | None = None
    busy: frozenset[str] = frozenset()
    not_found: frozenset[str] = frozenset()
    position_qty: Decimal | None = None
    position_since_ms: int = 0
    held_until_ms: int = 0
    free_quote: Decimal | None = None
    prices: CurrentPrices | None = None
    blind_since_ms: int = 0
