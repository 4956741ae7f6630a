"""Is the event loop turning: its lag, measured from inside, and a watchdog thread outside it."""

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
    """Wakes up every 250 ms and notes how late; the worst of the last 5 s is the report."""

    def __init__(self, clock: Clock, pulse_watchdog: Callable[[], None]) -> None:
        """Args:
        clock: What it sleeps and measures by.

        pulse_watchdog: Called at each wake-up; the watchdog's `pulse_watchdog`.
        """
        self._clock = clock
        self._turned = pulse_watchdog
        # A wake-up takes at least WAKE_UP_MS, so more of them cannot lie within the memory.
        self._lags: deque[tuple[float, float]] = deque(maxlen=LAG_WINDOW_MS // WAKE_INTERVAL_MS)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due_ms = self._clock.monotonic_ms() + WAKE_INTERVAL_MS
            await self._clock.sleep_ms(WAKE_INTERVAL_MS)
            now_ms = self._clock.monotonic_ms()
            self._lags.append((now_ms, max(0.0, now_ms - due_ms)))
            self._turned()

    def report(self) -> LoopReport:
        """The worst lag of the last 5 s, ms; 0 before the first wake-up."""
        oldest_ms = self._clock.monotonic_ms() - LAG_WINDOW_MS
        return LoopReport(max((lag for at, lag in self._lags if at >= oldest_ms), default=0.0))


class LoopWatchdog:
    """A thread that calls *on_stall* when the event loop has not turned for *limit_s*.

    It waits in slices of a tenth of the limit and counts the ones without a turn: a machine that
    was suspended, or a process that was stopped and continued, loses one slice and no more. A C
    extension that never gives up the interpreter lock stops this thread too.
    """

    def __init__(
        self,
        on_stall: Callable[[float], None],
        *,
        limit_s: float = STALL_LIMIT_S,
        pulse: threading.Event | None = None,
    ) -> None:
        """Args:
        on_stall: Called in the watchdog's thread with the seconds without a turn; again after
            each further slice while the stall lasts.

        limit_s: Seconds without a turn that are a stall.

        pulse: What the thread waits on; a test passes its own.
        """
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
        """The loop has turned; called from the loop."""
        self._pulse.set()

    def _watch(self) -> None:
        missed = 0
        while not self._ended:
            turned = self._pulse.wait(self._slice_s)
            self._pulse.clear()
            missed = 0 if turned else missed + 1
            if missed >= _SLICES and not self._ended:
                self._on_stall(missed * self._slice_s)
