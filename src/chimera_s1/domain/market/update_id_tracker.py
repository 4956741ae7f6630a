"""Detect duplicate and outdated book updates by their update id."""

from enum import Enum, auto

RESTART_AFTER_MS = 5_000
"""Update ids that stay below the newest one for this long mean that the venue restarted its count.
After a reconnect to a lagging server they catch up within a second or two.
"""


class UpdateRecency(Enum):
    NEWER = auto()
    NOT_NEWER = auto()
    RESTARTED = auto()


class UpdateIdTracker:
    """The newest update id of one stream."""

    __slots__ = ("_behind_since_ms", "newest_id")

    def __init__(self) -> None:
        self.newest_id = -1
        self._behind_since_ms: int | None = None

    def step_clock(self, step_ms: int) -> None:
        """The clock of the receive times has stepped by *step_ms*."""
        if self._behind_since_ms is not None:
            self._behind_since_ms += step_ms

    def observe(self, update_id: int, received_ms: int) -> UpdateRecency:
        """Classify an update and remember its id; *update_id* is 0 or more."""
        if update_id > self.newest_id:
            self.newest_id = update_id
            self._behind_since_ms = None
            return UpdateRecency.NEWER
        if update_id == self.newest_id or self._behind_since_ms is None:
            # The same id again is a calm market after a reconnect, not a restarted count.
            self._behind_since_ms = received_ms if update_id < self.newest_id else None
            return UpdateRecency.NOT_NEWER
        if received_ms - self._behind_since_ms < RESTART_AFTER_MS:
            return UpdateRecency.NOT_NEWER
        self.newest_id = update_id
        self._behind_since_ms = None
        return UpdateRecency.RESTARTED
