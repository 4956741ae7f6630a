"""
The faults of the ArangoDB double happen and are counted; what python-arango makes of each is shown,
since the adapter is written for it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
import requests
from arango.exceptions import ArangoServerError
from arango.http import DefaultHTTPClient
from requests.exceptions import ReadTimeout, RetryError

from tests.arango_double import OneRequestClient, connected, double_process
from tests.arango_double.faults import PATIENCE_S
from tests.contract.arango_parts import DATABASE, DOCUMENT, LOG, Rig, arango_rig

CURSOR = "/_api/cursor"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with arango_rig(coordinators=2) as rig:
        yield rig
        assert not rig.double.unknown


@contextmanager
def log_through(rig: Rig, coordinator: int, http: Any = None) -> Iterator[Any]:
    with connected(rig.double.urls[coordinator], DATABASE, http) as database:
        yield database.collection(LOG)


def stored(rig: Rig) -> list[str]:
    return rig.double.documents(DATABASE, LOG).keys()


@pytest.mark.parametrize(
    ("do", "kept"),
    [("apply-then-drop", ["a"]), ("drop-before-apply", []), ("drop", [])],
)
def test_a_dropped_write_may_or_may_not_be_there(rig: Rig, do: str, kept: list[str]) -> None:
    fault = rig.double.faults.arm(do, method="POST", path=DOCUMENT)

    with pytest.raises(ConnectionAbortedError):
        rig.log.insert({"_key": "a"})

    assert (fault.fired, stored(rig)) == (1, kept)
    assert rig.double.journal.count("POST", DOCUMENT) == 1


def test_the_drivers_default_client_posts_again_and_meets_its_own_write(rig: Rig) -> None:
    """
    The trap: 1210 here does not mean that anybody else has written.
    """
    fault = rig.double.faults.arm("apply-then-drop", method="POST", path=DOCUMENT)
    with (
        connected(rig.double.urls[0], DATABASE, DefaultHTTPClient(), tries=None) as database,
        pytest.raises(ArangoServerError) as caught,
    ):
        database.collection(LOG).insert({"_key": "a", "mine": True})

    assert (caught.value.http_code, caught.value.error_code) == (409, 1210)
    assert fault.fired == 1
    assert rig.double.journal.count("POST", DOCUMENT) == 2
    assert rig.log.get("a")["mine"] is True


def test_with_two_hosts_the_second_post_goes_to_the_other(rig: Rig) -> None:
    fault = rig.double.faults.arm("apply-then-drop", method="POST", path=DOCUMENT)
    with (
        connected(rig.double.urls, DATABASE, tries=2) as database,
        pytest.raises(ArangoServerError) as caught,
    ):
        database.collection(LOG).insert({"_key": "a"})

    assert (fault.fired, caught.value.error_code) == (1, 1210)
    assert [rig.double.journal.count("POST", DOCUMENT, each) for each in (0, 1)] == [1, 1]


def test_three_dropped_posts_are_all_the_driver_sends(rig: Rig) -> None:
    fault = rig.double.faults.arm("drop", method="POST", path=DOCUMENT, times=None)
    with (
        connected(rig.double.urls[0], DATABASE, tries=None) as database,
        pytest.raises(ConnectionAbortedError),
    ):
        database.collection(LOG).insert({"_key": "a"})

    assert fault.fired == 3


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
    assert stored(rig) == []
    with rig.refused(status, number):
        rig.log.insert({"_key": "a"})

    assert stored(rig) == ["a"]
    assert [writes.fired, reads.fired, applied.fired] == [1, 1, 1]


def test_the_driver_takes_a_server_in_maintenance_for_a_broken_connection(rig: Rig) -> None:
    fault = rig.double.faults.arm("503/503", path=DOCUMENT)

    with pytest.raises(ConnectionAbortedError):
        rig.log.get("a")

    assert (fault.fired, rig.status) == (1, 503)


def test_the_drivers_default_client_hides_the_number_of_an_error_of_a_read(rig: Rig) -> None:
    fault = rig.double.faults.arm("503/1496", method="GET", path=DOCUMENT, times=None)
    http = DefaultHTTPClient(retry_attempts=1, backoff_factor=0)

    with log_through(rig, 0, http) as log, pytest.raises(RetryError):
        log.get("a")

    assert fault.fired == 2


@pytest.mark.parametrize("nonsense", ["503/1", "explode", "apply-then-", "503/"])
def test_what_no_server_does_cannot_be_armed(rig: Rig, nonsense: str) -> None:
    with pytest.raises(ValueError, match=r"is no error of this table|is not a valid Deed"):
        rig.double.faults.arm(nonsense)


@pytest.mark.parametrize(("do", "before"), [("hold", []), ("apply-then-hold", ["a"])])
def test_a_held_write_takes_effect_after_its_client_has_given_up(
    rig: Rig, do: str, before: list[str]
) -> None:
    """
    A later read of the key finds nothing, and yet it comes: only the same key again is safe.
    """
    fault = rig.double.faults.arm(do, method="POST", path=DOCUMENT, coordinator=0)
    impatient = OneRequestClient(read_seconds=0.25)
    with log_through(rig, 0, impatient) as log, pytest.raises(ReadTimeout):
        log.insert({"_key": "a"})
    fault.wait_fired()
    seen = stored(rig)
    fault.release()
    fault.wait_done()

    assert (seen, fault.fired) == (before, 1)
    assert stored(rig) == ["a"]


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


@pytest.mark.parametrize("do", ["delay", "apply-then-delay"])
def test_a_delayed_answer_comes(rig: Rig, do: str) -> None:
    fault = rig.double.faults.arm(do, path=DOCUMENT, delay_ms=20)

    rig.log.insert({"_key": "a"})

    assert (fault.fired, stored(rig)) == (1, ["a"])


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
def test_a_coordinator_may_die_of_a_request(rig: Rig, do: str, kept: list[str]) -> None:
    cursor = rig.database.aql.execute(
        "FOR d IN @@c RETURN d", bind_vars={"@c": "_graphs"}, allow_retry=True
    )
    fault = rig.double.faults.arm(do, method="POST", path=DOCUMENT)
    for _ in range(2):
        with pytest.raises(ConnectionAbortedError):
            rig.log.insert({"_key": "a"})
    rig.double.bring_up(0)

    assert (fault.fired, rig.double.downs(0), stored(rig)) == (1, 1, kept)
    with rig.refused(404, 1600):
        cursor.fetch()


def test_a_stale_coordinator_shows_the_past_and_writes_to_the_present(rig: Rig) -> None:
    by_key = "FOR d IN @@c FILTER d._key >= @lo SORT d._key RETURN d.x"
    rig.log.insert({"_key": "a", "x": 1})
    fault = rig.double.faults.arm("stale", coordinator=1, times=None)
    rig.log.update({"_key": "a", "x": 2})
    rig.log.insert({"_key": "b", "x": 2})

    with connected(rig.double.urls[1], DATABASE) as database:
        log: Any = database.collection(LOG)
        seen: Any = database.aql.execute(by_key, bind_vars={"@c": LOG, "lo": "a"})
        assert list(seen) == [1]
        assert (log.get("a")["x"], log.get("b"), log.count()) == (1, None, 1)
        assert [each["_key"] for each in log.get_many(["a", "b"])] == ["a"]
        with pytest.raises(ArangoServerError) as caught:
            log.insert({"_key": "b"})
        assert caught.value.error_code == 1210
        assert fault.fired == 5
        rig.double.faults.clear()
        assert log.count() == 2
    assert rig.rows(by_key, lo="a") == [2, 2]


def test_a_read_only_store_refuses_writes_alone(rig: Rig) -> None:
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
    assert len(rig.rows("FOR d IN @@c RETURN d")) == 1
    assert fault.fired == len(writes)


def test_a_fault_strikes_only_what_it_is_for_and_so_often(rig: Rig) -> None:
    fault = rig.double.faults.arm("503/1496", method="PUT", path=DOCUMENT, coordinator=1, times=2)

    rig.log.insert({"_key": "a"})
    rig.log.replace({"_key": "a"})
    with log_through(rig, 1) as other:
        other.get("a")
        other.configure(sync=False)
        for _ in range(2):
            with pytest.raises(ArangoServerError):
                other.replace({"_key": "a"})
        other.replace({"_key": "a"})

    assert fault.fired == 2
    assert rig.double.journal.count("PUT", DOCUMENT) == 4
    assert rig.double.journal.by_path()[f"PUT {DOCUMENT}/a"] == 4
    rig.double.journal.clear()
    assert rig.double.journal.count() == 0


async def test_an_async_test_calls_the_driver_in_threads(rig: Rig) -> None:
    fault = rig.double.faults.arm("hold", method="POST", path=DOCUMENT)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, rig.log.insert, {"_key": "a"})
            await anyio.to_thread.run_sync(fault.wait_fired)
            assert stored(rig) == []
            fault.release()

    assert stored(rig) == ["a"]


def test_a_double_of_its_own_process_is_told_over_http() -> None:
    with (
        double_process(coordinators=2) as (running, ready),
        requests.Session() as session,
        connected(ready.urls[0]) as database,
    ):
        session.trust_env = False

        def ask(method: str, path: str, body: Any = None) -> Any:
            return session.request(method, ready.control_url + path, json=body, timeout=20).json()

        log: Any = database.create_collection(LOG)
        fault = {"do": "apply-then-drop", "method": "POST", "path": DOCUMENT, "coordinator": 0}
        armed = ask("POST", "/faults", {**fault, "times": 1})
        with pytest.raises(ConnectionAbortedError):
            log.insert({"_key": "a", "x": 1})
        assert ask("GET", f"/faults/{armed['id']}/fired?count=1") == {
            **armed,
            "fired": 1,
            "done": 1,
        }
        assert [each["fired"] for each in ask("GET", "/faults")] == [1]
        assert "is no error" in ask("POST", "/faults", {"do": "503/1"})["error"]
        assert "unexpected keyword" in ask("POST", "/faults", {"do": "drop", "on": "x"})["error"]

        documents = f"/documents/_system/{LOG}"
        ask("PATCH", f"{documents}/a", {"x": 2})
        ask("PUT", f"{documents}/b", {"x": 3})
        ask("POST", f"{documents}/swap", {"key": "a", "other": "b"})
        assert [each["x"] for each in ask("GET", documents)] == [3, 2]
        assert log.get("a")["x"] == ask("GET", f"{documents}/a")["x"] == 3
        ask("DELETE", f"{documents}/a")
        assert log.get("a") is None

        held = ask("POST", "/faults", {"do": "hold", "path": CURSOR})
        ask("POST", f"/faults/{held['id']}/release")
        ask("PUT", "/clock", {"offset_ms": 10**15})
        assert next(database.aql.execute("RETURN DATE_NOW()")) > 10**15  # type: ignore[arg-type]  # a cursor, as no job was asked for
        assert ask("GET", f"/faults/{held['id']}")["fired"] == 1

        ask("POST", "/coordinators/0/down")
        with pytest.raises(ConnectionAbortedError):
            log.get("b")
        state = ask("POST", "/coordinators/0/up")
        assert [(each["up"], each["downs"]) for each in state["coordinators"]] == [
            (True, 1),
            (True, 0),
        ]
        assert state["requests"][f"POST {DOCUMENT}"] == 1
        assert log.get("b")["x"] == 2

        running.kill()
        running.wait()
        with pytest.raises(ConnectionAbortedError):
            log.get("b")
