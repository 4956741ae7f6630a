"""What the whole ledger comes to: the same as each of its streams by itself."""

from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ledger.commit import Commit, LedgerHead, NewEvent, head_of
from chimera_s1.domain.treasury.commands import RequestTransfer, TreasuryCommand
from chimera_s1.domain.treasury.daily_cap import CapDay, evolve_cap
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.event_records import (
    UnknownEvent,
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
from tests.unit.domain.treasury.command_strategies import things_said
from tests.unit.domain.treasury.decision_model import DecisionModel

DONE = (completed_event(Evidence.REPLY), SETTLED, CLAIMED)
ABSENT = (failed_event(FailureReason.ABSENT), RELEASED)


def folded(commits: list[Commit]) -> OpenTransfers:
    book = OpenTransfers()
    for commit in commits:
        book.fold_commit(commit)
    return book


def ledger_of(said: list[tuple[TransferId, TreasuryCommand]]) -> CommitChain:
    """What follows from *said*, one commit a decision."""
    ledger, chain = DecisionModel(), CommitChain()
    for about, command in said:
        name = command.transfer_id if isinstance(command, RequestTransfer) else about
        try:
            events = ledger.execute(name, command)
        except TransferStateError:
            continue
        if events:
            chain.add("x", *events, about=name)
    return chain


def refolded(commits: list[Commit]) -> tuple[dict[TransferId, Transfer], dict[str, CapDay]]:
    """Each stream by itself, as slowly and as simply as can be."""
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
@given(things_said, st.integers(0, 60))
def test_the_whole_is_the_same_as_its_streams_one_by_one(
    said: list[tuple[TransferId, TreasuryCommand]], restart: int
) -> None:
    commits = ledger_of(said).commits
    transfers, days = refolded(commits)

    book = folded(commits[:restart])
    for commit in commits[restart:]:
        book.fold_commit(commit)

    everyone = list(transfers.values())
    assert book.queued == {t.transfer_id: t for t in everyone if t.is_queued}
    assert book.unresolved == {t.transfer_id: t for t in everyone if t.is_unresolved}
    assert book.disputed == {t.transfer_id for t in everyone if t.disputed}
    assert book.in_review == sum(t.in_review for t in everyone)
    assert all(book.watched_failures[name] == transfers[name] for name in book.watched_failures)
    assert all(book.unverified[name] == transfers[name] for name in book.unverified)
    assert {day: book.cap_on(day) for day in days} == days
    assert book.head == (head_of(commits[-1]) if commits else LedgerHead())
    for each in everyone:
        assert set(book.lookalikes(each)) == {
            other.transfer_id
            for other in everyone
            if other.is_unresolved
            and other.transfer_id != each.transfer_id
            and (other.direction, other.amount) == (each.direction, each.amount)
        }
        assert book.find(each.transfer_id) in {each, None}


def test_a_life_goes_from_place_to_place() -> None:
    chain, book = CommitChain(), OpenTransfers()
    steps: list[tuple[str, tuple[TransferEvent | CapEvent | MovementClaimed, ...]]] = [
        ("waiting", (REQUESTED, RESERVED)),
        ("unresolved", (STARTED,)),
        ("unresolved", (UNKNOWN,)),
        ("absent", ABSENT),
        ("", (CORRECTED, CapRebooked(day=DAY, transfer_id=ID, amount=AMOUNT), CLAIMED)),
    ]
    for place, events in steps:
        book.fold_commit(chain.add("x", *events))
        places = {
            "waiting": book.queued,
            "unresolved": book.unresolved,
            "unverified": book.unverified,
            "absent": book.watched_failures,
        }
        assert [name for name, held in places.items() if ID in held] == ([place] if place else [])
        assert (book.find(ID) is not None) is bool(place)


def test_what_the_exchange_alone_says_waits_to_be_seen_in_its_history() -> None:
    chain = CommitChain()
    book = folded([chain.add("x", REQUESTED, RESERVED, STARTED, *DONE)])
    assert list(book.unverified) == [ID]

    book.fold_commit(chain.add("x", VERIFIED))

    assert not book.unverified
    assert book.cap_on(DAY) == CapDay(AMOUNT, 2)


def test_a_dispute_of_what_was_over_long_ago_still_calls_a_human() -> None:
    """Done by a movement in the history, then the reply came and named another."""
    chain = CommitChain()
    seen = completed_event(Evidence.HISTORY)
    book = folded([chain.add("x", REQUESTED, RESERVED, STARTED, seen, SETTLED, CLAIMED)])
    assert (book.find(ID), book.in_review) == (None, 0)

    book.fold_commit(chain.add("x", DISPUTED))
    assert (book.disputed, book.in_review) == ({ID}, 1)

    book.fold_commit(chain.add("operator", VERIFIED))
    assert (book.disputed, book.in_review) == (set(), 0)


def test_one_that_is_unresolved_and_disputed_is_one_that_waits_for_a_human() -> None:
    chain = CommitChain()

    book = folded([chain.add("x", REQUESTED, RESERVED, STARTED, UNKNOWN, REVIEW, DISPUTED)])

    assert book.in_review == 1


def test_one_the_exchange_has_named_a_movement_for_is_not_sent_again() -> None:
    chain = CommitChain()
    note = TransferDisputed(transfer_id=ID, cause="x", at=1)

    book = folded([chain.add("x", REQUESTED, RESERVED, note)])

    assert not book.queued
    assert book.in_review == 1


def test_what_is_forgotten_stays_so_whatever_comes() -> None:
    chain = CommitChain()
    book = folded([chain.add("x", REQUESTED, RESERVED, STARTED, UNKNOWN, *ABSENT)])
    assert list(book.watched_failures) == [ID]

    book.stop_watching(ID)
    book.stop_watching(ID)
    assert book.find(ID) is None

    rebooked = CapRebooked(day=DAY, transfer_id=ID, amount=AMOUNT)
    book.fold_commit(chain.add("operator", CORRECTED, rebooked, CLAIMED))
    assert book.find(ID) is None
    assert book.cap_on(DAY) == CapDay(AMOUNT, 3)


def test_nobody_forgets_what_is_not_over() -> None:
    chain = CommitChain()
    book = folded([chain.add("x", REQUESTED, RESERVED, STARTED)])

    book.stop_watching(ID)

    assert list(book.unresolved) == [ID]


def test_one_that_can_be_told_apart_has_no_rivals() -> None:
    chain = CommitChain()
    other = TransferId("t-2")
    started = SubmissionStarted(
        transfer_id=other, attempt=1, signed_at=1, recv_window_ms=1, request_hash=""
    )
    second = replace(REQUESTED, transfer_id=other, terms=replace(TERMS, amount=Decimal("12.50")))
    book = folded([chain.add("x", REQUESTED), chain.add("x", second, started, about=other)])
    transfer = book.queued[ID]

    assert book.lookalikes(transfer) == (other,)
    assert book.lookalikes(book.unresolved[other]) == ()
    assert book.lookalikes(replace(transfer, amount=Decimal(12))) == ()
    assert book.lookalikes(replace(transfer, mode=TreasuryMode.SUBACCOUNT)) == ()


def test_the_stream_of_a_day_is_told_from_others() -> None:
    book = folded([CommitChain().add("x", REQUESTED, RESERVED)])

    assert book.cap_of_stream(cap_stream(DAY)) == CapDay(AMOUNT, 1)
    assert book.cap_of_stream(cap_stream("2026-11-27")) == CapDay()
    assert book.cap_of_stream(transfer_stream(ID)) is None


def test_what_only_a_newer_program_understands_is_remembered() -> None:
    chain = CommitChain()
    stream = transfer_stream(ID)
    newer = NewEvent(stream, "treasury.transfer.reversed", 1, {"transfer_id": ID})
    on_the_day = NewEvent(cap_stream(DAY), "treasury.cap.reserved", 2, {})
    book = folded([chain.add("x", REQUESTED, RESERVED), chain.add("s2", newer)])

    assert book.find_unknown_event([cap_stream(DAY), stream]) == UnknownEvent(stream, newer.type, 1)
    assert book.find_unknown_event([cap_stream(DAY)]) is None
    assert book.queued[ID].phase is Phase.REQUESTED

    book.fold_commit(chain.add("s2", on_the_day))
    assert book.find_unknown_event([cap_stream(DAY)]) is not None


def test_a_movement_of_somebody_else_changes_no_place() -> None:
    chain = CommitChain()
    foreign = ForeignMovementObserved(
        tran_id="5", direction=TERMS.direction, amount=AMOUNT, moved_at=1
    )

    book = folded([chain.add("x", foreign)])

    assert (book.queued, book.unresolved, book.in_review) == ({}, {}, 0)
    assert book.head == chain.head
