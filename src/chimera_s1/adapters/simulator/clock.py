"""The exchange's clock: local time with an offset, at a rate that can be changed while it runs.

Server times in payloads, pings, the 24 h abort and the weight minute follow it. The pace of market
data does not: a fast clock ages connections, it does not flood them.
"""

from collections.abc import Callable

import anyio


class ScaledClock:
    """Implements time as `anchor + (local - local anchor) * rate`."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._local_anchor = self._anchor = wall_ms()
        self._rate = 1.0
        self._offset_ms = 0
        self._drift_ms_per_s = 0
        self._drift_start_ms = self._local_anchor
        self._changed = anyio.Event()

    @property
    def rate(self) -> float:
        """Exchange milliseconds per local millisecond."""
        return self._rate

    def local_ms(self) -> int:
        """The machine's own wall time, epoch ms."""
        return self._wall_ms()

    def now_ms(self) -> int:
        """The exchange's time, epoch ms."""
        local = self._wall_ms()
        drifted = (local - self._drift_start_ms) * self._drift_ms_per_s // 1000
        ahead = self._offset_ms + drifted
        return self._anchor + int((local - self._local_anchor) * self._rate) + ahead

    def set_error(self, *, offset_ms: int, drift_ms_per_s: int) -> None:
        """Be wrong by *offset_ms* and by what drifts on from now, on top of what was `set`; zeros end
        both, without a trace.
        """
        if (offset_ms, drift_ms_per_s) == (self._offset_ms, self._drift_ms_per_s):
            return
        if drift_ms_per_s != self._drift_ms_per_s:
            self._drift_start_ms = self._wall_ms()
        self._offset_ms = offset_ms
        self._drift_ms_per_s = drift_ms_per_s
        self.wake()

    def set(self, *, rate: float | None = None, offset_ms: int | None = None) -> None:
        """Change the pace from now on, and with *offset_ms* step to local time plus that much."""
        local = self._wall_ms()
        now = self._anchor + int((local - self._local_anchor) * self._rate)
        self._local_anchor = local
        self._anchor = now if offset_ms is None else self._local_anchor + offset_ms
        self._rate = self._rate if rate is None else rate
        self.wake()

    def wake(self) -> None:
        """Make every sleeper look again at what it waits for."""
        self._changed.set()
        self._changed = anyio.Event()

    async def sleep_until(self, moment_ms: int) -> None:
        """Wait for *moment_ms* of exchange time, or until `wake`."""
        remaining_ms = (moment_ms - self.now_ms()) / self._rate
        with anyio.move_on_after(max(0.001, remaining_ms / 1000)):
            await self._changed.wait()
