"""What every `EventStore` does."""

import anyio
import pytest

from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import (
    COMMIT_BYTES_MAX,
    GENESIS_HASH,
    Commit,
    Document,
    Entry,
    Head,
    head_of,
    link_problem,
    seal,
)
from chimera_s1.domain.ports.event_store import READ_LIMIT_MAX, Appended, EventStore, SeqTaken
from tests.contract.ledger_commits import LEDGER, append_some, draft_of, walk
from tests.contract.ledger_harnesses import Bench, Stores

WRITERS = 20


async def test_a_new_ledger_is_empty(stores: Stores) -> None:
    """Its head is the one before the first commit."""
    assert stores.events.ledger == LEDGER
    assert await stores.events.head() == Head(0, GENESIS_HASH)
    assert await stores.events.read(0, 10) == ()
    assert await stores.events.read_stream("transfer/a") == ()


async def test_a_commit_reads_back_as_it_was_written(bench: Bench, stores: Stores) -> None:
    """Whatever script, the last satoshi and the largest integer; also for a process that starts
    later.
    """
    data: Document = {
        "reason": "naïve 資金 🚀 \x00 \\u0041 'x' \"y\"",
        "amount": "92233720368.54775807",
        "largest": (1 << 63) - 1,
        "smallest": -(1 << 63),
        "nested": {"none": None, "yes": True, "list": [1, "2", []]},
    }
    commit = seal(draft_of("transfer/ü", data=data), LEDGER, await stores.events.head(), {})

    assert await stores.events.append(commit) == Appended(commit)

    for events in (stores.events, (await bench.open()).events):
        assert await events.head() == head_of(commit)
        assert await events.read(0, 10) == (Entry(commit, commit.hash),)
        assert await events.read_stream("transfer/ü") == (Entry(commit, commit.hash),)


async def test_the_same_commit_again_is_recognised(bench: Bench, stores: Stores) -> None:
    """It is written once, however often it is offered, and also after others came."""
    (commit,) = await append_some(stores.events, 1)

    assert await stores.events.append(commit) == Appended(commit, again=True)

    later = await append_some(stores.events, 2)
    for events in (stores.events, (await bench.open()).events):
        assert await events.append(commit) == Appended(commit, again=True)
        assert await events.head() == head_of(later[-1])


async def test_a_place_is_taken_once(stores: Stores) -> None:
    """The second is told whose it is, and nothing of its commit is there."""
    (first,) = await append_some(stores.events, 1)
    second = seal(draft_of("transfer/b", "cap/day"), LEDGER, Head(), {})

    assert await stores.events.append(second) == SeqTaken(first)

    assert await stores.events.head() == head_of(first)
    assert await stores.events.read_stream("transfer/b") == ()
    assert await stores.events.read_stream("cap/day") == ()


async def test_a_commit_id_is_written_once(stores: Stores) -> None:
    """A try that was sealed anew for another place, free or not, is answered with what is there."""
    draft = draft_of("transfer/b")
    commit = seal(draft, LEDGER, Head(), {})
    await stores.events.append(commit)
    (newest,) = await append_some(stores.events, 1)

    for head in (head_of(commit), head_of(newest)):
        resealed = seal(draft, LEDGER, head, {"transfer/b": 1})
        assert await stores.events.append(resealed) == Appended(commit, again=True)

    assert await stores.events.head() == head_of(newest)


async def acknowledged(
    events: EventStore, writer: int, number: int, start: anyio.Event
) -> list[Commit]:
    """*number* commits of one writer among many, each of which it was told is there."""
    written: list[Commit] = []
    await start.wait()
    for version in range(number):
        draft = draft_of(f"writer/{writer}", "shared")
        result = None
        while not isinstance(result, Appended):
            head = await events.head()
            versions = {f"writer/{writer}": version, "shared": head.seq}
            result = await events.append(seal(draft, LEDGER, head, versions))
            assert isinstance(result, Appended) or result.taken_by.seq == head.seq + 1
        assert not result.again
        written.append(result.commit)
    return written


async def test_writers_at_once_make_one_dense_chain(bench: Bench, stores: Stores) -> None:
    """Every acknowledged commit is there once, and who reads along meets each in its order."""
    each = bench.commits_each
    start = anyio.Event()
    written: list[Commit] = []
    tailed: list[Entry] = []

    async def write(writer: int) -> None:
        written.extend(await acknowledged(stores.events, writer, each, start))

    async def tail() -> None:
        await start.wait()
        while len(tailed) < WRITERS * each:
            tailed.extend(await stores.events.read(len(tailed), 50))

    with anyio.fail_after(120):
        async with anyio.create_task_group() as group:
            group.start_soon(tail)
            for writer in range(WRITERS):
                group.start_soon(write, writer)
            await anyio.wait_all_tasks_blocked()
            start.set()

    head = Head()
    for entry in tailed:
        assert link_problem(entry, head) == ""
        head = head_of(entry.commit)
    commits = [entry.commit for entry in tailed]
    assert commits == sorted(written, key=lambda commit: commit.seq)
    assert [commit.events[1].version for commit in commits] == list(range(1, len(commits) + 1))
    own = await stores.events.read_stream("writer/7")
    assert [entry.commit.events[0].version for entry in own] == list(range(1, each + 1))


