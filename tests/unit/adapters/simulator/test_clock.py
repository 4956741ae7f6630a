"""The exchange's clock has a rate and an offset of its own."""

from chimera_s1.adapters.simulator.clock import ScaledClock


class Wall:
    """Wall time that the test moves."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


def test_the_clock_runs_at_its_rate_and_steps_by_its_offset() -> None:
    wall = Wall()
    clock = ScaledClock(wall)
    start = wall.ms
    clock.set(rate=60)
    wall.ms += 1000

    assert clock.now_ms() == start + 60_000
    clock.set(offset_ms=300)
    assert clock.now_ms() == wall.ms + 300
    wall.ms += 10
    assert clock.now_ms() == wall.ms - 10 + 300 + 600
