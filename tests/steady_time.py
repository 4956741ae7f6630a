"""An event loop whose time does not pass while its process waits for a CPU.

On a busy machine a process may stand still for a second. What the test and an exchange in the same
process do to each other must not depend on it: timers, timeouts and `SteadyClock` count only time
in which they could run.
"""

import asyncio
import math
import selectors
from time import monotonic
from typing import Any

import anyio

from chimera_s1.adapters.system.system_clock import SystemClock

TURN_MAX_S = 0.01
"""Nothing that the loop runs between two waits takes longer; nor does it wake up later."""


class _SteadySelector(selectors.EpollSelector):
    loop: "SteadyLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        self.loop.pass_time(0.0)
        ready = super().select(timeout)
        self.loop.pass_time(math.inf if timeout is None else max(0.0, timeout))
        return ready


class SteadyLoop(asyncio.SelectorEventLoop):
    """Counts at most `TURN_MAX_S` more than it meant to wait, each time."""

    def __init__(self) -> None:
        self._seen = monotonic()
        self._passed = self._seen
        selector = _SteadySelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._passed + min(monotonic() - self._seen, TURN_MAX_S)

    def pass_time(self, waited_s: float) -> None:
        """Count the time since the last call: *waited_s* were meant to be waited."""
        now = monotonic()
        self._passed += min(now - self._seen, waited_s + TURN_MAX_S)
        self._seen = now


class SteadyClock:
    """Implements the `Clock` port on the running loop's time; on another loop it is the system's
    clock.
    """

    def __init__(self) -> None:
        system = SystemClock()
        self._epoch_ms = system.now_ms() - system.monotonic_ms()

    def now_ms(self) -> int:
        return int(self._epoch_ms + self.monotonic_ms())

    def monotonic_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

    async def sleep_ms(self, duration_ms: float) -> None:
        await anyio.sleep(max(0.0, duration_ms) / 1000)
