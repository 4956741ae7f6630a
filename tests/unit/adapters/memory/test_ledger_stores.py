"""The stores in memory, as tests use them: gone, with replies lost, and shared."""

import pytest

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.adapters.memory.transfer_projection import MemoryTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, CommitDraft, LedgerHead, NewEvent, head_of, seal
from chimera_s1.domain.ports.event_store import Appended, SeqTaken
from tests.fakes.manual_clock import ManualClock


def commit_of(commit_id: str) -> Commit:
    events = (NewEvent("transfer/a", "test.noted", 1, {}),)
    draft = CommitDraft(
        commit_id=commit_id, at=1, actor="s1/test", correlation_id="c", events=events
    )
    return seal(draft, "main", LedgerHead(), {})


async def test_a_store_that_is_gone_answers_nothing_and_comes_back() -> None:
    """What was written before is there after; what was offered meanwhile is not."""
    events = MemoryEventStore("main")
    commit = commit_of("first")
    await events.append(commit)
    events.unavailable = True

    for call in (events.append(commit), events.head(), events.read(0, 1), events.read_stream("a")):
        with pytest.raises(StoreUnavailableError):
            await call

    events.unavailable = False
    assert await events.head() == head_of(commit)


async def test_every_store_can_be_gone() -> None:
    """Each on its own."""
    cursors, leases = MemoryCursorStore(), MemoryLeaseStore(ManualClock())
    transfers = MemoryTransferProjection()
    cursors.unavailable = leases.unavailable = transfers.unavailable = True

    for call in (cursors.read("a"), leases.acquire("a", "b", 1), transfers.get("a")):
        with pytest.raises(StoreUnavailableError):
            await call


async def test_replies_are_lost_after_the_fact() -> None:
    """As many as were asked for."""
    events = MemoryEventStore("main")
    events.replies_to_lose = 2

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await events.append(commit_of("first"))

    assert await events.append(commit_of("first")) == Appended(
        commit_of("first"), already_written=True
    )


async def test_stores_may_share_a_ledger() -> None:
    """As two processes do."""
    one = MemoryEventStore("main")
    other = MemoryEventStore("main", one.contents)

    await one.append(commit_of("first"))

    assert await other.append(commit_of("second")) == SeqTaken(commit_of("first"))
