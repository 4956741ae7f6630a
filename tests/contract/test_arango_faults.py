"""What an ArangoDB can do to a ledger while it runs, by the rows of the fault matrix."""

import threading
import traceback

import anyio
import pytest
from anyio import to_thread

from chimera_s1.adapters.arango.layout import COMMITS
from chimera_s1.adapters.arango.retrying_requests import (
    KEY_BUSY_RETRIES_MAX,
    ArangoTimeouts,
    RetryingRequests,
)
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Commit, head_of
from chimera_s1.domain.ports.event_store import Appended, SeqTaken
from tests.arango_double import ArangoDouble
from tests.contract.arango_ledger_harness import DATABASE
from tests.contract.arango_store_harness import (
    COMMITS_PATH,
    PASSWORD,
    SHORT_TIMEOUTS,
    USER,
    ArangoStoreHarness,
    connected_store,
    double,
    make_commit,
    store_harness,
)
from tests.contract.ledger_commits import LEDGER, append_commits, verify_links

__all__ = ["double", "store_harness"]

WRITERS = 16
PATIENT = ArangoTimeouts(total_s=60.0, read_s=60.0)
QUERY = "/_api/cursor"


async def test_row_38_a_store_that_is_down_is_said_to_be_down(double: ArangoDouble) -> None:
    """Within the time it has, which is short here; what was offered meanwhile was not accepted."""
    commit = make_commit()
    async with connected_store(double, SHORT_TIMEOUTS) as rig:
        double.take_down(0)
        double.take_down(1)

        with anyio.fail_after(20):
            for call in (lambda: rig.events.append(commit), rig.events.head):
                with pytest.raises(StoreUnavailableError, match=r"127.0.0.1.*cannot be reached"):
                    await call()

        assert (double.downs(0), double.downs(1)) == (1, 1)
        assert rig.stored_commit_ids() == []
        double.bring_up(1)
        assert await rig.events.append(commit) == Appended(commit)


@pytest.mark.parametrize(
    "do",
    [
        *("drop", "down", "503/1465", "503/1478", "500/1457", "421/1491"),
        *("503/1429", "503/503", "403/1004"),
    ],
)
async def test_row_40_a_write_whose_reply_was_lost_is_found(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """It is looked for before anything is sent again."""
    fault = store_harness.double.faults.arm(f"apply-then-{do}", method="POST", path=COMMITS_PATH)
    commit = make_commit()

    assert await store_harness.events.append(commit) == Appended(commit, already_written=True)

    assert fault.fired == 1
    assert (store_harness.stored_commit_ids(), store_harness.post_count()) == (
        [commit.commit_id],
        1,
    )


async def test_row_40_a_write_is_sent_again_and_meets_itself(
    store_harness: ArangoStoreHarness,
) -> None:
    """Applied, reply lost, not to be seen yet, so sent again: 1210, and it is our own."""
    lagging = store_harness.double.faults.arm("stale", method="GET", path=COMMITS_PATH)
    lost = store_harness.double.faults.arm("apply-then-drop", method="POST", path=COMMITS_PATH)
    commit = make_commit()

    assert await store_harness.events.append(commit) == Appended(commit, already_written=True)

    assert (lost.fired, lagging.fired) == (1, 1)
    assert (store_harness.stored_commit_ids(), store_harness.post_count()) == (
        [commit.commit_id],
        2,
    )


async def test_row_40_a_write_that_is_still_on_its_way_comes_once(double: ArangoDouble) -> None:
    """It is held up, given up, and sent again; when it arrives at last, its place is its own."""
    patience = ArangoTimeouts(total_s=20.0, read_s=0.3)
    async with connected_store(double, patience) as rig:
        late = double.faults.arm("hold", method="POST", path=COMMITS_PATH)
        commit = make_commit()

        assert await rig.events.append(commit) == Appended(commit)

        late.release()
        await to_thread.run_sync(late.wait_finished)
        assert (late.fired, rig.stored_commit_ids(), rig.post_count()) == (1, [commit.commit_id], 2)
        assert await verify_links(rig.events) == (head_of(commit), "")


@pytest.mark.parametrize(
    "error",
    [
        *("503/1429", "503/1495", "503/1496", "503/503", "503/30", "503/38", "503/21003"),
        *("403/1004", "412/21004", "500/1457", "500/1302", "421/1491", "drop"),
    ],
)
async def test_row_41_what_passes_is_waited_for(
    store_harness: ArangoStoreHarness, error: str
) -> None:
    """Writes, reads by key and queries alike."""
    faults = [
        store_harness.double.faults.arm(error, method=method, path=path, times=2)
        for method, path in (("POST", COMMITS_PATH), ("PUT", COMMITS_PATH), ("POST", QUERY))
    ]
    commit = make_commit()

    assert await store_harness.events.append(commit) == Appended(commit)
    assert len(await store_harness.events.read(0, 10)) == 1
    assert await store_harness.events.head() == head_of(commit)

    assert [fault.fired for fault in faults] == [2, 2, 2]
    assert store_harness.stored_commit_ids() == [commit.commit_id]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("503/1496", "503/1496"),
        ("503/503", "503/503"),
        ("500/1457", "500/1457"),
        ("read-only", r"403/1004.*copies"),
    ],
)
async def test_row_41_what_does_not_pass_is_named(
    double: ArangoDouble, error: str, said: str
) -> None:
    """With the coordinator that said so last; reading goes on, and so does writing when it has
    passed.
    """
    async with connected_store(double, SHORT_TIMEOUTS) as rig:
        fault = double.faults.arm(error, method="POST", path=COMMITS_PATH, times=None)
        commit = make_commit()

        with pytest.raises(StoreUnavailableError, match=rf"http://127.0.0.1:\d+ answers {said}"):
            await rig.events.append(commit)

        assert fault.fired == rig.post_count() > 1
        assert (await rig.events.head()).seq == 0
        double.faults.clear()
        assert await rig.events.append(commit) == Appended(commit)


