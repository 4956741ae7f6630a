"""Replies of ArangoDB that are easily misread."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest
from anyio import to_thread

from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.cursor_store import ArangoCursorStore
from chimera_s1.adapters.arango.layout import COMMITS, CURSORS, LEASES, TRANSFERS, document_key
from chimera_s1.adapters.arango.lease_store import ArangoLeaseStore
from chimera_s1.adapters.arango.transfer_projection import ArangoTransferProjection
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import head_of
from chimera_s1.domain.ports.event_store import Appended, SeqTaken
from tests.contract.arango_ledger_harness import DATABASE
from tests.contract.arango_store_harness import (
    COMMITS_PATH,
    ArangoStoreHarness,
    double,
    make_commit,
    store_harness,
)
from tests.contract.ledger_commits import LEDGER, append_commits
from tests.contract.test_transfer_projection import row_of
from tests.fakes.manual_clock import ManualClock

__all__ = ["double", "store_harness"]

QUERY = "/_api/cursor"
LOST_REPLIES = ("apply-then-drop", "apply-then-503/1465", "drop", "503/1496", "409/1200")


async def test_a_stale_coordinator_hides_no_commit_and_raises_no_damage(
    store_harness: ArangoStoreHarness,
) -> None:
    """`head` compares two coordinators; an append after an old head reports the newer commit."""
    (first,) = await append_commits(store_harness.events, 1)
    stale = store_harness.double.faults.arm("stale", coordinator=0, times=None)
    second = make_commit(head_of(first))
    assert await store_harness.events.append(second) == Appended(second)

    for _ in range(2):
        assert await store_harness.events.head() == head_of(second)
    for _ in range(2):
        assert await store_harness.events.append(make_commit(head_of(first))) == SeqTaken(second)

    assert stale.fired > 0
    assert store_harness.stored_commit_ids() == [first.commit_id, second.commit_id]


@pytest.mark.parametrize("method", ["get", "put", "post", "patch", "delete"])
@pytest.mark.parametrize("do", ["drop", "503/503", "503/1496"])
async def test_one_call_is_one_request(
    store_harness: ArangoStoreHarness, method: str, do: str
) -> None:
    """Neither the driver nor its HTTP client retries."""
    fault = store_harness.double.faults.arm(do, times=None)
    body = {"_key": "a"} if method in {"put", "post", "patch"} else None
    request = Request(method, COMMITS_PATH if method == "post" else f"{COMMITS_PATH}/a", body=body)

    with pytest.raises(StoreUnavailableError):
        await store_harness.arango.run_command(lambda requests: requests.send_once(request))

    assert fault.fired == store_harness.double.requests.count() == 1


async def test_a_query_answered_by_a_stale_coordinator_is_retried(
    store_harness: ArangoStoreHarness,
) -> None:
    """A head counts only if another coordinator has no commit after it."""
    (first,) = await append_commits(store_harness.events, 1)
    stale = store_harness.double.faults.arm("stale", method="POST", path=QUERY)
    second = make_commit(head_of(first))
    assert await store_harness.events.append(second) == Appended(second)

    assert await store_harness.events.head() == head_of(second)

    assert stale.fired == 1


async def test_read_stream_asks_a_coordinator_that_has_every_commit_seen(
    store_harness: ArangoStoreHarness,
) -> None:
    """An idempotency key that wrongly seems unused would move the money twice."""
    stale = store_harness.double.faults.arm("stale", coordinator=0, times=None)
    commits = await append_commits(store_harness.events, 3)

    for _ in range(4):
        assert len(await store_harness.events.read_stream("transfer/a")) == len(commits)
        assert await store_harness.events.head() == head_of(commits[-1])
        assert len(await store_harness.events.read(1, 10)) == len(commits) - 1

    assert stale.fired >= 4


async def test_later_batches_come_from_the_coordinator_that_holds_the_cursor(
    store_harness: ArangoStoreHarness,
) -> None:
    await append_commits(store_harness.events, 101)
    store_harness.double.requests.clear()

    assert len(await store_harness.events.read_stream("transfer/a")) == 101

    assert sorted(store_harness.double.requests.count("POST", QUERY, each) for each in (0, 1)) == [
        0,
        2,
    ]


async def test_an_unsynced_write_is_not_reported_as_appended(
    store_harness: ArangoStoreHarness,
) -> None:
    """202 instead of 201; a second append reports the commit as already written."""
    fault = store_harness.double.faults.arm("unsynced", method="POST", path=COMMITS_PATH)
    commit = make_commit()

    with pytest.raises(StoreUnavailableError, match=r"replied 202 .*waitForSync"):
        await store_harness.events.append(commit)

    assert fault.fired == 1
    assert await store_harness.events.append(commit) == Appended(commit, already_written=True)


async def test_an_error_for_one_of_many_documents_is_not_read_as_missing(
    store_harness: ArangoStoreHarness,
) -> None:
    await append_commits(store_harness.events, 1)
    keys: list[Any] = [f"{LEDGER}-{1:016d}", "a b", f"{LEDGER}-{2:016d}"]

    with pytest.raises(StoreUnavailableError, match="rejected one of several documents: 1221"):
        await store_harness.arango.run_command(
            lambda requests: requests.find_documents(COMMITS, keys)
        )


@pytest.mark.parametrize("do", LOST_REPLIES)
async def test_a_lease_is_held_although_the_reply_was_lost(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """Acquired, renewed and released by its owner, and by no other instance."""
    leases = ArangoLeaseStore(store_harness.arango, ManualClock())
    path = f"/_api/document/{LEASES}"
    faults = [
        store_harness.double.faults.arm(do, method=each, path=path) for each in ("POST", "PUT")
    ]
    faults.append(store_harness.double.faults.arm(do, method="DELETE", path=path))

    assert await leases.acquire("executor", "a", 60_000)
    assert not await leases.acquire("executor", "b", 60_000)
    assert await leases.acquire("executor", "a", 60_000)
    await leases.release("executor", "a")

    assert [fault.fired for fault in faults] == [1, 1, 1]
    assert await leases.acquire("executor", "b", 60_000)


async def test_of_two_instances_that_see_an_expired_lease_one_acquires_it(
    store_harness: ArangoStoreHarness,
) -> None:
    """The delayed write does not overwrite the other instance's lease."""
    clock = ManualClock()
    leases = ArangoLeaseStore(store_harness.arango, clock)
    assert await leases.acquire("executor", "a", 1_000)
    await clock.advance(1_000)
    late = store_harness.double.faults.arm("hold", method="PUT", path=f"/_api/document/{LEASES}")
    acquired: list[bool] = []

    async def acquire_late() -> None:
        acquired.append(await leases.acquire("executor", "b", 60_000))

    async with anyio.create_task_group() as group:
        group.start_soon(acquire_late)
        await to_thread.run_sync(late.wait_fired)
        assert await leases.acquire("executor", "c", 60_000)
        late.release()

    assert (late.fired, acquired) == (1, [False])
    assert await leases.acquire("executor", "c", 60_000)


