"""The ledger engine with a made-up domain: conflicts, lost replies, stale reads and damage."""

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.app.capabilities.ledger.engine import CONFLICT_RETRIES_MAX, STALE_READ_MAX_MS
from chimera_s1.domain.errors import (
    AppendUncertainError,
    InvalidValueError,
    LedgerDamagedError,
    StoreUnavailableError,
)
from chimera_s1.domain.ledger.commit import (
    Commit,
    CommitDraft,
    LedgerHead,
    NewEvent,
    chain_error,
    head_of,
    seal,
)
from tests.fakes.ledger_stores import FaultyEventStore
from tests.treasury_invariants import read_all
from tests.unit.app.capabilities.ledger.small_ledgers import LIMIT, Counter, FaultyStore
from tests.virtual_time import LoopClock, on_virtual_time, run_on_virtual_time

ADDS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.integers(0, 1)), max_size=12)
"""Instance, amount, stream."""


@given(adds=ADDS)
def test_concurrent_instances_decide_as_if_one_after_the_other(
    adds: list[tuple[int, int, int]],
) -> None:
    run_on_virtual_time(lambda: add_concurrently(adds))


async def add_concurrently(adds: list[tuple[int, int, int]]) -> None:
    contents = LedgerContents()
    instances = [Counter(FaultyEventStore("counter", contents)) for _ in range(3)]
    accepted: list[int] = []

    async def add(instance: Counter, by: int, stream: str) -> None:
        if await instance.add(by, stream):
            accepted.append(by)

    async with anyio.create_task_group() as tasks:
        for number, by, stream in adds:
            tasks.start_soon(add, instances[number], by, f"counter/{stream}")

    for instance in instances:
        await instance.engine.catch_up()
        assert instance.total == sum(accepted) <= LIMIT
    entries = await read_all(FaultyEventStore("counter", contents))
    assert len(entries) == len(accepted)
    head = LedgerHead()
    for entry in entries:
        assert not chain_error(entry, head)
        head = head_of(entry.commit)
    for name in ("counter/0", "counter/1"):
        records = [r for e in entries for r in e.commit.events if r.stream == name]
        assert [record.version for record in records] == list(range(1, len(records) + 1))


@on_virtual_time
async def test_lost_conflict_is_decided_again_from_the_new_head() -> None:
    """Both fit alone; together they exceed the limit."""
    contents = LedgerContents()
    store = FaultyStore("counter", contents)
    store.compete = lambda: compete_once(store, 60)

    assert not await Counter(store).add(60)
    assert store.conflicts == 1
    assert [by_of(entry.commit) for entry in await read_all(store)] == [60]


def compete_once(store: FaultyStore, by: int) -> None:
    store.compete = lambda: None
    insert(store.contents, by)


def insert(contents: LedgerContents, by: int) -> None:
    """Append to the ledger as another instance does, without a turn of the event loop."""
    rival = FaultyEventStore("counter", contents)
    head = LedgerHead()
    for seq in sorted(contents.documents_by_seq):
        head = head_of(rival._entry(seq).commit)
    draft = CommitDraft(
        commit_id=f"rival-{head.seq}",
        at=1,
        actor="rival",
        correlation_id="",
        events=(NewEvent("counter/main", "counter.added", 1, {"by": by}),),
    )
    rival._insert(seal(draft, "counter", head, {"counter/main": head.seq}))


def by_of(commit: Commit) -> object:
    return commit.events[0].data["by"]


UNREAD = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-60, 60), st.booleans()), min_size=4, max_size=16
)
"""Instance, amount, read first."""


@given(adds=UNREAD)
def test_decision_without_a_read_is_never_made_from_an_old_state(
    adds: list[tuple[int, int, bool]],
) -> None:
    """Nothing but its own calls brings an instance up to date; each result is that of one that
    knows all commits.
    """
    run_on_virtual_time(lambda: add_in_turn(adds))


