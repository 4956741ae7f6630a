"""A backfill of the funding history: what was requested, and how far it is.

Days are read from the newest to the oldest: so each adds to the span that is proven already, and a
backfill that was interrupted goes on with the next day.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.schedule import DAY_MS, SECOND_MS

DAYS_MAX: Final = 9_999

_DAYS_IN_CURSOR: Final = DAYS_MAX + 1


class Backfill(Struct, frozen=True, kw_only=True):
    """Attributes:
    requested_at: Epoch ms, whole seconds; also the end of what is read.
    days: How many days before are read.
    days_read: How many are read already.
    """

    requested_at: int
    days: int
    days_read: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.days <= DAYS_MAX:
            raise InvalidValueError(f"a backfill reads 1 to {DAYS_MAX} days, not {self.days}")
        if not 0 <= self.days_read <= self.days or self.requested_at % SECOND_MS:
            raise InvalidValueError(f"{self} is no state of a backfill")

    @property
    def start(self) -> int:
        return self.requested_at - self.days * DAY_MS

    @property
    def done_from(self) -> int:
        """Everything from there on is read, epoch ms."""
        return self.requested_at - self.days_read * DAY_MS

    @property
    def is_done(self) -> bool:
        return self.days_read == self.days

    # The next two are positions of cursors, which only grow: a later request has a larger one.

    @property
    def request_position(self) -> int:
        return self._position(self.days)

    @property
    def read_position(self) -> int:
        return self._position(self.days_read)

    def _position(self, days: int) -> int:
        return self.requested_at // SECOND_MS * _DAYS_IN_CURSOR + days


def stored_backfill(request_position: int, read_position: int) -> Backfill | None:
    """From both cursors; None before the first request."""
    if not request_position:
        return None
    requested, days = divmod(request_position, _DAYS_IN_CURSOR)
    read_request, days_read = divmod(read_position, _DAYS_IN_CURSOR)
    return Backfill(
        requested_at=requested * SECOND_MS,
        days=days,
        days_read=min(days, days_read) if read_request == requested else 0,
    )


class BackfillState(StrEnum):
    """WAITING: for the job to begin, or to try again after *problem*."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


class BackfillProgress(Struct, frozen=True, kw_only=True):
    """Attributes:
    start, end: What was requested, epoch ms.
    done_from: Everything from there to *end* is read, epoch ms: the newest days come first.
    rows, requests: Stored and sent since this instance works on it.
    problem: Why the last run did not go on; empty if it did.
    """

    days: int
    start: int
    end: int
    done_from: int
    rows: int
    requests: int
    state: BackfillState
    problem: str = ""
