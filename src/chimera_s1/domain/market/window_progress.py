"""Which windows of a feed are over, on a wall clock that may step.

The boundary decides: a frame received at or after the end of a window belongs to the next one, at
whatever time the loop wakes up.
"""

from chimera_s1.domain.market.conflation import WindowMs, window_start

CLOCK_STEP_MS = 1_000
"""A wall clock that steps back by more than this starts the times anew; a smaller step is waited
out.
"""


class WindowProgress:
    """Attributes:
    floor_ms: Every frame that is drained from now on counts as received at or after this, epoch
        ms. The windows before it are published.
    """

    def __init__(self, window: WindowMs) -> None:
        self.floor_ms = 0
        self._window = window
        self._shift_ms: float | None = None

    def find_step(self, wall_ms: int, monotonic_ms: float) -> int:
        """How far the wall clock has stepped since the last call, ms; 0 up to `CLOCK_STEP_MS`."""
        shift_ms = wall_ms - monotonic_ms
        before_ms = shift_ms if self._shift_ms is None else self._shift_ms
        self._shift_ms = shift_ms
        step_ms = round(shift_ms - before_ms)
        if abs(step_ms) <= CLOCK_STEP_MS:
            return 0
        if step_ms < 0:
            self.floor_ms = 0
        return step_ms

    def ends(self, wall_ms: int, *, unfinished: bool = False) -> tuple[int, ...]:
        """Ends of the windows to publish now; *unfinished*: also of the one that is not over.

        Frames received before an end belong to it. None is at or before the floor: after a small
        step back, a window that is published comes again, and its frames wait for the next one.
        """
        if self._window == 0:
            return (wall_ms + 1,)
        ends = (window_start(wall_ms, self._window), *((wall_ms + 1,) if unfinished else ()))
        return tuple(end for end in ends if end > self.floor_ms)

    def close(self, end_ms: int) -> None:
        """The window that ends at *end_ms* is published."""
        floor_ms = end_ms if self._window else end_ms - 1
        self.floor_ms = max(self.floor_ms, floor_ms)

    def seed(self, last_ms: int, wall_ms: int) -> bool:
        """Continue after *last_ms*, a time that is published; False if it is too far ahead."""
        if last_ms > wall_ms + CLOCK_STEP_MS:
            return False
        self.floor_ms = max(self.floor_ms, last_ms)
        return True
