"""Read the funding history that is missing, or that an operator requests, part by part.

What was requested and how much of it is read are cursors in the store; what is proven is there,
too. So after the end of the process, however it came, the next run goes on.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct, structs

from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.app.capabilities.funding.rates_read import RatesRead
from chimera_s1.app.capability import JobResult
from chimera_s1.domain.funding.backfill import (
    Backfill,
    BackfillProgress,
    BackfillState,
    stored_backfill,
)
from chimera_s1.domain.funding.reading_windows import (
    AMOUNT_DAYS,
    PART_DAYS,
    newest_window,
    older_windows,
    proven_window,
)
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.operations.health import count
from chimera_s1.domain.operations.job_state import JobOutcome
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.funding_store import FundingStore
from chimera_s1.domain.ports.job_runs import JobRuns

BACKFILL_JOB: Final = "funding.backfill"
REQUEST_CURSOR: Final = "funding.backfill.request"
READ_CURSOR: Final = "funding.backfill.read"

RUN_MS: Final = 10 * MINUTE_MS
"""A run ends after the part in which this has passed, and another one goes on: 90 days take up to
16 min within the limits of two instances, and a run is shown only once it has ended.
"""

AMOUNTS_AGAIN_MS: Final = HOUR_MS

CURRENT_MS: Final = 2 * HOUR_MS
"""A history that ends this much before now is current: the job of settlements reads on."""


class _Done(Struct):
    """Of the requested backfill, by this process."""

    rows: int = 0
    requests: int = 0


class RunBackfills:
    """Args:
    runs: Where other instances find a request to run the job.
    history_days: How much is kept complete.
    """

    def __init__(
        self,
        history: CompleteHistory,
        store: FundingStore,
        *,
        cursors: CursorStore,
        runs: JobRuns,
        exchange: ExchangeTime,
        clock: Clock,
        history_days: int,
        new_id: Callable[[], str],
    ) -> None:
        self._history = history
        self._store = store
        self._cursors = cursors
        self._runs = runs
        self._exchange = exchange
        self._clock = clock
        self._history_days = history_days
        self._new_id = new_id
        self._done = _Done()

    async def request_backfill(self, days: int) -> BackfillProgress:
        """Read the last *days*; one that is not done yet and covers them goes on instead.

        Raises:
            InvalidValueError: There is no backfill of so many days.
            ClockUncertainError, StoreUnavailableError: It is not requested.
        """
        now = self._exchange.now_ms()
        backfill = Backfill(requested_at=now - now % SECOND_MS, days=days)
        stored = await self._stored()
        if stored is None or stored.is_done or stored.start > backfill.start:
            await self._cursors.advance(REQUEST_CURSOR, backfill.request_position)
            self._done = _Done()
        await self._runs.request(BACKFILL_JOB, self._new_id())
        progress = await self.backfill_progress()
        assert progress is not None
        return progress

    async def backfill_progress(self) -> BackfillProgress | None:
        """Of the last request; None before the first.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        backfill = await self._stored()
        if backfill is None:
            return None
        job = (await self._runs.read([BACKFILL_JOB]))[BACKFILL_JOB].state
        outcome = job.outcome if job is not None else None
        state, problem = BackfillState.WAITING, ""
        if backfill.is_done:
            state = BackfillState.DONE
        elif outcome in {JobOutcome.RUNNING, JobOutcome.OK} and backfill.days_read:
            state = BackfillState.RUNNING
        elif outcome in {JobOutcome.FAILED, JobOutcome.TIMED_OUT} and job is not None:
            problem = job.sentence
        return BackfillProgress(
            days=backfill.days,
            start=backfill.start,
            end=backfill.requested_at,
            done_from=backfill.done_from,
            rows=self._done.rows,
            requests=self._done.requests,
            state=state,
            problem=problem,
        )

    async def run(self) -> JobResult:
        """Go on with what was requested, then read what is missing.

        Raises:
            ExchangeUnavailableError, ExchangeRefusedError, StoreUnavailableError: The next run
                goes on with the same part.
        """
        end_ms = self._clock.monotonic_ms() + RUN_MS
        before = self._done.requests
        newest = await self._read_newest()
        left, backfill = 0, await self._stored()
        if backfill is not None and not backfill.is_done:
            left = await self._go_on(backfill, end_ms)
        if left := left or await self._fill(end_ms):
            return JobResult(f"{count(left, 'day')} of funding history left to read", again_ms=1)
        if problem := await self._fill_amounts():
            return JobResult(f"amounts are missing: {problem}", again_ms=AMOUNTS_AGAIN_MS)
        if newest or self._done.requests > before:
            return JobResult("the funding history is read")
        return JobResult("no funding history is missing")

    async def _read_newest(self) -> bool:
        """What follows the proven history first, so that what is read later joins it."""
        now = self._exchange.now_ms()
        window = newest_window(await self._proven(), self._oldest(now), now)
        if window is None or now - window.start < CURRENT_MS:
            return False
        await self._read_rates(window)
        await self._read_amounts(window)
        return True

    async def _go_on(self, backfill: Backfill, end_ms: float) -> int:
        """Days that are left."""
        while not backfill.is_done and self._clock.monotonic_ms() < end_ms:
            days_read = min(backfill.days, backfill.days_read + PART_DAYS)
            read = structs.replace(backfill, days_read=days_read)
            await self._read_rates(Window(read.done_from, backfill.done_from))
            if read.is_done or not read.days_read % AMOUNT_DAYS:
                newest = (read.days_read - 1) // AMOUNT_DAYS * AMOUNT_DAYS
                end = backfill.requested_at - newest * DAY_MS
                await self._read_amounts(Window(read.done_from, end))
            await self._cursors.advance(READ_CURSOR, read.read_position)
            backfill = read
        return backfill.days - backfill.days_read

    async def _fill(self, end_ms: float) -> int:
        """Read what is missing of the whole history; return the days that are left."""
        now = self._exchange.now_ms()
        oldest = self._oldest(now)
        for window in older_windows(await self._proven(), oldest, now):
            if self._clock.monotonic_ms() >= end_ms:
                return -((oldest - window.end) // DAY_MS)
            await self._read_rates(window)
        return 0

    async def _fill_amounts(self) -> str:
        """Read the amounts that are missing, after their rates; return why some could not be."""
        now = self._exchange.now_ms()
        read = await self._history.missing_amounts(BACKFILL_JOB, Window(self._oldest(now), now))
        self._done.requests += read.requests
        return read.problem if read.is_cut_short else ""

    async def _read_rates(self, window: Window) -> None:
        before = structs.replace(self._done)

        def show(read: RatesRead) -> None:
            self._done.rows = before.rows + read.new + read.completed
            self._done.requests = before.requests + read.requests

        show(await self._history.rates(BACKFILL_JOB, window, show))

    async def _read_amounts(self, window: Window) -> None:
        amounts = await self._history.amounts(BACKFILL_JOB, window)
        self._done.requests += amounts.requests

    async def _proven(self) -> Window | None:
        return proven_window((await self._store.coverage()).values())

    async def _stored(self) -> Backfill | None:
        """The read cursor first: a request between both reads belongs to no older one."""
        read = await self._cursors.read(READ_CURSOR)
        return stored_backfill(await self._cursors.read(REQUEST_CURSOR), read)

    def _oldest(self, now: int) -> int:
        return now - self._history_days * DAY_MS
