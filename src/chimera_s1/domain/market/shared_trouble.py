"""What the streams of a connection have in common: LATE or DEGRADED.

It is found once and reported once, for all of them, before it is found stream by stream.
"""

from collections.abc import Sequence
from statistics import median_low

from msgspec import Struct

from chimera_s1.domain.market.frame_tally import WINDOW_MS, FrameTally
from chimera_s1.domain.market.liveness import Liveness, StreamLiveness

STREAMS_MIN = 2
LATE_CONFIRM_MS = 1_000
DEGRADED_CONFIRM_MS = 2_000


class Trouble(Struct, frozen=True):
    """Attributes:
    state: LATE or DEGRADED.

    since_ms: Monotonic.

    lag_ms: Median over the late streams; 0 where it is not about lag.
    """

    state: Liveness
    since_ms: float
    cause: str
    lag_ms: int = 0


class SharedTrouble:
    """Attributes:
    trouble: The present one; None while there is none.
    """

    __slots__ = (
        "_frames",
        "_has_reported",
        "_late_since_ms",
        "_name",
        "_reported",
        "_unreadable",
        "trouble",
    )

    def __init__(self, name: str) -> None:
        self.trouble: Trouble | None = None
        self._has_reported = False
        self._reported: Trouble | None = None
        self._name = name
        self._frames = FrameTally()
        self._unreadable = FrameTally()
        self._late_since_ms: float | None = None

    def record_frames(self, now_ms: float, *, published: int, refused: int, reason: str) -> None:
        """Frames of all streams since the last call."""
        self._frames.record(now_ms, published=published, refused=refused, reason=reason)
        self._unreadable.record(now_ms, published=published, refused=0)

    def record_unreadable(self, now_ms: float, count: int, reason: str) -> None:
        """Messages of the connection that belong to no stream."""
        self._unreadable.record(now_ms, published=0, refused=count, reason=reason)

    def evaluate(self, streams: Sequence[StreamLiveness], now_ms: float) -> bool:
        """Find the trouble; True if there is something to report.

        That there is none is reported at first, too: a predecessor that was killed may have
        reported one that nothing else would end.
        """
        active = [each for each in streams if now_ms - each.last_frame_ms <= WINDOW_MS]
        found = self._find_degraded(active, now_ms) or self._find_late(active, now_ms)
        if found is None and not active:
            return False  # nothing arrives, so nothing shows that it is over
        self.trouble = found
        if self._has_reported and _says_the_same(found, self._reported):
            return False
        self._has_reported, self._reported = True, found
        return True

    def _find_degraded(self, active: Sequence[StreamLiveness], now_ms: float) -> Trouble | None:
        if self._unreadable.is_degraded(now_ms, DEGRADED_CONFIRM_MS):
            return self._degraded(self._unreadable)
        hit = sum(each.frames is not None and each.frames.is_mostly_refused for each in active)
        if hit < max(STREAMS_MIN, len(active) / 2):
            return None
        if not self._frames.is_degraded(now_ms, DEGRADED_CONFIRM_MS):
            return None
        return self._degraded(self._frames)

    def _degraded(self, frames: FrameTally) -> Trouble:
        return Trouble(Liveness.DEGRADED, frames.since_ms, f"{self._name}: {frames.summary}")

    def _find_late(self, active: Sequence[StreamLiveness], now_ms: float) -> Trouble | None:
        known = [each.lateness for each in active if each.lateness.lag_ms is not None]
        lags = [each.lag_ms for each in known if each.is_lagging and each.lag_ms is not None]
        if len(lags) < max(STREAMS_MIN, len(known) / 2):
            self._late_since_ms = None
            return None
        if self._late_since_ms is None:
            self._late_since_ms = now_ms
        if now_ms - self._late_since_ms < LATE_CONFIRM_MS:
            return None
        lag_ms = median_low(lags)
        cause = f"{self._name}: quotes arrive {lag_ms / 1000:.1f} s after their event"
        return Trouble(Liveness.LATE, self._late_since_ms, cause, lag_ms)


def _says_the_same(found: Trouble | None, reported: Trouble | None) -> bool:
    """A lag that has doubled, or halved, is worth another entry."""
    if found is None or reported is None:
        return found is reported
    same_lag = found.lag_ms <= 2 * reported.lag_ms and reported.lag_ms <= 2 * found.lag_ms
    return found.state is reported.state and same_lag
