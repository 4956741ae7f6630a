"""Measure the lag of the event loop, and detect a stalled loop from a watchdog thread."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Self

from chimera_s1.domain.operations.reports import LoopReport
from chimera_s1.domain.ports.clock import Clock

WAKE_INTERVAL_MS = 250
LAG_WINDOW_MS = 5_000
STALL_LIMIT_S = 10.0

_SLICES = 10


class WatchLoop:
    """Wakes up every 250 ms and reports the worst delay of the last 5 s."""

    def __init__(self, clock: Clock, pulse_watchdog: Callable[[], None]) -> None:
        self._clock = clock
        self._pulse_watchdog = pulse_watchdog
        # Wake-ups are at least WAKE_INTERVAL_MS apart: no more of them fit into the window.
        self._lags: deque[tuple[float, float]] = deque(maxlen=LAG_WINDOW_MS // WAKE_INTERVAL_MS)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due_ms = self._clock.monotonic_ms() + WAKE_INTERVAL_MS
            await self._clock.sleep_ms(WAKE_INTERVAL_MS)
            now_ms = self._clock.monotonic_ms()
            self._lags.append((now_ms, max(0.0, now_ms - due_ms)))
            self._pulse_watchdog()

    def report(self) -> LoopReport:
        """The worst lag of the last 5 s; 0 before the first wake-up."""
        oldest_ms = self._clock.monotonic_ms() - LAG_WINDOW_MS
        return LoopReport(max((lag for at, lag in self._lags if at >= oldest_ms), default=0.0))


class LoopWatchdog:
    """A thread that calls *on_stall* when the event loop has sent no pulse for *limit_s*.

    It counts slices of a tenth of the limit without a pulse, so that a suspended machine or a
    stopped process costs one slice only. A C extension that never releases the GIL stops this
    thread too.

    Args:
        on_stall: Called in this thread with the seconds without a pulse; again after each further
            slice while the stall lasts.
        pulse: For tests: what the thread waits on.
    """

    def __init__(
        self,
        on_stall: Callable[[float], None],
        *,
        limit_s: float = STALL_LIMIT_S,
        pulse: threading.Event | None = None,
    ) -> None:
        self._on_stall = on_stall
        self._slice_s = limit_s / _SLICES
        self._pulse = pulse or threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._pulse.set()
        self._thread.join()

    def pulse(self) -> None:
        """Called from the event loop to show that it runs."""
        self._pulse.set()

    def _watch(self) -> None:
        missed = 0
        while not self._ended:
            pulsed = self._pulse.wait(self._slice_s)
            self._pulse.clear()
            missed = 0 if pulsed else missed + 1
            if missed >= _SLICES and not self._ended:
                self._on_stall(missed * self._slice_s)
