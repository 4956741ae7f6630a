"""An entry as its events tell it, and its orders by their role."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.execution.entries.events import (
    ENDED,
    EntryAccepted,
    EntryAlarmed,
    EntryCancelRequested,
    EntryChanged,
    EntryEvent,
    EntryGuarded,
    EntryReduced,
    EntryStatus,
    GuardTriggered,
)
from chimera_s1.domain.execution.entries.order_ids import OrderRole, step_of
from chimera_s1.domain.execution.entries.specs import EntrySpec
from chimera_s1.domain.execution.tracked_order import TrackedOrder

_ZERO: Final = Decimal(0)


class Entry(Struct, frozen=True, kw_only=True):
    """Attributes:
    reduced_qty: Closed by others.
    alarmed_ms: Of the newest alarm; 0 without one.
    guard: Why this service watches the price instead of an OCO; None: it does not.
    triggered: The guard has decided to exit.
    picture: As last reported; None before.
    version: Events in its stream.
    """

    accepted: EntryAccepted
    cancel: EntryCancelRequested | None = None
    reduced_qty: Decimal = _ZERO
    alarmed_ms: int = 0
    guard: EntryGuarded | None = None
    triggered: GuardTriggered | None = None
    picture: EntryChanged | None = None
    version: int = 1

    @property
    def entry_id(self) -> str:
        return self.accepted.entry_id

    @property
    def spec(self) -> EntrySpec:
        return self.accepted.spec

    @property
    def status(self) -> EntryStatus:
        return EntryStatus.NEW if self.picture is None else self.picture.status

    @property
    def is_open(self) -> bool:
        return self.status not in ENDED


def evolve_entry(entry: Entry | None, event: EntryEvent) -> Entry:
    """*entry* after *event* of its stream.

    Raises:
        LedgerDamagedError: The event cannot follow.
    """
    if isinstance(event, EntryAccepted):
        if entry is not None:
            raise LedgerDamagedError(f"entry {event.entry_id} is accepted twice")
        return Entry(accepted=event)
    if entry is None:
        raise LedgerDamagedError(f"entry {event.entry_id} was never accepted")
    return replace(_apply(entry, event), version=entry.version + 1)


def _apply(
    entry: Entry,
    event: EntryCancelRequested
    | EntryAlarmed
    | EntryReduced
    | EntryGuarded
    | GuardTriggered
    | EntryChanged,
) -> Entry:
    match event:
        case EntryCancelRequested():
            disarm = event.disarm or (entry.cancel is not None and entry.cancel.disarm)
            return replace(entry, cancel=replace(event, disarm=disarm))
        case EntryAlarmed():
            return replace(entry, alarmed_ms=event.at_ms)
        case EntryReduced():
            return replace(entry, reduced_qty=entry.reduced_qty + event.qty)
        case EntryGuarded():
            return replace(entry, guard=event)
        case GuardTriggered():
            return replace(entry, triggered=event)
        case EntryChanged():
            return replace(entry, picture=event)
        case _:
            assert_never(event)


class EntryOrders(Struct, frozen=True, kw_only=True):
    """The orders of one entry, those of a role by their number.

    Attributes:
        lists: OCO lists; their legs are in them.
    """

    entry: TrackedOrder | None = None
    stops: tuple[TrackedOrder, ...] = ()
    closes: tuple[TrackedOrder, ...] = ()
    lists: tuple[TrackedOrder, ...] = ()
    exits: tuple[TrackedOrder, ...] = ()

    @classmethod
    def of(cls, orders: Iterable[TrackedOrder]) -> "EntryOrders":
        found: dict[OrderRole, list[tuple[int, TrackedOrder]]] = {}
        for order in orders:
            if (step := step_of(order.client_id)) is not None:
                found.setdefault(step.role, []).append((step.number, order))

        def of_role(role: OrderRole) -> tuple[TrackedOrder, ...]:
            numbered = sorted(found.get(role, ()), key=lambda pair: pair[0])
            return tuple(order for _, order in numbered)

        entries = of_role(OrderRole.ENTRY)
        return cls(
            entry=entries[0] if entries else None,
            stops=of_role(OrderRole.STOP),
            closes=of_role(OrderRole.CLOSE),
            lists=of_role(OrderRole.OCO),
            exits=of_role(OrderRole.EXIT),
        )
