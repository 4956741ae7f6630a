"""Transfers of colliding amounts at an exchange that loses requests and replies, is late within its
bounds, and never lies: whatever happens in whatever order, what the ledger says has moved.
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
from chimera_s1.domain.treasury.reconciliation import (
    Matched,
    Movement,
    MovementStatus,
    ReconciliationTiming,
    find_match,
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


PATIENCE = ReconciliationTiming(
    execution_ms=10_000, history_lag_ms=20_000, clean_reads=1, clean_spread_ms=0
)


class Request(Struct):
    """What was sent; the exchange executes it as *movement*, or never will."""

    name: TransferId
    attempt: int
    movement: Movement | None
    is_open: bool = True


class Exchange(RuleBasedStateMachine):
    """Rules of one kind do what the treasury does, those of the other what may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = DecisionModel()
        self.now = AT
        self.sent: list[Request] = []
        self.book: list[Movement] = []
        self.first: dict[TransferId, str] = {}

    def said(self, name: TransferId, command: TreasuryCommand) -> tuple[object, ...]:
        return self.ledger.execute(name, command)

    def moved(self) -> dict[TransferId, str]:
        return {sent.name: sent.movement.tran_id for sent in self.sent if sent.movement}

    @rule(name=names, amount=amounts)
    def request(self, name: TransferId, amount: Decimal) -> None:
        """A new one, a repetition, or another body under the same key."""
        mark = request_fingerprint(TERMS.direction, amount, "")
        terms = replace(TERMS, amount=amount, limits=LIMITS, accepted_at=self.now, fingerprint=mark)
        events = self.said(name, RequestTransfer(name, terms))

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
        """From what one instance knew, perhaps a moment ago; only what is in the ledger is sent."""
        transfer = self.ledger.transfers.get(name)
        if transfer is None:
            return
        attempt = transfer.attempt + 1 - behind
        start = StartSubmission(attempt, self.now, 5_000, f"{name}{attempt}", MAX_AGE_MS, self.now)
        if not any(isinstance(event, SubmissionStarted) for event in self.said(name, start)):
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
        """As late as it likes, and only the truth."""
        sent = data.draw(st.sampled_from([each for each in self.sent if each.is_open]))
        sent.is_open = False
        self.said(sent.name, data.draw(st.sampled_from(self.replies(sent))))

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
            self.said(name, ExpireTransfer(MAX_AGE_MS, self.now))

    @rule(name=names, lag_ms=st.sampled_from([0, 20_000]))
    def reconcile(self, name: TransferId, lag_ms: int) -> None:
        """By direction, amount and moment alone, as the wallet's history allows; also for one that
        was given up.
        """
        transfer = self.ledger.transfers.get(name)
        if transfer is None:
            return
        given_up = transfer.failure_reason is FailureReason.ABSENT
        if not transfer.is_unresolved and not given_up:
            return
        rows = [row for row in self.book if row.moved_at + lag_ms <= self.now]
        match find_match(transfer, PATIENCE, rows, frozenset(self.ledger.claims)):
            case Matched(movement=row):
                evidence = Evidence.HISTORY
                self.said(name, RecordCompleted(transfer.attempt, row.tran_id, evidence, self.now))
            case _:
                self.find_nothing(transfer)

    def find_nothing(self, transfer: Transfer) -> None:
        self.said(transfer.transfer_id, RequestReview("silent", self.now))
        if reads := reads_proving_absence(transfer, PATIENCE, (self.now,)):
            note = RecordAbsent(transfer.attempt, reads, self.now)
            self.said(transfer.transfer_id, note)

    @rule(name=names, verdict=st.sampled_from(OperatorVerdict))
    def resolve(self, name: TransferId, verdict: OperatorVerdict) -> None:
        """By an operator who looks closely."""
        own = self.moved().get(name)
        true = OperatorVerdict.DONE if own else OperatorVerdict.FAILED
        if name not in self.ledger.transfers or verdict is not true:
            return
        before = self.ledger.transfers[name]
        try:
            self.said(name, ResolveTransfer(verdict, own or "", "seen", self.now))
        except TransferStateError:
            assert not before.is_unresolved
            assert not before.disputed

    @invariant()
    def every_promise_of_the_ledger_holds(self) -> None:
        assert not self.ledger.broken

    @invariant()
    def nothing_moves_twice(self) -> None:
        assert len(self.moved()) == len(self.book)

    @invariant()
    def what_is_said_has_happened(self) -> None:
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
    def a_key_belongs_to_what_was_asked_first(self) -> None:
        for name, mark in self.first.items():
            assert self.ledger.transfers[name].fingerprint == mark

    @invariant()
    def what_has_moved_is_within_the_cap(self) -> None:
        assert sum((row.amount for row in self.book), Decimal(0)) <= LIMITS.daily_cap


RUNS = settings(max_examples=200, stateful_step_count=40, deadline=None)
ONCE = settings(
    RUNS, max_examples=3_000, phases=[Phases.generate], report_multiple_bugs=False, database=None
)


def test_what_the_ledger_says_is_what_has_moved() -> None:
    run_state_machine_as_test(Exchange, settings=RUNS)


class WithoutRivals(Exchange):
    """Sends one beside another that looks the same."""

    def said(self, name: TransferId, command: TreasuryCommand) -> tuple[object, ...]:
        situation = self.ledger.context(name, command)
        events = decide(
            DecisionContext(situation.transfer, situation.cap, (), situation.movement_owner),
            command,
        )
        for event in events:
            self.ledger.apply(event)
        self.ledger.broken.clear()
        return events


class Resending(Exchange):
    """Sends again after an unknown reply."""

    def replies(self, sent: Request) -> list[TreasuryCommand]:
        again = RecordNotExecuted(sent.attempt, NotExecutedReason.NOT_SENT, "x", self.now, self.now)
        return [*super().replies(sent), again]


def test_sending_again_is_caught() -> None:
    """A machine that a broken treasury passes would prove nothing."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Resending, settings=ONCE)


def test_sending_one_beside_a_rival_is_caught() -> None:
    """Chance finds it too, but seldom soon."""
    ours, broken = _rivals(Exchange()), _rivals(WithoutRivals())

    ours.what_is_said_has_happened()
    assert len(ours.sent) == 1
    assert len(broken.sent) == 2
    with pytest.raises(AssertionError):
        broken.what_is_said_has_happened()


def _rivals(run: Exchange) -> Exchange:
    first, second, _ = NAMES
    run.request(first, Decimal(40))
    run.request(second, Decimal(40))
    run.send(first, 0, None)
    run.send(second, 0, 0)
    run.reconcile(first, 0)
    return run
