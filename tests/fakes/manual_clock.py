"""A clock that moves only when advanced."""

import anyio
from anyio.lowlevel import checkpoint

_CHECKPOINTS = 50


async def settle() -> None:
    """Until every other task waits. anyio looks only each 0.1 s while one does not, so most of them
    get there first.
    """
    for _ in range(_CHECKPOINTS):
        await checkpoint()
    await anyio.wait_all_tasks_blocked()


class ManualClock:
    """Implements `domain.ports.clock.Clock`."""

    def __init__(self, now_ms: int = 1_772_514_460_893) -> None:
        self._wall_ms = float(now_ms)
        self._monotonic_ms = 0.0
        self._sleepers: list[tuple[float, anyio.Event]] = []
        self._sleeper_added = anyio.Event()

    def now_ms(self) -> int:
        return int(self._wall_ms)

    def monotonic_ms(self) -> float:
        return self._monotonic_ms

    async def sleep_ms(self, duration_ms: float) -> None:
        if duration_ms <= 0:
            await checkpoint()
            return
        sleeper = (self._monotonic_ms + duration_ms, anyio.Event())
        self._sleepers.append(sleeper)
        self._sleeper_added.set()
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def advance(self, duration_ms: float) -> None:
        """Advance both clocks and wake due sleepers in order of time."""
        end_ms = self._monotonic_ms + duration_ms
        while due := [when_ms for when_ms, event in self._sleepers if not event.is_set()]:
            next_ms = min(due)
            if next_ms > end_ms:
                break
            self._set_monotonic(next_ms)
            for when_ms, event in self._sleepers:
                if when_ms <= next_ms:
                    event.set()
            # A woken task may sleep again before the end.
            await settle()
        self._set_monotonic(end_ms)

    def step_wall_clock(self, duration_ms: float) -> None:
        """Step the wall clock as an operator would; wakes no sleeper."""
        self._wall_ms += duration_ms

    async def wait_for_sleeper(self) -> None:
        """Until a task sleeps on this clock."""
        while not self._sleepers:
            self._sleeper_added = anyio.Event()
            await self._sleeper_added.wait()

    def _set_monotonic(self, monotonic_ms: float) -> None:
        self._wall_ms += monotonic_ms - self._monotonic_ms
        self._monotonic_ms = monotonic_ms
