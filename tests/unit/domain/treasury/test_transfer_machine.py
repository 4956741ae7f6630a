"""A state machine of equal transfers and an exchange that loses requests and replies and is late
within its bounds. After any sequence of steps the ledger agrees with the exchange.
"""

from decimal import Decimal

import pytest
from hypothesis import Phase as Phases
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.commands import (
    ExpireTransfer,
    RecordAbsent,
    RecordCompleted,
    RecordMatched,
    RecordNotExecuted,
    RecordRefused,
    RecordUnknown,
    RequestReview,
    RequestTransfer,
    ResolveTransfer,
    StartSubmission,
    TreasuryCommand,
    request_fingerprint,
)
from chimera_s1.domain.treasury.decision_context import DecisionContext, TransferStateError
from chimera_s1.domain.treasury.decisions import decide
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    NotExecutedReason,
    OperatorVerdict,
    SubmissionStarted,
)
from chimera_s1.domain.treasury.movement_matching import MovementIndex, assign_movements, match_of
from chimera_s1.domain.treasury.reconciliation import (
    Matched,
    Movement,
    MovementStatus,
    ReconciliationTiming,
    reads_proving_absence,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer
from tests.transfer_events import AT, TERMS
from tests.unit.domain.treasury.decision_model import DecisionModel

NAMES = tuple(map(TransferId, "abc"))
AMOUNTS = (Decimal(40), Decimal("40.00"), Decimal(60))
LIMITS = replace(TERMS.limits, daily_cap=Decimal(110))
MAX_AGE_MS = 60_000

names = st.sampled_from(NAMES)
amounts = st.sampled_from(AMOUNTS)


TIMING = ReconciliationTiming(
    execution_ms=10_000, history_lag_ms=20_000, clean_reads=1, clean_spread_ms=0
)


class Request(Struct):
    """A sent request; *movement* is None if the exchange never executes it."""

    name: TransferId
    attempt: int
    movement: Movement | None
    is_open: bool = True


class Exchange(RuleBasedStateMachine):
    """The rules are the treasury's actions and the events at the exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = DecisionModel()
        self.now = AT
        self.sent: list[Request] = []
        self.book: list[Movement] = []
        self.first: dict[TransferId, str] = {}

    def execute(self, name: TransferId, command: TreasuryCommand) -> tuple[object, ...]:
        return self.ledger.execute(name, command)

    def moved(self) -> dict[TransferId, str]:
        return {sent.name: sent.movement.tran_id for sent in self.sent if sent.movement}

    @rule(name=names, amount=amounts)
    def request(self, name: TransferId, amount: Decimal) -> None:
        """A new request, a repetition, or another body under the same key."""
        mark = request_fingerprint(TERMS.direction, amount, "")
        terms = replace(TERMS, amount=amount, limits=LIMITS, accepted_at=self.now, fingerprint=mark)
        events = self.execute(name, RequestTransfer(name, terms))

        assert bool(events) is (name not in self.first)
        self.first.setdefault(name, mark)

    @rule(ms=st.sampled_from([1, 1_000, 30_000]))
    def pass_time(self, ms: int) -> None:
        self.now += ms

    @rule(
        name=names,
        behind=st.integers(0, 1),
        executes_ms=st.sampled_from([None, 0, 4_000, 14_999]),
    )
    def send(self, name: TransferId, behind: int, executes_ms: int | None) -> None:
        """An instance may act on stale state; it sends only if the ledger holds the start event."""
        transfer = self.ledger.transfers.get(name)
        if transfer is None:
            return
        attempt = transfer.attempt + 1 - behind
        start = StartSubmission(attempt, self.now, 5_000, f"{name}{attempt}", MAX_AGE_MS, self.now)
        if not any(isinstance(event, SubmissionStarted) for event in self.execute(name, start)):
            return
        movement = None
        if executes_ms is not None:
            number, moved_at = str(len(self.sent) + 1), self.now + executes_ms
            confirmed = MovementStatus.CONFIRMED
            movement = Movement(number, transfer.direction, transfer.amount, confirmed, moved_at)
            self.book.append(movement)
        self.sent.append(Request(name, attempt, movement))

    @precondition(lambda self: any(sent.is_open for sent in self.sent))
    @rule(data=st.data())
    def reply(self, data: st.DataObject) -> None:
        """Replies may be late, but are true."""
        sent = data.draw(st.sampled_from([each for each in self.sent if each.is_open]))
        sent.is_open = False
        self.execute(sent.name, data.draw(st.sampled_from(self.replies(sent))))

    def replies(self, sent: Request) -> list[TreasuryCommand]:
        unknown = RecordUnknown(sent.attempt, "reset", self.now)
        if sent.movement is not None:
            done = RecordCompleted(sent.attempt, sent.movement.tran_id, Evidence.REPLY, self.now)
            return [done, unknown] if sent.movement.moved_at <= self.now else [unknown]
        later = self.now + 1_000
        return [
            unknown,
            RecordRefused(sent.attempt, FailureReason.REFUSED, "-5013", self.now),
            *(
                RecordNotExecuted(sent.attempt, each, "x", later, self.now)
                for each in NotExecutedReason
            ),
        ]

    @rule(name=names)
    def expire(self, name: TransferId) -> None:
        if name in self.ledger.transfers:
            self.execute(name, ExpireTransfer(MAX_AGE_MS, self.now))

    @rule(name=names, lag_ms=st.sampled_from([0, 20_000]))
    def reconcile(self, name: TransferId, lag_ms: int) -> None:
        """By direction, amount and time alone, as in wallet mode; also for an ABSENT failure."""
        transfer = self.ledger.transfers.get(name)
        if transfer is None:
            return
        absent = transfer.failure_reason is FailureReason.ABSENT
        if not transfer.is_unresolved and not absent:
            return
        rows = [row for row in self.book if row.moved_at + lag_ms <= self.now]
        candidates = MovementIndex(rows).candidates(transfer, TIMING)
        unclaimed = [each for each in candidates if each.tran_id not in self.ledger.claims]
        match match_of(assign_movements({name: unclaimed}).get(name)):
            case Matched(movement=row):
                self.execute(name, RecordMatched(transfer.attempt, row.tran_id, self.now))
            case _:
                self.find_nothing(transfer)

    def find_nothing(self, transfer: Transfer) -> None:
        self.execute(transfer.transfer_id, RequestReview("silent", self.now))
        if reads := reads_proving_absence(transfer, TIMING, (self.now,)):
            note = RecordAbsent(transfer.attempt, reads, self.now)
            self.execute(transfer.transfer_id, note)

    @rule(name=names, verdict=st.sampled_from(OperatorVerdict))
    def resolve(self, name: TransferId, verdict: OperatorVerdict) -> None:
        """The operator's verdict is always right."""
        own = self.moved().get(name)
        true = OperatorVerdict.DONE if own else OperatorVerdict.FAILED
        if name not in self.ledger.transfers or verdict is not true:
            return
        before = self.ledger.transfers[name]
        try:
            self.execute(name, ResolveTransfer(verdict, own or "", "seen", self.now))
        except TransferStateError:
            assert not before.is_unresolved
            assert not before.disputed

    @invariant()
    def every_ledger_invariant_holds(self) -> None:
        assert not self.ledger.broken

    @invariant()
    def nothing_moves_twice(self) -> None:
        assert len(self.moved()) == len(self.book)

    @invariant()
    def the_ledger_agrees_with_the_exchange(self) -> None:
        moved = self.moved()
        for name, transfer in self.ledger.transfers.items():
            match transfer.phase:
                case Phase.DONE:
                    assert transfer.tran_id == moved.get(name)
                case Phase.FAILED | Phase.REJECTED | Phase.REQUESTED:
                    assert name not in moved
                case Phase.SUBMITTED | Phase.UNKNOWN:
                    pass
            assert not transfer.disputed

    @invariant()
    def a_key_is_bound_to_its_first_request(self) -> None:
        for name, mark in self.first.items():
            assert self.ledger.transfers[name].fingerprint == mark

    @invariant()
    def the_moved_amount_is_within_the_cap(self) -> None:
        assert sum((row.amount for row in self.book), Decimal(0)) <= LIMITS.daily_cap


RUNS = settings(max_examples=200, stateful_step_count=40, deadline=None)
ONCE = settings(
    RUNS, max_examples=3_000, phases=[Phases.generate], report_multiple_bugs=False, database=None
)


def test_the_ledger_agrees_with_the_movements_of_the_exchange() -> None:
    run_state_machine_as_test(Exchange, settings=RUNS)


class WithoutLookalikeCheck(Exchange):
    """Mistake: sends a transfer beside its lookalike."""

    def execute(self, name: TransferId, command: TreasuryCommand) -> tuple[object, ...]:
        context = self.ledger.context(name, command)
        events = decide(
            DecisionContext(context.transfer, context.cap, (), context.movement_owner),
            command,
        )
        for event in events:
            self.ledger.apply(event)
        self.ledger.broken.clear()
        return events


class Resending(Exchange):
    """Mistake: sends again after an unknown reply."""

    def replies(self, sent: Request) -> list[TreasuryCommand]:
        again = RecordNotExecuted(sent.attempt, NotExecutedReason.NOT_SENT, "x", self.now, self.now)
        return [*super().replies(sent), again]


def test_the_machine_detects_a_resent_request() -> None:
    """A state machine that a broken treasury passes would prove nothing."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Resending, settings=ONCE)


def test_the_machine_detects_a_transfer_sent_beside_its_lookalike() -> None:
    """Random steps find it too, but rarely soon."""
    ours, broken = _run_two_lookalikes(Exchange()), _run_two_lookalikes(WithoutLookalikeCheck())

    ours.the_ledger_agrees_with_the_exchange()
    assert len(ours.sent) == 1
    assert len(broken.sent) == 2
    with pytest.raises(AssertionError):
        broken.the_ledger_agrees_with_the_exchange()


def _run_two_lookalikes(run: Exchange) -> Exchange:
    first, second, _ = NAMES
    run.request(first, Decimal(40))
    run.request(second, Decimal(40))
    run.send(first, 0, None)
    run.send(second, 0, 0)
    run.reconcile(first, 0)
    return run
