"""Frames that were refused, against those that were published, over the last 5 s.

The unit is the frame that was decoded: with a window the newest one of each stream.
"""

from collections import deque

WINDOW_MS = 5_000

REFUSED_MIN = 3
"""Fewer refused frames are odd frames, not a defect."""

CONFIRM_MS = 3_000
"""How long a stream has to be refused before it is called DEGRADED. Longer than for a connection,
so that a common cause is found first.
"""

NO_DEFECT = frozenset({"stale_update_id", "coin_m", "unsubscribed"})
"""Duplicates of overlapping sockets, and messages for others: frames that show that a stream is
alive, but not that something is wrong with it.
"""


class FrameTally:
    """Counts of one stream, or of all streams of a connection.

    Attributes:
        reason: Why the newest refused frames were refused.
    """

    __slots__ = ("_entries", "_refused_in_row", "_row_since_ms", "reason")

    def __init__(self) -> None:
        self.reason = ""
        self._entries: deque[tuple[float, int, int]] = deque()
        self._refused_in_row = 0
        self._row_since_ms = 0.0

    def record(self, now_ms: float, *, published: int, refused: int, reason: str = "") -> None:
        """Add the frames of one interval, and forget those that are older than the window."""
        if published:
            self._refused_in_row = 0
        if refused:
            if not self._refused_in_row:
                self._row_since_ms = now_ms
            self._refused_in_row += refused
            self.reason = reason
        if published or refused:
            self._entries.append((now_ms, published, refused))
        while self._entries and self._entries[0][0] <= now_ms - WINDOW_MS:
            self._entries.popleft()

    @property
    def is_idle(self) -> bool:
        """True if it says nothing that a new one would not say."""
        return not self._refused_in_row and not self._refused

    @property
    def is_mostly_refused(self) -> bool:
        """True if at least half of the frames in the window were refused."""
        return 0 < self._refused >= self._published

    def is_degraded(self, now_ms: float, confirm_ms: float = CONFIRM_MS) -> bool:
        """True if half of the frames are refused, or none was published since the first of
        several refused ones.
        """
        if self._refused_in_row > 1 and now_ms - self._row_since_ms >= WINDOW_MS:
            return True
        if self._refused < REFUSED_MIN:
            return False
        nothing_published = self._refused_in_row >= REFUSED_MIN
        if nothing_published and now_ms - self._row_since_ms >= confirm_ms:
            return True
        return self.is_mostly_refused and now_ms - self._entries[0][0] >= confirm_ms

    @property
    def since_ms(self) -> float:
        """The first refused frame since the last published one, or the oldest in the window."""
        if self._refused_in_row or not self._entries:
            return self._row_since_ms
        return self._entries[0][0]

    @property
    def summary(self) -> str:
        """`110 of 115 frames in 5 s are refused (crossed)`."""
        if not self._entries:
            return f"its last frames are refused ({self.reason})"
        total = self._refused + self._published
        return f"{self._refused} of {total} frames in 5 s are refused ({self.reason})"

    @property
    def _published(self) -> int:
        return sum(published for _, published, _ in self._entries)

    @property
    def _refused(self) -> int:
        return sum(refused for _, _, refused in self._entries)
