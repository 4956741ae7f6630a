"""Supervision: a worker that ends unexpectedly is named; at a stop, workers are asked before they
are cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from chimera_s1.app import supervisor
from chimera_s1.app.supervisor import Worker, WorkerFailedError, supervise
from tests.fakes.manual_clock import settle
from tests.time_limits import TIMEOUT_S


class Work:
    """Work that runs until cancelled or released; records how it ended."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.go_on = anyio.Event()
        self.ended = ""
        self._failure = failure

    async def run(self) -> None:
        try:
            await self.go_on.wait()
            if self._failure is not None:
                raise self._failure
            self.ended = "returned"
        except anyio.get_cancelled_exc_class():
            self.ended = "cancelled"
            raise


async def supervised(
    *workers: Worker,
    meanwhile: Callable[[anyio.Event], Awaitable[None]],
) -> WorkerFailedError | None:
    """Supervise while *meanwhile* runs, and return the error of the worker that died."""
    died: list[WorkerFailedError] = []
    until = anyio.Event()

    async def run() -> None:
        try:
            await supervise(workers, until)
        except WorkerFailedError as error:
            died.append(error)

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await settle()
            await meanwhile(until)
    return died[0] if died else None


async def test_a_worker_that_raises_is_named_and_the_others_are_cancelled() -> None:
    failing, steady = Work(OSError("disk on fire")), Work()

    async def fail(_: anyio.Event) -> None:
        failing.go_on.set()

    died = await supervised(
        Worker("publisher", failing.run), Worker("feed.spot", steady.run), meanwhile=fail
    )

    assert str(died) == "worker publisher died: OSError: disk on fire"
    assert died is not None
    assert died.name == "publisher"
    assert steady.ended == "cancelled"


async def test_a_worker_that_returns_unplanned_is_dead_too() -> None:
    returning, steady = Work(), Work()

    async def end(_: anyio.Event) -> None:
        returning.go_on.set()

    died = await supervised(
        Worker("feed.spot", returning.run), Worker("http", steady.run), meanwhile=end
    )

    assert str(died) == "worker feed.spot died: it returned"
    assert steady.ended == "cancelled"


async def test_a_worker_that_ends_with_a_cancellation_of_its_own_is_dead_too() -> None:
    """A future that a library has cancelled cancels the task that awaits it: that is no planned
    stop.
    """
    steady = Work()

    async def run() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def nothing(_: anyio.Event) -> None:
        await settle()

    died = await supervised(
        Worker("publisher", run), Worker("feed.spot", steady.run), meanwhile=nothing
    )

    assert str(died) == "worker publisher died: CancelledError: "
    assert steady.ended == "cancelled"


async def test_errors_from_a_workers_own_task_group_are_named_themselves() -> None:
    """ "unhandled errors in a TaskGroup" would not help the operator."""

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inner)

    async def inner() -> None:
        raise KeyError("mid")

    async def nothing(_: anyio.Event) -> None:
        await settle()

    died = await supervised(Worker("publisher", run), meanwhile=nothing)

    assert str(died) == "worker publisher died: KeyError: 'mid'"


async def test_of_several_that_die_at_once_one_is_named_and_each_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = Work(OSError("one")), Work(OSError("two"))

    async def fail(_: anyio.Event) -> None:
        first.go_on.set()
        second.go_on.set()

    died = await supervised(
        Worker("first", first.run), Worker("second", second.run), meanwhile=fail
    )

    assert died is not None
    assert died.name in {"first", "second"}
    assert {record.getMessage() for record in caplog.records} == {
        "worker first died",
        "worker second died",
    }


async def test_a_planned_stop_asks_first_and_cancels_the_rest_after() -> None:
    """While HTTP answers its last requests, the others still work."""
    asked, steady = Work(), Work()
    stops: list[str] = []

    async def stop(until: anyio.Event) -> None:
        until.set()
        await settle()
        assert stops == ["http"]
        assert steady.ended == ""
        asked.go_on.set()

    died = await supervised(
        Worker("http", asked.run, lambda: stops.append("http")),
        Worker("publisher", steady.run),
        meanwhile=stop,
    )

    assert died is None
    assert (asked.ended, steady.ended) == ("returned", "cancelled")


async def test_a_worker_that_does_not_stop_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT_S", 0.05)
    stubborn = Work()

    async def stop(until: anyio.Event) -> None:
        until.set()

    died = await supervised(Worker("http", stubborn.run, lambda: None), meanwhile=stop)

    assert died is None
    assert stubborn.ended == "cancelled"


async def test_a_worker_that_fails_while_it_stops_is_named() -> None:
    failing = Work(OSError("cannot close"))

    async def stop(until: anyio.Event) -> None:
        until.set()

    died = await supervised(Worker("http", failing.run, failing.go_on.set), meanwhile=stop)

    assert str(died) == "worker http died: OSError: cannot close"


async def test_cancelled_from_outside_every_worker_is_cancelled() -> None:
    workers = [Work(), Work()]
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            named = tuple(Worker(str(index), work.run) for index, work in enumerate(workers))
            tasks.start_soon(supervise, named, anyio.Event())
            await settle()
            tasks.cancel_scope.cancel()

    assert [work.ended for work in workers] == ["cancelled", "cancelled"]
