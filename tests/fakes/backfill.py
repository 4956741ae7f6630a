"""The backfill of the funding history, without the job that does it."""

import anyio

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.funding.backfill import Backfill, BackfillProgress, BackfillState

REQUESTED_AT = 1_795_910_400_000


class RequestedBackfill:
    """Implements `Backfills`.

    Attributes:
        progress: What is shown next; a test sets it.
        later: What is shown after that, one by one; the last is shown from then on.
        asked: Set when the progress was asked for.
        unavailable: The store that has the progress does not answer.
    """

    def __init__(self) -> None:
        self.progress: BackfillProgress | None = progress_of(30)
        self.later: list[BackfillProgress] = []
        self.asked = anyio.Event()
        self.unavailable = False

    async def request_backfill(self, days: int) -> BackfillProgress:
        if self.progress is None or self.progress.days < days:
            self.progress = progress_of(days)
        return self.progress

    async def backfill_progress(self) -> BackfillProgress | None:
        if self.unavailable:
            raise StoreUnavailableError("sqlite: database is locked")
        if self.later:
            self.progress = self.later.pop(0)
        self.asked.set()
        return self.progress


def progress_of(
    days: int, days_read: int = 0, *, problem: str = "", rows: int = 0
) -> BackfillProgress:
    backfill = Backfill(requested_at=REQUESTED_AT, days=days, days_read=days_read)
    state = BackfillState.WAITING if problem else BackfillState.RUNNING
    return BackfillProgress(
        days=days,
        start=backfill.start,
        end=backfill.requested_at,
        done_from=backfill.done_from,
        rows=rows,
        requests=days_read,
        state=BackfillState.DONE if backfill.is_done else state,
        problem=problem,
    )
