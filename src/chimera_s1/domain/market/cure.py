"""The pace of cures: renewing or reconnecting a connection is repeated less and less often while it
does not help.
"""

from collections.abc import Hashable

from msgspec import Struct


class CurePace(Struct, frozen=True):
    """The wait after the first attempt doubles with each further one."""

    first_ms: float
    max_ms: float


class CureBackoff:
    """Attempts at each place. The caller resets a place once it is healthy."""

    def __init__(self, pace: CurePace) -> None:
        self._pace = pace
        self._attempts: dict[Hashable, tuple[int, float]] = {}

    @property
    def has_attempts(self) -> bool:
        """False while every place is healthy."""
        return bool(self._attempts)

    def is_due(self, place: Hashable, now_ms: float) -> bool:
        """True before the first attempt, and after the wait of the last one."""
        attempt = self._attempts.get(place)
        if attempt is None:
            return True
        count, at_ms = attempt
        wait_ms = min(self._pace.first_ms * 2 ** min(count - 1, 30), self._pace.max_ms)
        return bool(now_ms - at_ms >= wait_ms)

    def record(self, place: Hashable, now_ms: float) -> None:
        """Count an attempt."""
        count, _ = self._attempts.get(place, (0, 0.0))
        self._attempts[place] = (count + 1, now_ms)

    def reset(self, place: Hashable) -> None:
        """The place is healthy: its next attempt may come at once."""
        self._attempts.pop(place, None)
