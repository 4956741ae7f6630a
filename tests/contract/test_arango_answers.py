"""Answers of an ArangoDB that are easily taken for something else."""

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

__all__ = ["double", "store_harness"]

QUERY = "/_api/cursor"
LOST = ("apply-then-drop", "apply-then-503/1465", "drop", "503/1496", "409/1200")


async def test_a_coordinator_that_lags_neither_hides_nor_breaks_anything(
    store_harness: ArangoStoreHarness,
) -> None:
    """The head is asked of both; who has seen an old one is told whose the place is."""
    (first,) = await append_commits(store_harness.events, 1)
    lagging = store_harness.double.faults.arm("stale", coordinator=0, times=None)
    second = make_commit(head_of(first))
    assert await store_harness.events.append(second) == Appended(second)

    for _ in range(2):
        assert await store_harness.events.head() == head_of(second)
    for _ in range(2):
        assert await store_harness.events.append(make_commit(head_of(first))) == SeqTaken(second)

    assert lagging.fired > 0
    assert store_harness.stored_commit_ids() == [first.commit_id, second.commit_id]


@pytest.mark.parametrize("method", ["get", "put", "post", "patch", "delete"])
@pytest.mark.parametrize("do", ["drop", "503/503", "503/1496"])
async def test_one_call_is_one_request(
    store_harness: ArangoStoreHarness, method: str, do: str
) -> None:
    """Neither the driver nor what carries it sends anything again behind our back."""
    fault = store_harness.double.faults.arm(do, times=None)
    body = {"_key": "a"} if method in {"put", "post", "patch"} else None
    asked = Request(method, COMMITS_PATH if method == "post" else f"{COMMITS_PATH}/a", body=body)

    with pytest.raises(StoreUnavailableError):
        await store_harness.arango.run_command(lambda errand: errand.send_once(asked))

    assert fault.fired == store_harness.double.requests.count() == 1


async def test_a_query_that_lags_is_found_out(store_harness: ArangoStoreHarness) -> None:
    """A head is believed when another coordinator has nothing after it."""
    (first,) = await append_commits(store_harness.events, 1)
    lagging = store_harness.double.faults.arm("stale", method="POST", path=QUERY)
    second = make_commit(head_of(first))
    assert await store_harness.events.append(second) == Appended(second)

    assert await store_harness.events.head() == head_of(second)

    assert lagging.fired == 1


async def test_a_stream_is_told_by_who_knows_what_was_known_before(
    store_harness: ArangoStoreHarness,
) -> None:
    """A used key that looks free would move its money a second time."""
    lagging = store_harness.double.faults.arm("stale", coordinator=0, times=None)
    commits = await append_commits(store_harness.events, 3)

    for _ in range(4):
        assert len(await store_harness.events.read_stream("transfer/a")) == len(commits)
        assert await store_harness.events.head() == head_of(commits[-1])
        assert len(await store_harness.events.read(1, 10)) == len(commits) - 1

    assert lagging.fired >= 4


async def test_the_rest_of_a_result_is_asked_of_who_has_it(
    store_harness: ArangoStoreHarness,
) -> None:
    """And not of whose turn it is."""
    await append_commits(store_harness.events, 101)
    store_harness.double.requests.clear()

    assert len(await store_harness.events.read_stream("transfer/a")) == 101

    assert sorted(store_harness.double.requests.count("POST", QUERY, each) for each in (0, 1)) == [
        0,
        2,
    ]


async def test_a_write_that_did_not_reach_the_disk_is_not_called_written(
    store_harness: ArangoStoreHarness,
) -> None:
    """202 in place of 201; the second offer tells that it is there."""
    fault = store_harness.double.faults.arm("unsynced", method="POST", path=COMMITS_PATH)
    commit = make_commit()

    with pytest.raises(StoreUnavailableError, match=r"answers 202 .*waitForSync"):
        await store_harness.events.append(commit)

    assert fault.fired == 1
    assert await store_harness.events.append(commit) == Appended(commit, already_written=True)