async def add_in_turn(adds: list[tuple[int, int, bool]]) -> None:
    contents = LedgerContents()
    instances = [Counter(FaultyEventStore("counter", contents)) for _ in range(3)]
    total = 0
    for number, by, read_first in adds:
        accepted = await instances[number].add(by, read_first=read_first)
        assert accepted is (total + by <= LIMIT)
        total += by if accepted else 0
        assert instances[number].total == total


@on_virtual_time
async def test_append_without_a_read_calls_the_store_once() -> None:
    store = FaultyStore("counter")
    counter = Counter(store)
    assert await counter.add(1, read_first=False)
    read_at_first = store.heads_read

    assert await counter.add(1, read_first=False)

    assert (read_at_first, store.heads_read) == (1, 1)
    assert counter.total == 2


@on_virtual_time
async def test_error_of_a_decision_without_a_read_is_raised_only_if_it_still_holds() -> None:
    contents = LedgerContents()
    counter, other = (Counter(FaultyEventStore("counter", contents)) for _ in range(2))
    assert await counter.add(90)
    assert await other.add(-80)

    await counter.require(60)

    assert counter.total == 70
    with pytest.raises(InvalidValueError, match="70 and 60 exceed"):
        await counter.require(60)


@on_virtual_time
async def test_ledger_that_was_cut_is_not_appended_to_without_a_read() -> None:
    """The sequence number is free, but commits before it are missing."""
    store = FaultyEventStore("counter")
    counter = Counter(store)
    for _ in range(3):
        assert await counter.add(1)
    del store.contents.documents_by_seq[3]
    store.contents.seqs_by_stream["counter/main"].remove(3)

    with pytest.raises(StoreUnavailableError, match="stale read"):
        await counter.add(1, read_first=False)

    assert await store.head() == head_of((await read_all(store))[1].commit)


@on_virtual_time
async def test_append_that_loses_every_conflict_ends_with_an_error() -> None:
    store = FaultyStore("counter")
    store.compete = lambda: insert(store.contents, 0)

    with pytest.raises(
        StoreUnavailableError, match=f"lost {CONFLICT_RETRIES_MAX} append conflicts"
    ):
        await Counter(store).add(1)

    assert store.conflicts == CONFLICT_RETRIES_MAX
    assert {by_of(entry.commit) for entry in await read_all(store)} == {0}


@on_virtual_time
async def test_decision_without_events_writes_nothing() -> None:
    store = FaultyEventStore("counter")
    counter = Counter(store)

    assert not await counter.add(LIMIT + 1)
    assert await store.head() == LedgerHead()
    assert counter.engine.changes.version == 0


@on_virtual_time
async def test_uncertain_append_that_was_written_is_found_by_its_commit_id() -> None:
    store = FaultyEventStore("counter")
    counter = Counter(store)
    store.replies_to_lose = 1

    with pytest.raises(AppendUncertainError) as uncertain:
        await counter.add(60)
    assert counter.total == 0

    assert await counter.engine.contains_commit("counter/main", {uncertain.value.commit_id})
    assert not await counter.add(60)
    assert counter.total == 60


@on_virtual_time
async def test_uncertain_append_that_was_not_written_leaves_no_commit() -> None:
    store = FaultyStore("counter")
    counter = Counter(store)
    store.appends_to_lose = 1

    with pytest.raises(AppendUncertainError) as uncertain:
        await counter.add(60)

    assert not await counter.engine.contains_commit("counter/main", {uncertain.value.commit_id})
    assert await counter.add(60)
    assert counter.total == 60


@on_virtual_time
async def test_head_below_a_known_commit_is_stale_at_first_and_damage_later() -> None:
    store, clock = FaultyStore("counter"), LoopClock()
    counter = Counter(store)
    assert await counter.add(1)
    store.lags = True

    with pytest.raises(StoreUnavailableError, match="stale read"):
        await counter.engine.catch_up()
    store.lags = False
    assert await counter.add(1)
    assert not counter.engine.damage

    store.lags = True
    with pytest.raises(StoreUnavailableError, match="stale read"):
        await counter.add(1)
    await clock.sleep_ms(STALE_READ_MAX_MS)
    with pytest.raises(LedgerDamagedError, match="later commits are missing"):
        await counter.add(1)
    assert counter.total == 2


