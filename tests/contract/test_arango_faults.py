"""ArangoDB fails while a ledger is in use: rows of the fault matrix."""

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
from tests.time_limits import TIMEOUT_S

__all__ = ["double", "store_harness"]

WRITERS = 16
LONG_TIMEOUTS = ArangoTimeouts(total_s=60.0, read_s=60.0)
QUERY = "/_api/cursor"


async def test_row_38_an_unreachable_store_raises_store_unavailable(double: ArangoDouble) -> None:
    """Within the total timeout; nothing is written meanwhile."""
    commit = make_commit()
    async with connected_store(double, SHORT_TIMEOUTS) as harness:
        double.take_down(0)
        double.take_down(1)

        with anyio.fail_after(TIMEOUT_S):
            for call in (lambda: harness.events.append(commit), harness.events.head):
                with pytest.raises(StoreUnavailableError, match=r"127.0.0.1.*is unreachable"):
                    await call()

        assert (double.downs(0), double.downs(1)) == (1, 1)
        assert harness.stored_commit_ids() == []
        double.bring_up(1)
        assert await harness.events.append(commit) == Appended(commit)


@pytest.mark.parametrize(
    "do",
    [
        *("drop", "down", "503/1465", "503/1478", "500/1457", "421/1491"),
        *("503/1429", "503/503", "403/1004", "410/1654", "406/1489"),
    ],
)
async def test_row_40_a_write_whose_reply_was_lost_is_found(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """The adapter looks for it before it sends anything again."""
    fault = store_harness.double.faults.arm(f"apply-then-{do}", method="POST", path=COMMITS_PATH)
    commit = make_commit()

    assert await store_harness.events.append(commit) == Appended(commit, already_written=True)

    assert fault.fired == 1
    assert (store_harness.stored_commit_ids(), store_harness.post_count()) == (
        [commit.commit_id],
        1,
    )


async def test_row_40_a_retried_write_recognises_its_own_commit(
    store_harness: ArangoStoreHarness,
) -> None:
    """Applied, reply lost, not yet visible, so sent again: 1210 for its own commit."""
    stale = store_harness.double.faults.arm("stale", method="GET", path=COMMITS_PATH)
    lost = store_harness.double.faults.arm("apply-then-drop", method="POST", path=COMMITS_PATH)
    commit = make_commit()

    assert await store_harness.events.append(commit) == Appended(commit, already_written=True)

    assert (lost.fired, stale.fired) == (1, 1)
    assert (store_harness.stored_commit_ids(), store_harness.post_count()) == (
        [commit.commit_id],
        2,
    )


async def test_row_40_a_delayed_write_is_applied_once(double: ArangoDouble) -> None:
    """It times out and is sent again; the first request arrives later and changes nothing."""
    timeouts = ArangoTimeouts(total_s=20.0, read_s=0.3)
    async with connected_store(double, timeouts) as harness:
        late = double.faults.arm("hold", method="POST", path=COMMITS_PATH)
        commit = make_commit()

        assert await harness.events.append(commit) == Appended(commit)

        late.release()
        await to_thread.run_sync(late.wait_finished)
        assert (late.fired, harness.stored_commit_ids(), harness.post_count()) == (
            1,
            [commit.commit_id],
            2,
        )
        assert await verify_links(harness.events) == (head_of(commit), "")


@pytest.mark.parametrize(
    "error",
    [
        *("503/1429", "503/1495", "503/1496", "503/503", "503/30", "503/38", "503/21003"),
        *("403/1004", "412/21004", "500/1457", "500/1302", "421/1491", "drop"),
        *("410/1654", "406/1490"),
    ],
)
async def test_row_41_transient_errors_are_retried(
    store_harness: ArangoStoreHarness, error: str
) -> None:
    """Writes, reads by key and queries."""
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
    ("error", "expected"),
    [
        ("503/1496", "503/1496"),
        ("503/503", "503/503"),
        ("500/1457", "500/1457"),
        ("read-only", r"403/1004.*replicas"),
    ],
)
async def test_row_41_a_lasting_error_names_its_coordinator_after_the_retries(
    double: ArangoDouble, error: str, expected: str
) -> None:
    """Reads work meanwhile; writes work again afterwards."""
    async with connected_store(double, SHORT_TIMEOUTS) as harness:
        fault = double.faults.arm(error, method="POST", path=COMMITS_PATH, times=None)
        commit = make_commit()

        with pytest.raises(
            StoreUnavailableError, match=rf"http://127.0.0.1:\d+ replied {expected}"
        ):
            await harness.events.append(commit)

        assert fault.fired == harness.post_count() > 1
        assert (await harness.events.head()).seq == 0
        double.faults.clear()
        assert await harness.events.append(commit) == Appended(commit)


async def test_row_41_writes_go_to_the_coordinator_that_is_up(
    store_harness: ArangoStoreHarness,
) -> None:
    """The other goes down during a write and stays down."""
    fault = store_harness.double.faults.arm("down", method="POST", path=COMMITS_PATH, coordinator=1)

    commits = await append_commits(store_harness.events, 4)

    assert (fault.fired, store_harness.double.downs(1)) == (1, 1)
    assert await verify_links(store_harness.events) == (head_of(commits[-1]), "")
    assert store_harness.post_count(coordinator=0) == 4


