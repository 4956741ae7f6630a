"""Order: which book update of a stream is news."""

from enum import Enum, auto

RESTART_AFTER_MS = 5_000
"""How long ids must stay below the newest one before they are taken as a new count. A reconnect to
a lagging server catches up within a second or two; a venue that began to count anew never does.
"""


class UpdateRecency(Enum):
    """What an update id says about its update."""

    NEWER = auto()
    NOT_NEWER = auto()
    RESTARTED = auto()


class UpdateIdTracker:
    """The newest update id of one stream; tells duplicates and old updates from news."""

    __slots__ = ("_behind_since_ms", "newest_id")

    def __init__(self) -> None:
        self.newest_id = -1
        self._behind_since_ms: int | None = None

    def observe(self, update_id: int, received_ms: int) -> UpdateRecency:
        """Judge an update and remember it.

        Args:
            update_id: The venue's order book update id, 0 or more.

            received_ms: When it was received, epoch ms.
        """
        if update_id > self.newest_id:
            self.newest_id = update_id
            self._behind_since_ms = None
            return UpdateRecency.NEWER
        if update_id == self.newest_id or self._behind_since_ms is None:
            # The same id again is a calm market after a reconnect, not a count begun anew.
            self._behind_since_ms = received_ms if update_id < self.newest_id else None
            return UpdateRecency.NOT_NEWER
        if received_ms - self._behind_since_ms < RESTART_AFTER_MS:
            return UpdateRecency.NOT_NEWER
        self.newest_id = update_id
        self._behind_since_ms = None
        return UpdateRecency.RESTARTED