@pytest.mark.parametrize("others", [0, 2])
async def test_a_lost_reply_is_settled_by_offering_again(
    bench: Bench, stores: Stores, others: int
) -> None:
    """The commit is there though its writer was told nothing; the second offer says so, and writes
    nothing, whoever has written meanwhile.
    """
    commit = seal(draft_of("transfer/b"), LEDGER, Head(), {})
    bench.lose_reply()

    with pytest.raises(StoreUnavailableError):
        await stores.events.append(commit)

    newest = (commit, *await append_some(stores.events, others))[-1]
    assert newest.seq == 1 + others
    assert await stores.events.append(commit) == Appended(commit, again=True)
    assert await stores.events.head() == head_of(newest)


async def test_a_cancelled_append_is_there_whole_or_not_at_all(stores: Stores) -> None:
    """Its writer is cancelled in the middle: the ledger goes on, and the second offer
    settles it.
    """
    commit = seal(draft_of("transfer/b", "cap/day"), LEDGER, Head(), {})

    async with anyio.create_task_group() as group:
        group.start_soon(stores.events.append, commit)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    head = await stores.events.head()
    for stream in ("transfer/b", "cap/day"):
        assert len(await stores.events.read_stream(stream)) == head.seq
    assert await stores.events.append(commit) == Appended(commit, again=head.seq == 1)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, READ_LIMIT_MAX, READ_LIMIT_MAX + 1])
async def test_pages_are_the_ledger(stores: Stores, limit: int) -> None:
    """Page after page in order, the last one empty."""
    commits = await append_some(stores.events, 7)

    read: list[Commit] = []
    while page := await stores.events.read(len(read), limit):
        assert len(page) == min(limit, 7 - len(read))
        read.extend(entry.commit for entry in page)

    assert tuple(read) == commits
    assert await stores.events.read(7, limit) == ()
    assert await stores.events.read(99, limit) == ()


async def test_a_stream_is_its_commits_in_order(stores: Stores) -> None:
    """Those of other streams are left out; a commit of several is in each, whole and once."""
    batches = [("a", "cap"), ("b",), ("b", "cap", "b"), ("a",), ("cap",)]
    head = Head()
    commits: list[Commit] = []
    versions: dict[str, int] = {}
    for streams in batches:
        commit = seal(draft_of(*streams), LEDGER, head, versions)
        versions |= {event.stream: event.version for event in commit.events}
        await stores.events.append(commit)
        head = head_of(commit)
        commits.append(commit)

    for stream in ("a", "b", "cap"):
        found = [entry.commit for entry in await stores.events.read_stream(stream)]
        assert found == [commit for commit in commits if stream in commit.streams]
    assert versions == {"a": 2, "b": 3, "cap": 3}
    assert await stores.events.read_stream("ca") == ()


async def test_a_process_may_end_between_any_two_calls(bench: Bench) -> None:
    """What returned is there for the next one, each time."""
    head = await (await bench.open()).events.head()
    first = seal(draft_of("transfer/b"), LEDGER, head, {})
    assert await (await bench.open()).events.append(first) == Appended(first)
    assert await (await bench.open()).events.append(first) == Appended(first, again=True)
    head = await (await bench.open()).events.head()
    second = seal(draft_of("transfer/b"), LEDGER, head, {"transfer/b": 1})
    unlucky = (await bench.open()).events
    bench.lose_reply()
    with pytest.raises(StoreUnavailableError):
        await unlucky.append(second)
    assert await (await bench.open()).events.append(second) == Appended(second, again=True)
    assert await walk((await bench.open()).events) == (head_of(second), "")


async def test_a_commit_near_the_limit_is_kept_and_a_larger_one_never_offered(
    stores: Stores,
) -> None:
    """Sealing refuses it, so that no store has to."""
    near: Document = {"text": "x" * (COMMIT_BYTES_MAX - 1_000)}
    commit = seal(draft_of("transfer/b", data=near), LEDGER, Head(), {})

    assert await stores.events.append(commit) == Appended(commit)

    assert await stores.events.read(0, 1) == (Entry(commit, commit.hash),)
    with pytest.raises(InvalidValueError, match="at most 1000000 bytes"):
        seal(draft_of("b", data={"text": "x" * COMMIT_BYTES_MAX}), LEDGER, head_of(commit), {})


async def test_a_hole_is_never_passed_over(bench: Bench, stores: Stores) -> None:
    """What comes before it is given; then it is named."""
    commits = await append_some(stores.events, 5)
    await bench.delete(3)

    assert [entry.commit for entry in await stores.events.read(0, 10)] == list(commits[:2])
    with pytest.raises(LedgerDamagedError, match="main-0000000000000003 is missing"):
        await stores.events.read(2, 10)
    assert [entry.commit for entry in await stores.events.read(3, 10)] == list(commits[3:])


async def test_what_is_no_commit_is_named(bench: Bench, stores: Stores) -> None:
    """Every call that meets it says which document it is."""
    commits = await append_some(stores.events, 3)
    await bench.edit(3, lambda document: document.pop("events"))

    named = pytest.raises(LedgerDamagedError, match="main-0000000000000003: not a commit")
    with named:
        await stores.events.head()
    with named:
        await stores.events.read(0, 10)
    with named:
        await stores.events.append(seal(draft_of("b"), LEDGER, head_of(commits[1]), {}))
    assert len(await stores.events.read(0, 2)) == 2
