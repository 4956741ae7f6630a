"""The change signal wakes each waiter once, misses no change, and ends every wait in time."""

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from chimera_s1.app.change_signal import ChangeSignal
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S

TIMEOUT_MS = 500


class Waiters:
    """Tasks that wait for one signal; `woken` has the names of those that have returned."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.clock = ManualClock()
        self.signal = ChangeSignal()
        self.woken: list[str] = []
        self._tasks = tasks

    def begin(self, name: str, *, version: int | None = None, debounce_ms: float = 0) -> None:
        self._tasks.start_soon(self._wait, name, version, debounce_ms)

    async def _wait(self, name: str, version: int | None, debounce_ms: float) -> None:
        if version is None:
            version = self.signal.version
        await self.signal.wait_after(
            self.clock, TIMEOUT_MS, version=version, debounce_ms=debounce_ms
        )
        self.woken.append(name)


async def run_steps(*steps: tuple[Callable[[Waiters], object], list[str]]) -> None:
    """Run each step and check which waiters have returned after it."""
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            for do, woken in steps:
                do(waiters)
                await settle()
                assert sorted(waiters.woken) == woken
            tasks.cancel_scope.cancel()


def begin(*names: str) -> Callable[[Waiters], None]:
    def do(waiters: Waiters) -> None:
        for name in names:
            waiters.begin(name)

    return do


def notify(waiters: Waiters) -> None:
    waiters.signal.notify()


async def test_notify_wakes_current_waiters_only() -> None:
    await run_steps(
        (begin("a", "b"), []),
        (notify, ["a", "b"]),
        (begin("c"), ["a", "b"]),
        (notify, ["a", "b", "c"]),
    )


async def test_change_between_read_and_wait_is_not_missed() -> None:
    def late(waiters: Waiters) -> None:
        version = waiters.signal.version
        waiters.signal.notify()
        waiters.begin("late", version=version)

    await run_steps((late, ["late"]))


async def test_notify_without_waiters_does_nothing() -> None:
    await run_steps((notify, []), (notify, []), (begin("a"), []), (notify, ["a"]))


async def test_wait_after_returns_at_the_timeout() -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            waiters.begin("a")
            await waiters.clock.wait_for_sleeper()
            await waiters.clock.advance(TIMEOUT_MS - 1)
            assert not waiters.woken

            await waiters.clock.advance(1)
            await settle()
            assert waiters.woken == ["a"]


async def test_debounce_merges_notifications() -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            waiters.begin("a", debounce_ms=100)
            await settle()
            for _ in range(3):
                waiters.signal.notify()
            await settle()
            await waiters.clock.advance(99)
            assert not waiters.woken

            await waiters.clock.advance(1)
            await settle()
            assert waiters.woken == ["a"]


async def test_irrelevant_change_wakes_no_waiter() -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            changes: list[str] = []

            async def wait() -> None:
                await waiters.signal.wait_after(
                    waiters.clock, TIMEOUT_MS, version=0, relevant=lambda: bool(changes)
                )
                waiters.woken.append("a")

            waiters.signal.notify()
            tasks.start_soon(wait)
            await settle()
            for _ in range(3):
                waiters.signal.notify()
                await settle()
            assert not waiters.woken

            changes.append("done")
            waiters.signal.notify()
            await settle()
            assert waiters.woken == ["a"]


async def test_cancelled_waiter_is_removed() -> None:
    signal, clock = ChangeSignal(), ManualClock()

    with anyio.move_on_after(0):
        await signal.wait_after(clock, TIMEOUT_MS, version=signal.version)
    signal.notify()
    await clock.advance(TIMEOUT_MS)

    assert signal.version == 1


async def test_next_after_returns_at_once_for_a_missed_change_and_waits_for_the_next() -> None:
    signal = ChangeSignal()
    returned: list[str] = []

    async def wait(name: str, version: int) -> None:
        await signal.next_after(version)
        returned.append(name)

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            signal.notify()
            tasks.start_soon(wait, "missed", 0)
            tasks.start_soon(wait, "first", signal.version)
            tasks.start_soon(wait, "second", signal.version)
            await settle()
            assert returned == ["missed"]

            signal.notify()
            await settle()
            assert sorted(returned) == ["first", "missed", "second"]
