"""The bell: who waits hears it once, who was late does not miss it, and nobody waits for ever."""

from collections.abc import Callable

import anyio
from anyio import wait_all_tasks_blocked as settle
from anyio.abc import TaskGroup

from chimera_s1.app.change_signal import ChangeSignal
from tests.fakes.manual_clock import ManualClock

LIMIT_MS = 500


class Waiters:
    """Tasks that wait for one bell, and those that have come back."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.clock = ManualClock()
        self.bell = ChangeSignal()
        self.back: list[str] = []
        self._tasks = tasks

    def begin(self, name: str, *, after: int | None = None, gather_ms: float = 0) -> None:
        self._tasks.start_soon(self._wait, name, after, gather_ms)

    async def _wait(self, name: str, after: int | None, gather_ms: float) -> None:
        rung = self.bell.version if after is None else after
        await self.bell.wait_after(self.clock, LIMIT_MS, version=rung, debounce_ms=gather_ms)
        self.back.append(name)


async def waiting(*steps: tuple[Callable[[Waiters], object], list[str]]) -> None:
    """Each step, and who is back after it."""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            for do, back in steps:
                do(waiters)
                await settle()
                assert sorted(waiters.back) == back
            tasks.cancel_scope.cancel()


def begin(*names: str) -> Callable[[Waiters], None]:
    def do(waiters: Waiters) -> None:
        for name in names:
            waiters.begin(name)

    return do


def ring(waiters: Waiters) -> None:
    waiters.bell.notify()


async def test_notify_wakes_current_waiters_only() -> None:
    await waiting(
        (begin("a", "b"), []),
        (ring, ["a", "b"]),
        (begin("c"), ["a", "b"]),
        (ring, ["a", "b", "c"]),
    )


async def test_change_between_read_and_wait_is_not_missed() -> None:
    def late(waiters: Waiters) -> None:
        seen = waiters.bell.version
        waiters.bell.notify()
        waiters.begin("late", after=seen)

    await waiting((late, ["late"]))


async def test_notify_without_waiters_does_nothing() -> None:
    await waiting((ring, []), (ring, []), (begin("a"), []), (ring, ["a"]))


async def test_wait_after_returns_at_the_timeout() -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            waiters.begin("a")
            await waiters.clock.wait_for_sleeper()
            await waiters.clock.advance(LIMIT_MS - 1)
            assert not waiters.back

            await waiters.clock.advance(1)
            await settle()
            assert waiters.back == ["a"]


async def test_debounce_merges_notifications() -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            waiters.begin("a", gather_ms=100)
            await settle()
            for _ in range(3):
                waiters.bell.notify()
            await settle()
            await waiters.clock.advance(99)
            assert not waiters.back

            await waiters.clock.advance(1)
            await settle()
            assert waiters.back == ["a"]


async def test_irrelevant_change_wakes_no_waiter() -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            news: list[str] = []

            async def wait() -> None:
                await waiters.bell.wait_after(
                    waiters.clock, LIMIT_MS, version=0, relevant=lambda: bool(news)
                )
                waiters.back.append("a")

            waiters.bell.notify()
            tasks.start_soon(wait)
            await settle()
            for _ in range(3):
                waiters.bell.notify()
                await settle()
            assert not waiters.back

            news.append("it is done")
            waiters.bell.notify()
            await settle()
            assert waiters.back == ["a"]


async def test_cancelled_waiter_is_removed() -> None:
    bell, clock = ChangeSignal(), ManualClock()

    with anyio.move_on_after(0):
        await bell.wait_after(clock, LIMIT_MS, version=bell.version)
    bell.notify()
    await clock.advance(LIMIT_MS)

    assert bell.version == 1
