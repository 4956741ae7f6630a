"""The stores in memory that fail on demand."""

import pytest

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, CommitDraft, LedgerHead, NewEvent, head_of, seal
from chimera_s1.domain.ports.event_store import Appended, SeqTaken
from tests.fakes.ledger_stores import FaultyEventStore, FaultyLeaseStore, FaultyTransferProjection
from tests.fakes.manual_clock import ManualClock


def make_commit(commit_id: str) -> Commit:
    events = (NewEvent("transfer/a", "test.noted", 1, {}),)
    draft = CommitDraft(
        commit_id=commit_id, at=1, actor="s1/test", correlation_id="c", events=events
    )
    return seal(draft, "main", LedgerHead(), {})


async def test_an_unavailable_store_raises_and_keeps_what_was_written() -> None:
    """A commit offered meanwhile is not written."""
    events = FaultyEventStore("main")
    commit = make_commit("first")
    await events.append(commit)
    events.unavailable = True

    for call in (events.append(commit), events.head(), events.read(0, 1), events.read_stream("a")):
        with pytest.raises(StoreUnavailableError):
            await call

    events.unavailable = False
    assert await events.head() == head_of(commit)


async def test_leases_and_transfers_can_be_unavailable() -> None:
    leases, transfers = FaultyLeaseStore(ManualClock()), FaultyTransferProjection()
    leases.unavailable = transfers.unavailable = True

    for call in (leases.acquire("a", "b", 1), transfers.get("a")):
        with pytest.raises(StoreUnavailableError):
            await call


async def test_a_reply_is_lost_after_the_commit_was_written() -> None:
    events = FaultyEventStore("main")
    events.replies_to_lose = 2

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await events.append(make_commit("first"))

    assert await events.append(make_commit("first")) == Appended(
        make_commit("first"), already_written=True
    )


async def test_two_stores_can_share_a_ledger() -> None:
    first = FaultyEventStore("main")
    second = FaultyEventStore("main", first.contents)

    await first.append(make_commit("first"))

    assert await second.append(make_commit("second")) == SeqTaken(make_commit("first"))