async def test_an_error_among_the_documents_is_not_taken_for_a_hole(
    store_harness: ArangoStoreHarness,
) -> None:
    """What cannot be read is not what is not there."""
    await append_commits(store_harness.events, 1)
    keys: list[Any] = [f"{LEDGER}-{1:016d}", 7, f"{LEDGER}-{2:016d}"]

    with pytest.raises(StoreUnavailableError, match="1221 of one of several documents"):
        await store_harness.arango.run_command(lambda errand: errand.find_documents(COMMITS, keys))


@pytest.mark.parametrize("do", LOST)
async def test_a_lease_whose_reply_was_lost_is_held(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """Taken, kept and given up by the one who asked, and by nobody else."""
    leases = ArangoLeaseStore(store_harness.arango)
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


async def test_of_two_who_saw_a_lease_end_one_gets_it(store_harness: ArangoStoreHarness) -> None:
    """The one whose write is late has not overwritten the other's."""
    leases = ArangoLeaseStore(store_harness.arango)
    assert await leases.acquire("executor", "a", 1_000)
    store_harness.double.store.clock_offset_ms += 1_000
    late = store_harness.double.faults.arm("hold", method="PUT", path=f"/_api/document/{LEASES}")
    got: list[bool] = []

    async def take_late() -> None:
        got.append(await leases.acquire("executor", "b", 60_000))

    async with anyio.create_task_group() as group:
        group.start_soon(take_late)
        await to_thread.run_sync(late.wait_fired)
        assert await leases.acquire("executor", "c", 60_000)
        late.release()

    assert (late.fired, got) == (1, [False])
    assert await leases.acquire("executor", "c", 60_000)


@pytest.mark.parametrize("do", LOST)
async def test_a_cursor_whose_reply_was_lost_is_where_it_should_be(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """Forward, and back to the beginning."""
    path = f"/_api/document/{CURSORS}"
    faults = [
        store_harness.double.faults.arm(do, method=each, path=path) for each in ("POST", "DELETE")
    ]

    await store_harness.cursors.advance("outbox", 7)
    assert await store_harness.cursors.read("outbox") == 7
    await store_harness.cursors.rewind("outbox")
    assert await store_harness.cursors.read("outbox") == 0

    assert [fault.fired for fault in faults] == [1, 1]


@pytest.mark.parametrize("do", LOST)
async def test_rows_whose_reply_was_lost_are_there(
    store_harness: ArangoStoreHarness, do: str
) -> None:
    """Also those that another text of the same place replaces."""
    transfers = ArangoTransferProjection(store_harness.arango)
    path = f"/_api/document/{TRANSFERS}"
    faults = [
        store_harness.double.faults.arm(do, method=each, path=path) for each in ("POST", "PUT")
    ]
    rows = (row_of("a"), row_of("b"))
    again = tuple(msgspec.structs.replace(row, message="said better") for row in rows)

    await transfers.put(rows)
    await transfers.put(again)

    assert [fault.fired for fault in faults] == [1, 1]
    assert (await transfers.get("a"), await transfers.get("b")) == again


async def strange_cursor(rig: ArangoStoreHarness) -> object:
    rig.double.documents(DATABASE, CURSORS).put(document_key("outbox"), {"position": "seven"})
    return await ArangoCursorStore(rig.arango).read("outbox")


async def strange_row(rig: ArangoStoreHarness) -> object:
    rig.double.documents(DATABASE, TRANSFERS).put(document_key("a"), {"place": "0", "status": 1})
    return await ArangoTransferProjection(rig.arango).newest(10)


@pytest.mark.parametrize("look", [strange_cursor, strange_row])
async def test_what_somebody_else_has_written_is_said_to_be_strange(
    store_harness: ArangoStoreHarness, look: Callable[[ArangoStoreHarness], Awaitable[object]]
) -> None:
    """At once: looking again would not make it better."""
    with pytest.raises(StoreUnavailableError, match=r"none of ours .*ledger rebuild"):
        await look(store_harness)

    assert store_harness.double.requests.count() == 1