@on_virtual_time
async def test_new_commit_after_a_stale_read_starts_the_stale_period_again() -> None:
    """Stale reads far apart are short periods, not one long one."""
    store, clock = FaultyStore("counter"), LoopClock()
    counter, other = Counter(store), Counter(FaultyEventStore("counter", store.contents))
    assert await counter.add(1)
    for _ in range(3):
        store.lags = True
        with pytest.raises(StoreUnavailableError, match="stale read"):
            await counter.engine.catch_up()
        store.lags = False
        assert await other.add(1)
        await counter.engine.catch_up()
        await clock.sleep_ms(STALE_READ_MAX_MS)

    assert counter.total == 4


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (b'"by":1', b'"by":9', "commit 2 was changed"),
        (b'"by":1', b'"by":"1"', "commit 2"),
    ],
)
@on_virtual_time
async def test_changed_commit_stops_all_writes(before: bytes, after: bytes, problem: str) -> None:
    store = FaultyEventStore("counter")
    for _ in range(3):
        assert await Counter(store).add(1)
    documents = store.contents.documents_by_seq
    documents[2] = documents[2].replace(before, after)
    assert after in documents[2]
    counter = Counter(store)

    for _ in range(2):
        with pytest.raises(LedgerDamagedError, match=problem):
            await counter.add(1)
    assert problem in counter.engine.damage
    assert (await store.head()).seq == 3


@on_virtual_time
async def test_event_that_cannot_be_folded_stops_all_writes() -> None:
    """The chain is intact; the fold rejects the commit as impossible."""
    store = FaultyEventStore("counter")
    event = NewEvent("counter/main", "counter.added", 1, {"by": "many"})
    draft = CommitDraft(commit_id="odd", at=1, actor="x", correlation_id="", events=(event,))
    await store.append(seal(draft, "counter", LedgerHead(), {}))
    counter = Counter(store)

    with pytest.raises(LedgerDamagedError, match="commit 1 adds 'many'"):
        await counter.add(1)
    assert counter.engine.damage
    assert counter.engine.head == LedgerHead()


@on_virtual_time
async def test_damage_found_elsewhere_stops_all_writes(caplog: pytest.LogCaptureFixture) -> None:
    store = FaultyEventStore("counter")
    counter = Counter(store)
    assert await counter.add(1)

    counter.engine.mark_damaged("commits are missing")

    with pytest.raises(LedgerDamagedError, match="commits are missing"):
        await counter.add(1)
    assert (await store.head()).seq == 1
    assert "ledger counter is damaged: commits are missing" in caplog.text


@on_virtual_time
async def test_changed_commit_is_not_read_from_a_stream() -> None:
    store = FaultyEventStore("counter")
    counter = Counter(store)
    assert await counter.add(1)
    documents = store.contents.documents_by_seq
    documents[1] = documents[1].replace(b'"by":1', b'"by":2')

    with pytest.raises(LedgerDamagedError, match="commit 1 was changed"):
        await counter.engine.read_stream("counter/main")


@on_virtual_time
async def test_changes_are_notified_for_own_commits_and_those_of_others() -> None:
    store = FaultyEventStore("counter")
    first, second = Counter(store), Counter(store)
    clock = LoopClock()
    seen: list[int] = []

    async def watch() -> None:
        while True:
            version = second.engine.changes.version
            seen.append(second.total)
            await second.engine.changes.wait_after(clock, 60_000, version=version)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await checkpoint()
        assert await first.add(1)
        await second.engine.catch_up()
        await clock.sleep_ms(1)
        assert await second.add(2)
        await clock.sleep_ms(1)
        tasks.cancel_scope.cancel()

    assert seen == [0, 1, 3]
