"""Time of the loop passes only while its process runs."""

import pytest

from tests import steady_time
from tests.steady_time import TURN_MAX_S, SteadyClock, SteadyLoop


def test_a_pause_of_the_process_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    real = [100.0]
    monkeypatch.setattr(steady_time, "monotonic", lambda: real[0])
    loop = SteadyLoop()
    try:
        real[0] += 3.0
        assert loop.time() == pytest.approx(100.0 + TURN_MAX_S), "in a callback"
        loop.pass_time(0.0)
        assert loop.time() == pytest.approx(100.0 + TURN_MAX_S)
        real[0] += 3.0
        loop.pass_time(2.0)
        assert loop.time() == pytest.approx(102.0 + 2 * TURN_MAX_S), "after a wait"
        real[0] += 1.0
        loop.pass_time(2.0)
        assert loop.time() == pytest.approx(103.0 + 2 * TURN_MAX_S), "woken up early"
    finally:
        loop.close()


def test_the_clock_sleeps_on_the_time_of_its_loop() -> None:
    clock = SteadyClock()
    loop = SteadyLoop()
    try:
        before = loop.time()
        loop.run_until_complete(clock.sleep_ms(20))
        assert loop.time() - before >= 0.02
    finally:
        loop.close()
