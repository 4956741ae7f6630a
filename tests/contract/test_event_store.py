"""What every `EventStore` does."""

import anyio
import pytest

from chimera_s1.domain.errors import InvalidValueError, LedgerDamagedError, StoreUnavailableError
from chimera_s1.domain.ledger.commit import (
    COMMIT_BYTES_MAX,
    GENESIS_HASH,
    Commit,
    Document,
    LedgerEntry,
    LedgerHead,
    chain_error,
    head_of,
    seal,
)
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    EventStore,
    NotLinked,
    SeqTaken,
)
from tests.contract.ledger_commits import LEDGER, append_commits, make_draft, verify_links
from tests.contract.ledger_harnesses import LedgerHarness, StoreSet
from tests.fakes.manual_clock import settle
from tests.time_limits import TIMEOUT_S

WRITERS = 20


async def test_a_new_ledger_is_empty(ledger_stores: StoreSet) -> None:
    assert ledger_stores.events.ledger == LEDGER
    assert await ledger_stores.events.head() == LedgerHead(0, GENESIS_HASH)
    assert await ledger_stores.events.read(0, 10) == ()
    assert await ledger_stores.events.read_stream("transfer/a") == ()


async def test_a_commit_reads_back_as_it_was_written(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Any script, the smallest unit and the largest integer; also in a later process."""
    data: Document = {
        "reason": "naïve 資金 🚀 \x00 \\u0041 'x' \"y\"",
        "amount": "92233720368.54775807",
        "largest": (1 << 63) - 1,
        "smallest": -(1 << 63),
        "nested": {"none": None, "yes": True, "list": [1, "2", []]},
    }
    commit = seal(
        make_draft("transfer/ü", data=data), LEDGER, await ledger_stores.events.head(), {}
    )

    assert await ledger_stores.events.append(commit) == Appended(commit)

    for events in (ledger_stores.events, (await ledger_harness.open()).events):
        assert await events.head() == head_of(commit)
        assert await events.read(0, 10) == (LedgerEntry(commit, commit.hash),)
        assert await events.read_stream("transfer/ü") == (LedgerEntry(commit, commit.hash),)


async def test_appending_a_stored_commit_again_reports_it_as_already_written(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Also after later commits, and in a later process."""
    (commit,) = await append_commits(ledger_stores.events, 1)

    assert await ledger_stores.events.append(commit) == Appended(commit, already_written=True)

    later = await append_commits(ledger_stores.events, 2)
    for events in (ledger_stores.events, (await ledger_harness.open()).events):
        assert await events.append(commit) == Appended(commit, already_written=True)
        assert await events.head() == head_of(later[-1])


async def test_a_seq_is_taken_once(ledger_stores: StoreSet) -> None:
    """The second writer gets the stored commit, and nothing of its own is written."""
    (first,) = await append_commits(ledger_stores.events, 1)
    second = seal(make_draft("transfer/b", "cap/day"), LEDGER, LedgerHead(), {})

    assert await ledger_stores.events.append(second) == SeqTaken(first)

    assert await ledger_stores.events.head() == head_of(first)
    assert await ledger_stores.events.read_stream("transfer/b") == ()
    assert await ledger_stores.events.read_stream("cap/day") == ()


async def test_a_commit_is_not_appended_after_another_one_than_it_names(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Its sequence number is free, and nothing is written: the commit before it is another one, or
    is missing.
    """
    commits = await append_commits(ledger_stores.events, 3)
    stores = await ledger_harness.open()

    for head in (LedgerHead(3, "0" * 64), LedgerHead(4, commits[-1].hash)):
        unlinked = seal(make_draft("transfer/b"), LEDGER, head, {})
        assert await stores.events.append(unlinked) == NotLinked()

    assert await stores.events.head() == head_of(commits[-1])
    assert await stores.events.read_stream("transfer/b") == ()


async def test_a_ledger_that_was_cut_is_not_continued(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    commits = await append_commits(ledger_stores.events, 3)
    await ledger_harness.cut_tail(2, 3)

    unlinked = seal(make_draft("transfer/b"), LEDGER, head_of(commits[-1]), {})

    assert await ledger_stores.events.append(unlinked) == NotLinked()
    assert await ledger_stores.events.read(2, 10) == ()


async def test_a_first_commit_follows_nothing(ledger_stores: StoreSet) -> None:
    unlinked = seal(make_draft("transfer/b"), LEDGER, LedgerHead(0, "1" * 64), {})

    assert await ledger_stores.events.append(unlinked) == NotLinked()
    assert await ledger_stores.events.head() == LedgerHead()


async def test_a_commit_id_is_written_once(ledger_stores: StoreSet) -> None:
    """The same id sealed for another seq, free or taken, gives the stored commit."""
    draft = make_draft("transfer/b")
    commit = seal(draft, LEDGER, LedgerHead(), {})
    await ledger_stores.events.append(commit)
    (newest,) = await append_commits(ledger_stores.events, 1)

    for head in (head_of(commit), head_of(newest)):
        resealed = seal(draft, LEDGER, head, {"transfer/b": 1})
        assert await ledger_stores.events.append(resealed) == Appended(commit, already_written=True)

    assert await ledger_stores.events.head() == head_of(newest)


async def append_as_writer(
    harness: LedgerHarness, events: EventStore, writer: int, start: anyio.Event
) -> list[Commit]:
    """Append commits as one of many writers."""
    written: list[Commit] = []
    await start.wait()
    for version in range(harness.commits_per_writer):
        draft = make_draft(f"writer/{writer}", "shared")
        result = None
        while not isinstance(result, Appended):
            head = await events.head()
            versions = {f"writer/{writer}": version, "shared": head.seq}
            result = await events.append(seal(draft, LEDGER, head, versions))
            assert not isinstance(result, NotLinked)
            assert isinstance(result, Appended) or result.existing.seq == head.seq + 1
        assert harness.loses_replies or not result.already_written
        written.append(result.commit)
    return written


async def test_concurrent_writers_make_one_dense_chain(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Every acknowledged commit is stored once; a concurrent reader gets all in order."""
    each = ledger_harness.commits_per_writer
    start = anyio.Event()
    written: list[Commit] = []
    tailed: list[LedgerEntry] = []

    async def write(writer: int) -> None:
        written.extend(await append_as_writer(ledger_harness, ledger_stores.events, writer, start))

    async def tail() -> None:
        await start.wait()
        while len(tailed) < WRITERS * each:
            tailed.extend(await ledger_stores.events.read(len(tailed), 50))

    with anyio.fail_after(2 * TIMEOUT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(tail)
            for writer in range(WRITERS):
                group.start_soon(write, writer)
            await settle()
            start.set()

    head = LedgerHead()
    for entry in tailed:
        assert chain_error(entry, head) == ""
        head = head_of(entry.commit)
    commits = [entry.commit for entry in tailed]
    assert commits == sorted(written, key=lambda commit: commit.seq)
    assert [commit.events[1].version for commit in commits] == list(range(1, len(commits) + 1))
    own = await ledger_stores.events.read_stream("writer/7")
    assert [entry.commit.events[0].version for entry in own] == list(range(1, each + 1))


@pytest.mark.parametrize("others", [0, 2])
async def test_after_a_lost_reply_the_same_append_reports_the_commit(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet, others: int
) -> None:
    """The second append writes nothing, also if others have written meanwhile."""
    commit = seal(make_draft("transfer/b"), LEDGER, LedgerHead(), {})
    ledger_harness.lose_next_reply()

    with pytest.raises(StoreUnavailableError):
        await ledger_stores.events.append(commit)

    newest = (commit, *await append_commits(ledger_stores.events, others))[-1]
    assert newest.seq == 1 + others
    assert await ledger_stores.events.append(commit) == Appended(commit, already_written=True)
    assert await ledger_stores.events.head() == head_of(newest)


async def test_a_cancelled_append_is_written_completely_or_not_at_all(
    ledger_stores: StoreSet,
) -> None:
    """A second append completes it or reports it as written."""
    commit = seal(make_draft("transfer/b", "cap/day"), LEDGER, LedgerHead(), {})

    async with anyio.create_task_group() as group:
        group.start_soon(ledger_stores.events.append, commit)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    head = await ledger_stores.events.head()
    for stream in ("transfer/b", "cap/day"):
        assert len(await ledger_stores.events.read_stream(stream)) == head.seq
    assert await ledger_stores.events.append(commit) == Appended(
        commit, already_written=head.seq == 1
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 7, READ_LIMIT_MAX, READ_LIMIT_MAX + 1])
async def test_pages_together_give_every_commit_in_order(
    ledger_stores: StoreSet, limit: int
) -> None:
    """The last page is empty."""
    commits = await append_commits(ledger_stores.events, 7)

    read: list[Commit] = []
    while page := await ledger_stores.events.read(len(read), limit):
        assert len(page) == min(limit, 7 - len(read))
        read.extend(entry.commit for entry in page)

    assert tuple(read) == commits
    assert await ledger_stores.events.read(7, limit) == ()
    assert await ledger_stores.events.read(99, limit) == ()


async def test_read_stream_gives_its_commits_in_order(ledger_stores: StoreSet) -> None:
    """A commit with events of several streams is in each, whole and once."""
    batches = [("a", "cap"), ("b",), ("b", "cap", "b"), ("a",), ("cap",)]
    head = LedgerHead()
    commits: list[Commit] = []
    versions: dict[str, int] = {}
    for streams in batches:
        commit = seal(make_draft(*streams), LEDGER, head, versions)
        versions |= {event.stream: event.version for event in commit.events}
        await ledger_stores.events.append(commit)
        head = head_of(commit)
        commits.append(commit)

    for stream in ("a", "b", "cap"):
        found = [entry.commit for entry in await ledger_stores.events.read_stream(stream)]
        assert found == [commit for commit in commits if stream in commit.streams]
    assert versions == {"a": 2, "b": 3, "cap": 3}
    assert await ledger_stores.events.read_stream("ca") == ()


async def test_a_process_may_end_between_any_two_calls(ledger_harness: LedgerHarness) -> None:
    """What returned is stored for the next process."""
    head = await (await ledger_harness.open()).events.head()
    first = seal(make_draft("transfer/b"), LEDGER, head, {})
    assert await (await ledger_harness.open()).events.append(first) == Appended(first)
    assert await (await ledger_harness.open()).events.append(first) == Appended(
        first, already_written=True
    )
    head = await (await ledger_harness.open()).events.head()
    second = seal(make_draft("transfer/b"), LEDGER, head, {"transfer/b": 1})
    events = (await ledger_harness.open()).events
    ledger_harness.lose_next_reply()
    with pytest.raises(StoreUnavailableError):
        await events.append(second)
    assert await (await ledger_harness.open()).events.append(second) == Appended(
        second, already_written=True
    )
    assert await verify_links((await ledger_harness.open()).events) == (head_of(second), "")


async def test_a_commit_near_the_size_limit_is_stored_and_a_larger_one_cannot_be_sealed(
    ledger_stores: StoreSet,
) -> None:
    near: Document = {"text": "x" * (COMMIT_BYTES_MAX - 1_000)}
    commit = seal(make_draft("transfer/b", data=near), LEDGER, LedgerHead(), {})

    assert await ledger_stores.events.append(commit) == Appended(commit)

    assert await ledger_stores.events.read(0, 1) == (LedgerEntry(commit, commit.hash),)
    with pytest.raises(InvalidValueError, match="at most 1000000 bytes"):
        seal(make_draft("b", data={"text": "x" * COMMIT_BYTES_MAX}), LEDGER, head_of(commit), {})


async def test_a_read_never_skips_a_missing_commit(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """The commits before it are returned; the next read names it."""
    commits = await append_commits(ledger_stores.events, 5)
    await ledger_harness.delete_document(3)

    assert [entry.commit for entry in await ledger_stores.events.read(0, 10)] == list(commits[:2])
    with pytest.raises(LedgerDamagedError, match="main-0000000000000003 is missing"):
        await ledger_stores.events.read(2, 10)
    assert [entry.commit for entry in await ledger_stores.events.read(3, 10)] == list(commits[3:])


async def test_a_document_that_is_not_a_commit_is_named_in_the_error(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """By every call that reads it."""
    commits = await append_commits(ledger_stores.events, 3)
    await ledger_harness.edit_document(3, lambda document: document.pop("events"))

    named = pytest.raises(
        LedgerDamagedError, match=r"commit 3 \(main-0000000000000003\) cannot be decoded"
    )
    with named:
        await ledger_stores.events.head()
    with named:
        await ledger_stores.events.read(0, 10)
    with named:
        await ledger_stores.events.append(seal(make_draft("b"), LEDGER, head_of(commits[1]), {}))
    assert len(await ledger_stores.events.read(0, 2)) == 2