@pytest.mark.parametrize("ahead_ms", [-3_600_000, 3_600_000])
async def test_a_lease_is_exclusive_whatever_the_clocks_of_its_instances_say(
    store_harness: ArangoStoreHarness, ahead_ms: int
) -> None:
    """It is taken over when it was not renewed for its duration, and not before."""
    clock = ManualClock()
    other_clock = ManualClock(clock.now_ms() + ahead_ms)
    leases = ArangoLeaseStore(store_harness.arango, clock)
    others = ArangoLeaseStore(store_harness.arango, other_clock)
    for _ in range(6):
        assert await leases.acquire("executor", "a", 10_000)
        await clock.advance(3_000)
        await other_clock.advance(3_000)
        assert not await others.acquire("executor", "b", 10_000)

    await other_clock.advance(9_999)
    assert not await others.acquire("executor", "b", 10_000)
    await other_clock.advance(1)

    assert await others.acquire("executor", "b", 10_000)
    assert not await leases.acquire("executor", "a", 10_000)


async def test_a_lease_of_an_earlier_version_is_honoured(
    store_harness: ArangoStoreHarness,
) -> None:
    """It has no duration; the one that is asked for is used."""
    clock = ManualClock()
    leases = ArangoLeaseStore(store_harness.arango, clock)
    stored = store_harness.double.documents(DATABASE, LEASES)
    stored.put(document_key("executor"), {"name": "executor", "owner": "old", "until_ms": 0})

    assert not await leases.acquire("executor", "b", 10_000)
    await clock.advance(10_000)

    assert await leases.acquire("executor", "b", 10_000)
    assert stored.get(document_key("executor"))["until_ms"] == clock.now_ms() + 10_000


@pytest.mark.parametrize("do", LOST_REPLIES)
async def test_a_cursor_advances_although_the_reply_was_lost(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """Also by `rewind`."""
    path = f"/_api/document/{CURSORS}"
    faults = [
        store_harness.double.faults.arm(do, method=each, path=path) for each in ("POST", "DELETE")
    ]

    await store_harness.cursors.advance("outbox", 7)
    assert await store_harness.cursors.read("outbox") == 7
    await store_harness.cursors.rewind("outbox")
    assert await store_harness.cursors.read("outbox") == 0

    assert [fault.fired for fault in faults] == [1, 1]


@pytest.mark.parametrize("do", LOST_REPLIES)
async def test_rows_are_written_although_the_reply_was_lost(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """Also if they replace another text of the same seq."""
    transfers = ArangoTransferProjection(store_harness.arango)
    path = f"/_api/document/{TRANSFERS}"
    faults = [
        store_harness.double.faults.arm(do, method=each, path=path) for each in ("POST", "PUT")
    ]
    rows = (row_of("a"), row_of("b"))
    replaced = tuple(msgspec.structs.replace(row, message="new text") for row in rows)

    await transfers.put(rows)
    await transfers.put(replaced)

    assert [fault.fired for fault in faults] == [1, 1]
    assert (await transfers.get("a"), await transfers.get("b")) == replaced


async def read_malformed_cursor(harness: ArangoStoreHarness) -> object:
    harness.double.documents(DATABASE, CURSORS).put(document_key("outbox"), {"position": "seven"})
    return await ArangoCursorStore(harness.arango).read("outbox")


async def read_malformed_row(harness: ArangoStoreHarness) -> object:
    harness.double.documents(DATABASE, TRANSFERS).put(
        document_key("a"), {"place": "0", "status": 1}
    )
    return await ArangoTransferProjection(harness.arango).newest(10)


@pytest.mark.parametrize("read", [read_malformed_cursor, read_malformed_row])
async def test_a_document_of_unknown_shape_is_an_error(
    store_harness: ArangoStoreHarness, read: Callable[[ArangoStoreHarness], Awaitable[object]]
) -> None:
    """Without a retry, which would not help."""
    with pytest.raises(StoreUnavailableError, match=r"damaged document .*ledger rebuild"):
        await read(store_harness)

    assert store_harness.double.requests.count() == 1
