"""The fold over the whole ledger agrees with folding each stream alone."""

from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, LedgerHead, NewEvent, head_of
from chimera_s1.domain.ledger.event_data import UnknownEvent
from chimera_s1.domain.treasury.commands import RequestTransfer, TreasuryCommand
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.event_records import (
    cap_stream,
    decode_event,
    transfer_stream,
)
from chimera_s1.domain.treasury.events import (
    CapEvent,
    CapRebooked,
    Evidence,
    FailureReason,
    ForeignMovementObserved,
    MovementClaimed,
    SubmissionStarted,
    TransferDisputed,
    TransferEvent,
    TreasuryMode,
)
from chimera_s1.domain.treasury.open_transfers import OpenTransfers
from chimera_s1.domain.treasury.transfer import Phase, Transfer, evolve
from tests.transfer_events import (
    AMOUNT,
    CLAIMED,
    CORRECTED,
    DAY,
    DISPUTED,
    ID,
    RELEASED,
    REQUESTED,
    RESERVED,
    REVIEW,
    SETTLED,
    STARTED,
    TERMS,
    UNKNOWN,
    VERIFIED,
    CommitChain,
    completed_event,
    failed_event,
)
from tests.unit.domain.treasury.command_strategies import command_sequences
from tests.unit.domain.treasury.decision_model import DecisionModel

DONE = (completed_event(Evidence.REPLY), SETTLED, CLAIMED)
ABSENT = (failed_event(FailureReason.ABSENT), RELEASED)


def folded(commits: list[Commit]) -> OpenTransfers:
    open_transfers = OpenTransfers()
    for commit in commits:
        open_transfers.fold_commit(commit)
    return open_transfers


def chain_of(commands: list[tuple[TransferId, TreasuryCommand]]) -> CommitChain:
    """The ledger after *commands*, one commit per decision."""
    ledger, chain = DecisionModel(), CommitChain()
    for about, command in commands:
        name = command.transfer_id if isinstance(command, RequestTransfer) else about
        try:
            events = ledger.execute(name, command)
        except TransferStateError:
            continue
        if events:
            chain.add("x", *events, about=name)
    return chain


def refolded(commits: list[Commit]) -> tuple[dict[TransferId, Transfer], dict[str, CapDay]]:
    """Fold each stream alone, in the simplest way."""
    streams: dict[str, list[TransferEvent | CapEvent]] = defaultdict(list)
    for commit in commits:
        for record in commit.events:
            event = decode_event(record)
            if isinstance(event, TransferEvent | CapEvent):
                streams[record.stream].append(event)
    transfers: dict[TransferId, Transfer] = {}
    days: dict[str, CapDay] = defaultdict(CapDay)
    for events in streams.values():
        transfer: Transfer | None = None
        for event in events:
            if isinstance(event, TransferEvent):
                transfer = evolve(transfer, event)
                transfers[transfer.transfer_id] = transfer
            else:
                days[event.day] = evolve_cap(days[event.day], event)
    return transfers, days


@settings(max_examples=200)
@given(command_sequences, st.integers(0, 60))
def test_open_transfers_agree_with_the_streams_folded_one_by_one(
    commands: list[tuple[TransferId, TreasuryCommand]], restart: int
) -> None:
    commits = chain_of(commands).commits
    transfers, days = refolded(commits)

    open_transfers = folded(commits[:restart])
    for commit in commits[restart:]:
        open_transfers.fold_commit(commit)

    all_transfers = list(transfers.values())
    assert open_transfers.queued == {t.transfer_id: t for t in all_transfers if t.is_queued}
    assert open_transfers.unresolved == {t.transfer_id: t for t in all_transfers if t.is_unresolved}
    assert open_transfers.disputed == {t.transfer_id for t in all_transfers if t.disputed}
    assert open_transfers.in_review == sum(t.in_review for t in all_transfers)
    assert all(
        open_transfers.watched_failures[name] == transfers[name]
        for name in open_transfers.watched_failures
    )
    assert all(
        open_transfers.unverified[name] == transfers[name] for name in open_transfers.unverified
    )
    assert {day: open_transfers.cap_on(day) for day in days} == days
    assert open_transfers.head == (head_of(commits[-1]) if commits else LedgerHead())
    for each in all_transfers:
        assert set(open_transfers.lookalikes(each)) == {
            other.transfer_id
            for other in all_transfers
            if other.is_unresolved
            and other.transfer_id != each.transfer_id
            and (other.direction, other.amount) == (each.direction, each.amount)
        }
        assert open_transfers.find(each.transfer_id) in {each, None}


def test_a_transfer_moves_between_the_groups() -> None:
    chain, open_transfers = CommitChain(), OpenTransfers()
    steps: list[tuple[str, tuple[TransferEvent | CapEvent | MovementClaimed, ...]]] = [
        ("queued", (REQUESTED, RESERVED)),
        ("unresolved", (STARTED,)),
        ("unresolved", (UNKNOWN,)),
        ("watched failure", ABSENT),
        ("", (CORRECTED, CapRebooked(day=DAY, transfer_id=ID, amount=AMOUNT), CLAIMED)),
    ]
    for group, events in steps:
        open_transfers.fold_commit(chain.add("x", *events))
        groups = {
            "queued": open_transfers.queued,
            "unresolved": open_transfers.unresolved,
            "unverified": open_transfers.unverified,
            "watched failure": open_transfers.watched_failures,
        }
        assert [name for name, held in groups.items() if ID in held] == ([group] if group else [])
        assert (open_transfers.find(ID) is not None) is bool(group)


