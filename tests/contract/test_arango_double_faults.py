"""The faults of the ArangoDB double happen and are counted.

python-arango is the client.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from arango.exceptions import ArangoServerError
from requests.exceptions import ReadTimeout

from tests.arango_double.queries import COMMITS_OF_STREAM, HEAD_COMMIT
from tests.contract.arango_double_rig import DATABASE, DOCUMENT, LOG, Rig, arango_rig
from tests.contract.python_arango import OneRequestClient, connected
from tests.time_limits import TIMEOUT_S


@pytest.fixture
def rig() -> Iterator[Rig]:
    with arango_rig(coordinators=2) as rig:
        yield rig
        assert not rig.double.unknown


@contextmanager
def log_through(rig: Rig, coordinator: int, http: OneRequestClient | None = None) -> Iterator[Any]:
    with connected(rig.double.urls[coordinator], DATABASE, http) as database:
        yield database.collection(LOG)


@pytest.mark.parametrize(
    ("do", "kept"),
    [("apply-then-drop", ["a"]), ("drop", [])],
)
def test_a_dropped_write_may_or_may_not_be_there(rig: Rig, do: str, kept: list[str]) -> None:
    fault = rig.double.faults.arm(do, method="POST", path=DOCUMENT)

    with pytest.raises(ConnectionAbortedError):
        rig.log.insert({"_key": "a"})

    assert (fault.fired, rig.stored()) == (1, kept)
    assert rig.double.requests.count("POST", DOCUMENT) == 1


@pytest.mark.parametrize(
    "error", ["503/1496", "503/1495", "503/1429", "503/21003", "403/1004", "409/1200", "500/1457"]
)
def test_an_error_of_the_cluster_is_answered(rig: Rig, error: str) -> None:
    status, number = map(int, error.split("/"))
    writes = rig.double.faults.arm(error, method="POST", path=DOCUMENT)
    reads = rig.double.faults.arm(error, method="GET", path=DOCUMENT)
    applied = rig.double.faults.arm(f"apply-then-{error}", method="POST", path=DOCUMENT)

    with rig.refused(status, number):
        rig.log.insert({"_key": "a"})
    with rig.refused(status, number):
        rig.log.get("a")
    assert rig.stored() == []
    with rig.refused(status, number):
        rig.log.insert({"_key": "a"})

    assert rig.stored() == ["a"]
    assert [writes.fired, reads.fired, applied.fired] == [1, 1, 1]


@pytest.mark.parametrize("name", ["503/1", "explode", "apply-then-", "503/"])
def test_an_unknown_fault_cannot_be_armed(rig: Rig, name: str) -> None:
    with pytest.raises(ValueError, match=r"is not an error of this table|is not a valid FaultKind"):
        rig.double.faults.arm(name)


@pytest.mark.parametrize(("do", "before"), [("hold", []), ("apply-then-hold", ["a"])])
def test_a_held_write_takes_effect_after_its_client_has_given_up(
    rig: Rig, do: str, before: list[str]
) -> None:
    """A read of the key finds nothing first; so a writer may only repeat the same key."""
    fault = rig.double.faults.arm(do, method="POST", path=DOCUMENT, coordinator=0)
    client = OneRequestClient(read_s=0.25)
    with log_through(rig, 0, client) as log, pytest.raises(ReadTimeout):
        log.insert({"_key": "a"})
    fault.wait_fired()
    seen = rig.stored()
    fault.release()
    fault.wait_finished()

    assert (seen, fault.fired) == (before, 1)
    assert rig.stored() == ["a"]


def test_a_held_write_meets_what_was_written_meanwhile(rig: Rig) -> None:
    fault = rig.double.faults.arm("hold", method="POST", path=DOCUMENT, coordinator=1)

    def insert_through_the_other() -> int | None:
        with log_through(rig, 1) as log, pytest.raises(ArangoServerError) as caught:
            log.insert({"_key": "a", "by": 1})
        return caught.value.error_code

    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(insert_through_the_other)
        fault.wait_fired()
        rig.log.insert({"_key": "a", "by": 0})
        fault.release()

    assert held.result() == 1210
    assert rig.log.get("a")["by"] == 0


def test_a_coordinator_goes_down_and_comes_back(rig: Rig) -> None:
    with log_through(rig, 1) as other:
        rig.log.insert({"_key": "a"})
        rig.double.take_down(0)
        rig.double.take_down(0)
        with pytest.raises(ConnectionAbortedError):
            rig.log.get("a")
        assert other.get("a")["_key"] == "a"
        rig.double.bring_up(0)

        assert rig.log.get("a")["_key"] == "a"
    assert [rig.double.downs(each) for each in (0, 1)] == [1, 0]


@pytest.mark.parametrize(("do", "kept"), [("down", []), ("apply-then-down", ["a"])])
def test_a_request_may_take_its_coordinator_down(rig: Rig, do: str, kept: list[str]) -> None:
    rig.log.insert_many([{"_key": key, "ledger": "main", "streams": ["x"]} for key in "yz"])
    binds = {"@commits": LOG, "ledger": "main", "stream": "x"}
    cursor = rig.query(COMMITS_OF_STREAM, binds, batch_size=1)
    fault = rig.double.faults.arm(do, method="POST", path=DOCUMENT)
    for _ in range(2):
        with pytest.raises(ConnectionAbortedError):
            rig.log.insert({"_key": "a"})
    rig.double.bring_up(0)

    assert (fault.fired, rig.double.downs(0), rig.stored()) == (1, 1, [*kept, "y", "z"])
    with rig.refused(404, 1600):
        cursor.fetch()


def test_a_stale_coordinator_shows_the_past_and_writes_to_the_present(rig: Rig) -> None:
    binds = {"first": "a", "last": "z"}
    rig.log.insert({"_key": "a", "x": 1})
    fault = rig.double.faults.arm("stale", coordinator=1, times=None)
    rig.log.replace({"_key": "a", "x": 2})
    rig.log.insert({"_key": "b", "x": 2})

    with connected(rig.double.urls[1], DATABASE) as database:
        log: Any = database.collection(LOG)
        seen: Any = database.aql.execute(HEAD_COMMIT, bind_vars={"@commits": LOG, **binds})
        assert [(each["_key"], each["x"]) for each in seen] == [("a", 1)]
        assert (log.get("a")["x"], log.get("b")) == (1, None)
        assert [each["_key"] for each in log.get_many(["a", "b"])] == ["a"]
        with pytest.raises(ArangoServerError) as caught:
            log.insert({"_key": "b"})
        assert caught.value.error_code == 1210
        assert fault.fired == 4
        rig.double.faults.clear()
        assert (log.get("a")["x"], log.get("b")["x"]) == (2, 2)
    assert [each["_key"] for each in rig.rows(HEAD_COMMIT, **binds)] == ["b"]


def test_a_read_only_store_refuses_only_writes(rig: Rig) -> None:
    rig.log.insert({"_key": "a"})
    fault = rig.double.faults.arm("read-only", times=None)
    writes: list[Callable[[], Any]] = [
        lambda: rig.log.insert({"_key": "b"}),
        lambda: rig.log.delete("a"),
        lambda: rig.log.add_index({"type": "persistent", "fields": ["x"]}),
        lambda: rig.database.create_collection("more"),
    ]
    for write in writes:
        with rig.refused(403, 1004):
            write()

    assert rig.log.get("a")["_key"] == "a"
    assert len(rig.log.get_many(["a"])) == 1
    assert len(rig.rows(HEAD_COMMIT, first="a", last="z")) == 1
    assert fault.fired == len(writes)


def test_a_fault_applies_only_to_its_target_and_only_so_often(rig: Rig) -> None:
    fault = rig.double.faults.arm("503/1496", method="PUT", path=DOCUMENT, coordinator=1, times=2)

    rig.log.insert({"_key": "a"})
    rig.log.replace({"_key": "a"})
    with log_through(rig, 1) as other:
        other.get("a")
        other.truncate()
        rig.log.insert({"_key": "a"})
        for _ in range(2):
            with pytest.raises(ArangoServerError):
                other.replace({"_key": "a"})
        other.replace({"_key": "a"})

    assert fault.fired == 2
    assert rig.double.requests.count("PUT", DOCUMENT) == 4
    assert rig.double.requests.count("PUT", DOCUMENT, coordinator=1) == 3
    assert rig.double.requests.count("PUT", f"{DOCUMENT}/a") == 4
    rig.double.requests.clear()
    assert rig.double.requests.count() == 0


async def test_an_async_test_calls_the_driver_in_threads(rig: Rig) -> None:
    fault = rig.double.faults.arm("hold", method="POST", path=DOCUMENT)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, rig.log.insert, {"_key": "a"})
            await anyio.to_thread.run_sync(fault.wait_fired)
            assert rig.stored() == []
            fault.release()

    assert rig.stored() == ["a"]
