"""The event loop: its lag, and stalls detected by a thread."""

import threading
from collections.abc import Iterable

import anyio
import pytest

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.operations.watch_loop import (
    LAG_WINDOW_MS,
    WAKE_INTERVAL_MS,
    LoopWatchdog,
    WatchLoop,
)
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

LIMIT_S = 10.0
SLICES = 10


class LateClock(ManualClock):
    """A clock whose sleeps are too long by the given delays, in order."""

    def __init__(self, lags_ms: Iterable[float]) -> None:
        super().__init__()
        self._lags_ms = iter(lags_ms)
        self.asleep = anyio.Event()

    async def sleep_ms(self, duration_ms: float) -> None:
        lag_ms = next(self._lags_ms, None)
        if lag_ms is None:
            self.asleep.set()
            await anyio.sleep_forever()
        else:
            await self.advance(duration_ms + lag_ms)


class ScriptedPulse(threading.Event):
    """What the watchdog waits on: turns and misses come from the test, not from time."""

    def __init__(self, turns: Iterable[bool]) -> None:
        super().__init__()
        self._turns = iter(turns)
        self.waited: list[float | None] = []
        self.played = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        turned = next(self._turns, None)
        if turned is None:
            self.played.set()
            return super().wait()
        self.waited.append(timeout)
        return turned


async def watched(lags_ms: Iterable[float]) -> tuple[WatchLoop, LateClock, list[float]]:
    clock, turns = LateClock(lags_ms), list[float]()
    watch = WatchLoop(clock, lambda: turns.append(clock.monotonic_ms()))
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            await clock.asleep.wait()
            tasks.cancel_scope.cancel()
    return watch, clock, turns


async def test_report_is_the_worst_lag() -> None:
    watch, _, turns = await watched([3.0, 700.0, 12.0])

    assert watch.report().lag_ms == pytest.approx(700.0)
    assert len(turns) == 3


async def test_lag_expires_after_five_seconds() -> None:
    watch, clock, _ = await watched([700.0, 12.0])

    await clock.advance(LAG_WINDOW_MS - WAKE_INTERVAL_MS)
    assert watch.report().lag_ms == pytest.approx(12.0)
    await clock.advance(WAKE_INTERVAL_MS + 1)
    assert watch.report().lag_ms == 0.0


async def test_lag_is_zero_before_the_first_wake_up() -> None:
    assert WatchLoop(ManualClock(), lambda: None).report().lag_ms == 0.0


def stalls(turns: Iterable[bool]) -> tuple[list[float], ScriptedPulse]:
    pulse, found = ScriptedPulse(turns), list[float]()
    with LoopWatchdog(found.append, limit_s=LIMIT_S, pulse=pulse):
        assert pulse.played.wait(timeout=TIMEOUT_S)
    return found, pulse


def test_stalled_loop_is_reported_with_its_seconds() -> None:
    found, pulse = stalls([True, *[False] * SLICES])

    assert found == [LIMIT_S]
    assert set(pulse.waited) == {LIMIT_S / SLICES}


def test_lasting_stall_is_reported_again() -> None:
    found, _ = stalls([False] * (SLICES + 2))

    assert found == [10.0, 11.0, 12.0]


def test_pulse_in_time_restarts_the_count() -> None:
    """A process that was stopped and continued loses one slice, not its life."""
    found, _ = stalls([*[False] * (SLICES - 1), True, *[False] * (SLICES - 1)])

    assert found == []


async def test_blocked_loop_is_detected_by_the_thread() -> None:
    """The loop blocks on the very event that the watchdog's alarm sets."""
    alarm = threading.Event()
    with LoopWatchdog(lambda _: alarm.set(), limit_s=0.05) as watchdog:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(WatchLoop(SystemClock(), watchdog.pulse).run)
            assert alarm.wait(timeout=TIMEOUT_S), "the watchdog did not notice"
            tasks.cancel_scope.cancel()


def test_stall_after_a_pulse_is_detected() -> None:
    """A turn counts once."""
    alarm = threading.Event()
    with LoopWatchdog(lambda _: alarm.set(), limit_s=0.05) as watchdog:
        watchdog.pulse()
        assert alarm.wait(timeout=TIMEOUT_S), "the watchdog did not notice"


def test_the_thread_ends_with_its_block() -> None:
    with LoopWatchdog(lambda _: None):
        assert any(each.name == "loop-watchdog" for each in threading.enumerate())

    assert not any(each.name == "loop-watchdog" for each in threading.enumerate())
