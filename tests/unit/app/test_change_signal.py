"""The bell: who waits hears it once, who was late does not miss it, and nobody waits for ever."""

from collections.abc import Callable

import anyio
from anyio import wait_all_tasks_blocked as settle
from anyio.abc import TaskGroup

from chimera_s1.app.change_signal import Bell
from tests.fakes.manual_clock import ManualClock

LIMIT_MS = 500


class Waiters:
    """Tasks that wait for one bell, and those that have come back."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.clock = ManualClock()
        self.bell = Bell()
        self.back: list[str] = []
        self._tasks = tasks

    def begin(self, name: str, *, after: int | None = None, gather_ms: float = 0) -> None:
        self._tasks.start_soon(self._wait, name, after, gather_ms)

    async def _wait(self, name: str, after: int | None, gather_ms: float) -> None:
        rung = self.bell.rung if after is None else after
        await self.bell.heard(self.clock, LIMIT_MS, after=rung, gather_ms=gather_ms)
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
    waiters.bell.ring()


async def test_all_who_wait_hear_it_and_who_comes_later_waits_for_the_next() -> None:
    await waiting(
        (begin("a", "b"), []),
        (ring, ["a", "b"]),
        (begin("c"), ["a", "b"]),
        (ring, ["a", "b", "c"]),
    )


async def test_what_rang_between_the_look_and_the_wait_is_not_missed() -> None:
    def late(waiters: Waiters) -> None:
        seen = waiters.bell.rung
        waiters.bell.ring()
        waiters.begin("late", after=seen)

    await waiting((late, ["late"]))


async def test_a_bell_that_rings_for_nobody_is_no_trouble() -> None:
    await waiting((ring, []), (ring, []), (begin("a"), []), (ring, ["a"]))


async def test_nobody_waits_longer_than_it_takes() -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            waiters.begin("a")
            await waiters.clock.until_slept_on()
            await waiters.clock.advance(LIMIT_MS - 1)
            assert not waiters.back

            await waiters.clock.advance(1)
            await settle()
            assert waiters.back == ["a"]


async def test_many_rings_are_gathered_into_one_look() -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            waiters.begin("a", gather_ms=100)
            await settle()
            for _ in range(3):
                waiters.bell.ring()
            await settle()
            await waiters.clock.advance(99)
            assert not waiters.back

            await waiters.clock.advance(1)
            await settle()
            assert waiters.back == ["a"]


async def test_a_ring_that_is_not_worth_a_look_wakes_nobody() -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiters = Waiters(tasks)
            news: list[str] = []

            async def wait() -> None:
                await waiters.bell.heard(waiters.clock, LIMIT_MS, after=0, worth=lambda: bool(news))
                waiters.back.append("a")

            waiters.bell.ring()
            tasks.start_soon(wait)
            await settle()
            for _ in range(3):
                waiters.bell.ring()
                await settle()
            assert not waiters.back

            news.append("it is done")
            waiters.bell.ring()
            await settle()
            assert waiters.back == ["a"]


async def test_who_stops_waiting_leaves_nothing_behind() -> None:
    bell, clock = Bell(), ManualClock()

    with anyio.move_on_after(0):
        await bell.heard(clock, LIMIT_MS, after=bell.rung)
    bell.ring()
    await clock.advance(LIMIT_MS)

    assert bell.rung == 1