async def test_row_41_a_query_restarts_when_its_coordinator_fails(
    store_harness: ArangoStoreHarness,
) -> None:
    """It holds the later batches."""
    commits = await append_commits(store_harness.events, 101)
    fault = store_harness.double.faults.arm("down", method="POST", path=f"{QUERY}/")

    entries = await store_harness.events.read_stream("transfer/a")

    assert [entry.commit for entry in entries] == list(commits)
    assert fault.fired == 1


async def test_row_42_a_series_of_conflicts_is_retried_until_it_succeeds(
    store_harness: ArangoStoreHarness,
) -> None:
    """Sixteen writers; the first sixteen writes find the key busy."""
    busy = store_harness.double.faults.arm(
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
    assert busy.fired == WRITERS
    assert store_harness.stored_commit_ids() == [commit.commit_id for commit in written]
    assert await verify_links(store_harness.events) == (head_of(written[-1]), "")


async def test_row_42_a_key_that_stays_busy_raises_store_unavailable(
    store_harness: ArangoStoreHarness,
) -> None:
    """After the last retry; nothing is written."""
    commit = make_commit()
    with store_harness.double.key_locked(DATABASE, COMMITS, f"{LEDGER}-{1:016d}"):
        with pytest.raises(StoreUnavailableError, match="409/1200"):
            await store_harness.events.append(commit)
        assert (store_harness.stored_commit_ids(), store_harness.post_count()) == (
            [],
            KEY_BUSY_RETRIES_MAX + 1,
        )

    assert await store_harness.events.append(commit) == Appended(commit)


async def test_row_43_a_slow_store_delays_neither_the_loop_nor_projections(
    double: ArangoDouble,
) -> None:
    """While all command connections wait, other tasks and projection calls proceed."""
    done: list[object] = []
    async with connected_store(double, LONG_TIMEOUTS, commands_max=2) as harness:
        slow = double.faults.arm("hold", method="POST", path=COMMITS_PATH, times=None)
        commit = make_commit()

        async def append() -> None:
            done.append(await harness.events.append(commit))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(append)
            await to_thread.run_sync(slow.wait_fired, 2)

            await harness.cursors.advance("outbox", 7)
            assert await harness.cursors.read("outbox") == 7

            assert (done, harness.post_count()) == ([], 2)
            slow.release()

        assert slow.fired == 4
        assert sorted(each == Appended(commit) for each in done) == [False, False, False, True]
        assert harness.stored_commit_ids() == [commit.commit_id]


async def test_row_43_no_free_connection_in_time_raises_store_unavailable(
    double: ArangoDouble,
) -> None:
    """Nothing is sent."""
    entered, released = threading.Event(), threading.Event()

    def occupy(_: RetryingRequests) -> None:
        entered.set()
        assert released.wait(TIMEOUT_S)

    async with connected_store(double, SHORT_TIMEOUTS, commands_max=1) as harness:
        async with anyio.create_task_group() as group:
            group.start_soon(harness.arango.run_command, occupy)
            await to_thread.run_sync(entered.wait)

            with pytest.raises(
                StoreUnavailableError, match=r"no free connection within 2 s \(all 1 in use\)"
            ):
                await harness.events.append(make_commit())

            assert harness.post_count() == 0
            released.set()
        assert (await harness.events.head()).seq == 0


async def test_row_43_a_silent_store_raises_after_the_total_timeout(double: ArangoDouble) -> None:
    """A store that accepts requests and never replies."""
    async with connected_store(double, SHORT_TIMEOUTS) as harness:
        silence = double.faults.arm("hold", times=None)

        with anyio.fail_after(TIMEOUT_S):
            with pytest.raises(StoreUnavailableError, match=r"sent no reply \(ReadTimeout"):
                await harness.events.append(make_commit())

        assert silence.fired > 1


async def test_row_44_a_changed_password_is_reported_without_showing_it(
    store_harness: ArangoStoreHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call fails after one request; calls succeed again with the right password."""
    first, second = make_commit(), make_commit()
    await store_harness.events.append(first)
    store_harness.double.access.add_user(USER, "another one", {})

    with pytest.raises(StoreUnavailableError, match=r"401/11.*S1_DB_ARANGO_PASS") as caught:
        await store_harness.events.append(second)

    assert store_harness.post_count() == 2
    with pytest.raises(StoreUnavailableError, match="401/11"):
        await store_harness.events.head()
    output = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
    assert PASSWORD not in output
    store_harness.double.access.add_user(USER, PASSWORD, {})
    assert await store_harness.events.append(second) == SeqTaken(first)


@pytest.mark.parametrize("fault", ["read-only", "503/1496", "drop"])
async def test_a_check_of_the_store_fails_as_a_write_would(
    double: ArangoDouble, fault: str
) -> None:
    """It writes nothing, and succeeds again when the store does."""
    async with connected_store(double, SHORT_TIMEOUTS) as harness:
        await harness.arango.check()
        failing = double.faults.arm(fault, times=None)
        with pytest.raises(StoreUnavailableError, match=r"ArangoDB at http://127.0.0.1"):
            await harness.arango.check()
        assert failing.fired

        double.faults.clear()
        await harness.arango.check()

    assert all(each in harness.arango.place for each in double.urls)
    assert harness.stored_commit_ids() == []