async def test_row_41_the_coordinator_that_is_up_does_the_work(
    store_harness: ArangoStoreHarness,
) -> None:
    """One vanishes in the middle of a write and stays away."""
    fault = store_harness.double.faults.arm("down", method="POST", path=COMMITS_PATH, coordinator=0)

    commits = await append_commits(store_harness.events, 4)

    assert (fault.fired, store_harness.double.downs(0)) == (1, 1)
    assert await verify_links(store_harness.events) == (head_of(commits[-1]), "")
    assert store_harness.post_count(coordinator=1) == 4


async def test_row_41_a_query_begins_anew_when_its_coordinator_is_gone(
    store_harness: ArangoStoreHarness,
) -> None:
    """The rest of the result was there."""
    commits = await append_commits(store_harness.events, 101)
    fault = store_harness.double.faults.arm("down", method="POST", path=f"{QUERY}/")

    entries = await store_harness.events.read_stream("transfer/a")

    assert [entry.commit for entry in entries] == list(commits)
    assert fault.fired == 1


async def test_row_42_a_storm_of_conflicts_is_weathered(store_harness: ArangoStoreHarness) -> None:
    """Sixteen writers, and the first sixteen writes are told that the key is busy."""
    storm = store_harness.double.faults.arm(
        "409/1200", method="POST", path=COMMITS_PATH, times=WRITERS
    )
    written: list[Commit] = []

    async def write() -> None:
        result = None
        while not isinstance(result, Appended):
            result = await store_harness.events.append(
                make_commit(await store_harness.events.head())
            )
        written.append(result.commit)

    async with anyio.create_task_group() as group:
        for _ in range(WRITERS):
            group.start_soon(write)

    written.sort(key=lambda commit: commit.seq)
    assert storm.fired == WRITERS
    assert store_harness.stored_commit_ids() == [commit.commit_id for commit in written]
    assert await verify_links(store_harness.events) == (head_of(written[-1]), "")


async def test_row_42_a_key_that_stays_busy_is_given_up(store_harness: ArangoStoreHarness) -> None:
    """After some tries, and without a trace."""
    commit = make_commit()
    with store_harness.double.key_locked(DATABASE, COMMITS, f"{LEDGER}-{1:016d}"):
        with pytest.raises(StoreUnavailableError, match="409/1200"):
            await store_harness.events.append(commit)
        assert (store_harness.stored_commit_ids(), store_harness.post_count()) == (
            [],
            KEY_BUSY_RETRIES_MAX + 1,
        )

    assert await store_harness.events.append(commit) == Appended(commit)


async def test_row_43_a_slow_store_holds_up_neither_the_loop_nor_projections(
    double: ArangoDouble,
) -> None:
    """With every connection for commands waiting, other tasks run and other calls are answered."""
    done: list[object] = []
    async with connected_store(double, PATIENT, commands_max=2) as rig:
        slow = double.faults.arm("hold", method="POST", path=COMMITS_PATH, times=None)
        commit = make_commit()

        async def append() -> None:
            done.append(await rig.events.append(commit))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(append)
            await to_thread.run_sync(slow.wait_fired, 2)

            await rig.cursors.advance("outbox", 7)
            assert await rig.cursors.read("outbox") == 7

            assert (done, rig.post_count()) == ([], 2)
            slow.release()

        assert slow.fired == 4
        assert sorted(each == Appended(commit) for each in done) == [False, False, False, True]
        assert rig.stored_commit_ids() == [commit.commit_id]


async def test_row_43_who_finds_no_connection_in_time_is_told(double: ArangoDouble) -> None:
    """And nothing was sent for them."""
    entered, released = threading.Event(), threading.Event()

    def occupy(_: RetryingRequests) -> None:
        entered.set()
        assert released.wait(20)

    async with connected_store(double, SHORT_TIMEOUTS, commands_max=1) as rig:
        async with anyio.create_task_group() as group:
            group.start_soon(rig.arango.run_command, occupy)
            await to_thread.run_sync(entered.wait)

            with pytest.raises(StoreUnavailableError, match="all 1 connections were in use"):
                await rig.events.append(make_commit())

            assert rig.post_count() == 0
            released.set()
        assert (await rig.events.head()).seq == 0


async def test_row_43_silence_ends_with_the_time_there_is(double: ArangoDouble) -> None:
    """A store that takes requests and never answers."""
    async with connected_store(double, SHORT_TIMEOUTS) as rig:
        silence = double.faults.arm("hold", times=None)

        with anyio.fail_after(20):
            with pytest.raises(StoreUnavailableError, match=r"gave no answer \(ReadTimeout"):
                await rig.events.append(make_commit())

        assert silence.fired > 1


async def test_row_44_a_password_that_was_changed_is_said_once_and_not_told(
    store_harness: ArangoStoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call is one request, no call blocks, and all goes on when it is changed back."""
    first, second = make_commit(), make_commit()
    await store_harness.events.append(first)
    store_harness.double.access.add_user(USER, "another one", {})

    with pytest.raises(StoreUnavailableError, match=r"401/11.*S1_DB_ARANGO_PASS") as caught:
        await store_harness.events.append(second)

    assert store_harness.post_count() == 2
    with pytest.raises(StoreUnavailableError, match="401/11"):
        await store_harness.events.head()
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
    assert PASSWORD not in told
    store_harness.double.access.add_user(USER, PASSWORD, {})
    assert await store_harness.events.append(second) == SeqTaken(first)
