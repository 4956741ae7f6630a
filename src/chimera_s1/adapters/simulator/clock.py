"""The exchange's clock: local time plus an offset, at a rate that may change at any time.

Server times in payloads, pings, the 24 h limit of connections and the minute of weights follow it.
The pace of market data does not: a fast clock ages connections without flooding them.
"""

from collections.abc import Callable

import anyio


class ScaledClock:
    """Time is `anchor + (local - local anchor) * rate`."""

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
        return self._scaled_ms(local) + self._offset_ms + drifted

    def _scaled_ms(self, local: int) -> int:
        return self._anchor + int((local - self._local_anchor) * self._rate)

    def set_error(self, *, offset_ms: int, drift_ms_per_s: int) -> None:
        """Add an error to the time that was `set`: an offset, and a drift that starts now.

        Two zeros remove the error completely.
        """
        if (offset_ms, drift_ms_per_s) == (self._offset_ms, self._drift_ms_per_s):
            return
        if drift_ms_per_s != self._drift_ms_per_s:
            self._drift_start_ms = self._wall_ms()
        self._offset_ms = offset_ms
        self._drift_ms_per_s = drift_ms_per_s
        self.wake()

    def set(self, *, rate: float | None = None, offset_ms: int | None = None) -> None:
        """Change the rate from now on; with *offset_ms*, step to local time plus that."""
        local = self._wall_ms()
        now = self._scaled_ms(local)
        self._local_anchor = local
        self._anchor = now if offset_ms is None else local + offset_ms
        self._rate = self._rate if rate is None else rate
        self.wake()

    def wake(self) -> None:
        """Wake every `sleep_until`."""
        self._changed.set()
        self._changed = anyio.Event()

    async def sleep_ms(self, duration_ms: float) -> None:
        """Wait for *duration_ms* of exchange time at the present rate; `wake` does not end it."""
        await anyio.sleep(duration_ms / self._rate / 1000)

    async def sleep_until(self, moment_ms: int) -> None:
        """Wait for *moment_ms* of exchange time, or until `wake`."""
        remaining_ms = (moment_ms - self.now_ms()) / self._rate
        with anyio.move_on_after(max(0.001, remaining_ms / 1000)):
            await self._changed.wait()
