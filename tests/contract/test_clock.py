"""The contract of `Clock`: the system clock, and those of the tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.ports.clock import Clock
from tests.accelerated_clock import AcceleratedClock, Pace
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S


def accelerated() -> AcceleratedClock:
    now_ms = SystemClock().now_ms()
    return AcceleratedClock(Pace(system_ms=now_ms, clock_ms=now_ms, rate=50))


@pytest.fixture(params=[ManualClock, SystemClock, accelerated])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


@asynccontextmanager
async def passing(clock: Clock) -> AsyncIterator[None]:
    """Advances a manual clock whenever a task sleeps."""

    async def push(manual: ManualClock) -> None:
        while True:
            await manual.wait_for_sleeper()
            await manual.advance(1)

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            if isinstance(clock, ManualClock):
                tasks.start_soon(push, clock)
            yield
            tasks.cancel_scope.cancel()


async def test_wall_time_is_whole_epoch_milliseconds(clock: Clock) -> None:
    """Between 2026 and the year 2286."""
    assert isinstance(clock.now_ms(), int)
    assert 1_767_225_600_000 < clock.now_ms() < 10_000_000_000_000


@pytest.mark.parametrize("duration_ms", [1, 7.5, 20])
async def test_a_sleep_lasts_at_least_its_duration(clock: Clock, duration_ms: float) -> None:
    """In monotonic time and in wall time."""
    async with passing(clock):
        monotonic_ms, wall_ms = clock.monotonic_ms(), clock.now_ms()
        while (left_ms := monotonic_ms + duration_ms - clock.monotonic_ms()) > 0:
            await clock.sleep_ms(left_ms)

        assert clock.monotonic_ms() - monotonic_ms >= duration_ms
        assert clock.now_ms() - wall_ms >= int(duration_ms) - 1


async def test_monotonic_time_never_goes_back(clock: Clock) -> None:
    async with passing(clock):
        seen = []
        for _ in range(20):
            seen.append(clock.monotonic_ms())
            await clock.sleep_ms(0.1)

    assert sorted(seen) == seen


@pytest.mark.parametrize("duration_ms", [0, -1, -1e9])
async def test_a_sleep_of_zero_or_less_is_a_checkpoint(clock: Clock, duration_ms: float) -> None:
    """Other tasks get a turn."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        turns += 1

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            while not turns:
                await clock.sleep_ms(duration_ms)

    assert turns == 1


async def test_a_sleep_can_be_cancelled(clock: Clock) -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep_ms, 1e9)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    assert tasks.cancel_scope.cancelled_caught
