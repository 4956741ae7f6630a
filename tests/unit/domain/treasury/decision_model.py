"""A minimal in-memory treasury that applies decisions and checks the invariants after each."""

from collections.abc import Iterable
from decimal import Decimal

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.commands import (
    RecordCompleted,
    RecordMatched,
    RequestTransfer,
    ResolveTransfer,
    TreasuryCommand,
)
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap
from chimera_s1.domain.treasury.decision_context import DecidedEvents, DecisionContext
from chimera_s1.domain.treasury.decisions import decide
from chimera_s1.domain.treasury.events import (
    CapEvent,
    CapRebooked,
    CapReleased,
    CapReserved,
    CapSettled,
    MovementClaimed,
    SubmissionStarted,
    TransferEvent,
    TransferRejected,
    TransferRequested,
    TreasuryEvent,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer, evolve

ALLOWED_BEFORE = {
    CapReserved: {""},
    CapSettled: {"CapReserved"},
    CapReleased: {"CapReserved"},
    CapRebooked: {"CapReleased"},
}
"""The cap events allowed before each kind, for one transfer."""

_CLAIMING = RecordCompleted | RecordMatched | ResolveTransfer


class DecisionModel:
    def __init__(self, events: Iterable[TreasuryEvent] = ()) -> None:
        self.transfers: dict[TransferId, Transfer] = {}
        self.days: dict[str, CapDay] = {}
        self.claims: dict[str, TransferId] = {}
        self.last_cap_event: dict[TransferId, str] = {}
        self.broken: list[str] = []
        for event in events:
            self.apply(event)

    def context(self, name: TransferId, command: TreasuryCommand) -> DecisionContext:
        transfer = self.transfers.get(name)
        day = command.terms.day if isinstance(command, RequestTransfer) else ""
        number = command.tran_id if isinstance(command, _CLAIMING) else ""
        return DecisionContext(
            transfer,
            self.days.get(transfer.day if transfer else day, CapDay()),
            tuple(self.lookalikes(transfer)) if transfer else (),
            self.claims.get(number),
        )

    def lookalikes(self, transfer: Transfer) -> Iterable[TransferId]:
        for name, other in self.transfers.items():
            same = (other.direction, other.amount) == (transfer.direction, transfer.amount)
            if same and other.is_unresolved and name != transfer.transfer_id:
                yield name

    def execute(self, name: TransferId, command: TreasuryCommand) -> DecidedEvents:
        """Decide, apply the events, and check the invariants."""
        events = decide(self.context(name, command), command)
        for event in events:
            self.apply(event)
        self._check_invariants()
        return events

    def apply(self, event: TreasuryEvent) -> None:
        match event:
            case MovementClaimed(tran_id=tran_id, transfer_id=name):
                if tran_id in self.claims:
                    self.broken.append(f"I2 {tran_id} is claimed twice")
                self.claims[tran_id] = name
            case CapReserved() | CapSettled() | CapReleased() | CapRebooked():
                self._apply_cap_event(event)
            case _ if isinstance(event, TransferEvent):
                self._follow(event)
            case _:
                pass

    def _apply_cap_event(self, event: CapEvent) -> None:
        before = self.last_cap_event.get(event.transfer_id, "")
        if before not in ALLOWED_BEFORE[type(event)]:
            self.broken.append(f"I4 {type(event).__name__} after {before or 'nothing'}")
        self.last_cap_event[event.transfer_id] = type(event).__name__
        self.days[event.day] = evolve_cap(self.days.get(event.day, CapDay()), event)
        if isinstance(event, CapReserved) and self.days[event.day].used > event.cap:
            self.broken.append(f"I4 {event.day} is over its cap")

    def _follow(self, event: TransferEvent) -> None:
        before = self.transfers.get(event.transfer_id)
        if before is not None and before.phase is Phase.REJECTED:
            self.broken.append(f"{type(event).__name__} after a rejection")
        if isinstance(event, TransferRequested | TransferRejected) and before is not None:
            self.broken.append(f"I8 {event.transfer_id} has two initial events")
            return
        if isinstance(event, SubmissionStarted) and before is not None:
            if event.attempt != before.attempt + 1:
                self.broken.append(f"I1 attempt {event.attempt} after {before.attempt}")
            if list(self.lookalikes(before)):
                self.broken.append("I1 sent beside a lookalike")
        self.transfers[event.transfer_id] = evolve(before, event)

    def _check_invariants(self) -> None:
        for name, transfer in self.transfers.items():
            if transfer.phase is Phase.DONE and self.claims.get(transfer.tran_id) != name:
                self.broken.append(f"I2 {name} is DONE by a movement it has not claimed")
            last = self.last_cap_event.get(name, "")
            if transfer.counts_against_cap is (last in {"", "CapReleased"}):
                self.broken.append(
                    f"I4 {name} counts: {transfer.counts_against_cap}, last cap event: {last}"
                )
            if transfer.phase is Phase.DONE and not transfer.counts_against_cap:
                self.broken.append(f"I4 {name} moved money and does not count")
        for day, booked in self.days.items():
            counted = [
                t.amount for t in self.transfers.values() if t.day == day and t.counts_against_cap
            ]
            if sum(counted, Decimal(0)) != booked.used:
                self.broken.append(f"I4 {day} has {booked.used}, its transfers {counted}")