def test_a_transfer_done_by_reply_is_unverified_until_its_history_row() -> None:
    chain = CommitChain()
    open_transfers = folded([chain.add("x", REQUESTED, RESERVED, STARTED, *DONE)])
    assert list(open_transfers.unverified) == [ID]

    open_transfers.fold_commit(chain.add("x", VERIFIED))

    assert not open_transfers.unverified
    assert open_transfers.cap_on(DAY) == CapDay(AMOUNT, 2)


def test_a_dispute_of_a_closed_transfer_goes_to_review() -> None:
    """The history shows one movement, then the late reply names another."""
    chain = CommitChain()
    seen = completed_event(Evidence.HISTORY)
    open_transfers = folded([chain.add("x", REQUESTED, RESERVED, STARTED, seen, SETTLED, CLAIMED)])
    assert (open_transfers.find(ID), open_transfers.in_review) == (None, 0)

    open_transfers.fold_commit(chain.add("x", DISPUTED))
    assert (open_transfers.disputed, open_transfers.in_review) == ({ID}, 1)

    open_transfers.fold_commit(chain.add("operator", VERIFIED))
    assert (open_transfers.disputed, open_transfers.in_review) == (set(), 0)


def test_an_unresolved_disputed_transfer_counts_once_in_review() -> None:
    chain = CommitChain()

    open_transfers = folded(
        [chain.add("x", REQUESTED, RESERVED, STARTED, UNKNOWN, REVIEW, DISPUTED)]
    )

    assert open_transfers.in_review == 1


def test_a_disputed_transfer_is_not_queued() -> None:
    chain = CommitChain()
    disputed = TransferDisputed(transfer_id=ID, cause="x", at=1)

    open_transfers = folded([chain.add("x", REQUESTED, RESERVED, disputed)])

    assert not open_transfers.queued
    assert open_transfers.in_review == 1


def test_a_dropped_transfer_stays_dropped() -> None:
    chain = CommitChain()
    open_transfers = folded([chain.add("x", REQUESTED, RESERVED, STARTED, UNKNOWN, *ABSENT)])
    assert list(open_transfers.watched_failures) == [ID]

    open_transfers.stop_watching(ID)
    open_transfers.stop_watching(ID)
    assert open_transfers.find(ID) is None

    rebooked = CapRebooked(day=DAY, transfer_id=ID, amount=AMOUNT)
    open_transfers.fold_commit(chain.add("operator", CORRECTED, rebooked, CLAIMED))
    assert open_transfers.find(ID) is None
    assert open_transfers.cap_on(DAY) == CapDay(AMOUNT, 3)


def test_stop_watching_keeps_an_open_transfer() -> None:
    chain = CommitChain()
    open_transfers = folded([chain.add("x", REQUESTED, RESERVED, STARTED)])

    open_transfers.stop_watching(ID)

    assert list(open_transfers.unresolved) == [ID]


def test_a_distinguishable_transfer_has_no_lookalikes() -> None:
    chain = CommitChain()
    other = TransferId("t-2")
    started = SubmissionStarted(
        transfer_id=other, attempt=1, signed_at=1, recv_window_ms=1, request_hash=""
    )
    second = replace(REQUESTED, transfer_id=other, terms=replace(TERMS, amount=Decimal("12.50")))
    open_transfers = folded(
        [chain.add("x", REQUESTED), chain.add("x", second, started, about=other)]
    )
    transfer = open_transfers.queued[ID]

    assert open_transfers.lookalikes(transfer) == (other,)
    assert open_transfers.lookalikes(open_transfers.unresolved[other]) == ()
    assert open_transfers.lookalikes(replace(transfer, amount=Decimal(12))) == ()
    assert open_transfers.lookalikes(replace(transfer, mode=TreasuryMode.SUBACCOUNT)) == ()


def test_cap_of_stream_accepts_only_cap_streams() -> None:
    open_transfers = folded([CommitChain().add("x", REQUESTED, RESERVED)])

    assert open_transfers.cap_of_stream(cap_stream(DAY)) == CapDay(AMOUNT, 1)
    assert open_transfers.cap_of_stream(cap_stream("2026-11-27")) == CapDay()
    assert open_transfers.cap_of_stream(transfer_stream(ID)) is None


def test_open_transfers_remember_unknown_events() -> None:
    chain = CommitChain()
    stream = transfer_stream(ID)
    newer = NewEvent(stream, "treasury.transfer.reversed", 1, {"transfer_id": ID})
    on_the_day = NewEvent(cap_stream(DAY), "treasury.cap.reserved", 2, {})
    open_transfers = folded([chain.add("x", REQUESTED, RESERVED), chain.add("s2", newer)])

    assert open_transfers.find_unknown_event([cap_stream(DAY), stream]) == UnknownEvent(
        stream, newer.type, 1
    )
    assert open_transfers.find_unknown_event([cap_stream(DAY)]) is None
    assert open_transfers.queued[ID].phase is Phase.REQUESTED

    open_transfers.fold_commit(chain.add("s2", on_the_day))
    assert open_transfers.find_unknown_event([cap_stream(DAY)]) is not None


def test_a_foreign_movement_changes_no_group() -> None:
    chain = CommitChain()
    foreign = ForeignMovementObserved(
        tran_id="5", direction=TERMS.direction, amount=AMOUNT, moved_at=1
    )

    open_transfers = folded([chain.add("x", foreign)])

    assert (open_transfers.queued, open_transfers.unresolved, open_transfers.in_review) == (
        {},
        {},
        0,
    )
    assert open_transfers.head == chain.head
