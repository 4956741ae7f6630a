"""The manual clock."""

import anyio

from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

START_MS = 1_772_514_460_893


async def test_time_moves_only_by_advance() -> None:
    """Wall and monotonic time advance together."""
    clock = ManualClock(START_MS)
    assert (clock.now_ms(), clock.monotonic_ms()) == (START_MS, 0.0)

    await clock.advance(250)

    assert (clock.now_ms(), clock.monotonic_ms()) == (START_MS + 250, 250.0)


async def test_a_wall_clock_step_does_not_change_monotonic_time() -> None:
    clock = ManualClock(START_MS)

    clock.step_wall_clock(-5_000)

    assert (clock.now_ms(), clock.monotonic_ms()) == (START_MS - 5_000, 0.0)


async def test_sleepers_wake_in_order_at_their_due_time() -> None:
    """Each wakes at its own time, also one that sleeps again on the way."""
    clock = ManualClock(START_MS)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *durations_ms: float) -> None:
        for duration_ms in durations_ms:
            await clock.sleep_ms(duration_ms)
            woken.append((name, clock.monotonic_ms()))

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper, "late", 300)
        group.start_soon(sleeper, "often", 100, 100, 500)
        group.start_soon(sleeper, "never", 10_000)
        await clock.wait_for_sleeper()
        await anyio.wait_all_tasks_blocked()

        await clock.advance(400)

        assert woken == [("often", 100.0), ("often", 200.0), ("late", 300.0)]
        assert clock.monotonic_ms() == 400.0
        group.cancel_scope.cancel()


async def test_a_sleep_of_zero_or_less_returns_immediately() -> None:
    clock = ManualClock(START_MS)

    with anyio.fail_after(TIMEOUT_S):
        await clock.sleep_ms(0)
        await clock.sleep_ms(-1)
