"""Run one job at its times; its runs never overlap."""

import logging
from collections import Counter
from collections.abc import Callable

import anyio

from chimera_s1.app.capability import Job, JobResult
from chimera_s1.domain.errors import ChimeraError, StoreUnavailableError
from chimera_s1.domain.operations.job_state import (
    JobOutcome,
    JobState,
    adopt,
    first_state,
    missed_runs,
    next_regular,
    retry_wait_ms,
    within_reach,
)
from chimera_s1.domain.operations.schedule import describe_duration
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.job_runs import JobRuns
from chimera_s1.domain.ports.operations_log import EventDetail

LOOK_INTERVAL_MS = 5_000
"""How soon a step of the wall clock is noticed."""

STORE_RETRY_MS = 1_000

_log = logging.getLogger(__name__)


class RunJob:
    """Args:
    runs: Where its state is kept.
    owner: This instance.
    draw: Uniform in [0, 1), for the jitter.
    record: Records an operational event.
    """

    def __init__(
        self,
        job: Job,
        runs: JobRuns,
        *,
        clock: Clock,
        owner: str,
        draw: Callable[[], float],
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self.job = job
        self._runs = runs
        self._clock = clock
        self._owner = owner
        self._draw = draw
        self._record = record
        self._opened_at = clock.now_ms()
        self._request = ""
        self._wake_version = job.wake.version
        """Of the last wake-up that a run here has answered."""
        self._stopping = False
        self._running: anyio.Event | None = None
        self.state = self._first_state()
        self.ended: Counter[JobOutcome] = Counter()
        """Runs of this process, by outcome."""
        self.duration_ms: float | None = None
        """Of the last run here that ended."""

    @property
    def is_running(self) -> bool:
        """Here, in this process; until its end is stored."""
        return self._running is not None

    def show(self, stored: JobState | None) -> None:
        """Another instance runs the job; *stored* is what it has written."""
        if stored is not None and stored.version >= self.state.version:
            self.state = stored

    def take_over(self, stored: JobState | None) -> None:
        """Run the job here from now on; *stored* is what is known of it."""
        if stored is None or self.state.version > stored.version:
            return  # nothing is known, or less than here: the store was away when a run ended
        now_ms = self._clock.now_ms()
        self.state = adopt(stored, self.job.schedule, now_ms, self.job.jitter_ms)
        if stored.outcome is JobOutcome.RUNNING:
            self._report("job.interrupted", self.state.sentence)
        if self.job.at_start and stored.started_at < self._opened_at:
            self.state = self.state.due_by(now_ms + round(self._jitter_ms()))

    def request(self, request: str) -> None:
        """Run it now; the same *request* is answered once."""
        if request != self.state.answered_request:
            self._request = request
            self.job.wake.notify()

    def stop(self) -> None:
        """Begin no further run."""
        self._stopping = True

    async def wait_until_idle(self) -> None:
        if self._running is not None:
            await self._running.wait()

    async def repeat(self) -> None:
        """Run it whenever it is due or woken, until cancelled.

        A wake-up from before counts: the instance that ran the job then may not have answered it.
        """
        if self.state.version:
            await self._store(self.state)
        while not self._stopping:
            now_ms = self._clock.now_ms()
            jitter_ms, schedule = self.job.jitter_ms, self.job.schedule
            self.state = within_reach(self.state, schedule, now_ms, jitter_ms)
            wait_ms = self.state.next_at - now_ms
            version = self._wake_version
            woken = self.job.wake.version > version or bool(self._request)
            if wait_ms > 0 and not woken:
                await self.job.wake.wait_after(
                    self._clock, min(wait_ms, LOOK_INTERVAL_MS), version=version
                )
                continue
            if not await self._run(woken=woken):
                await self._clock.sleep_ms(STORE_RETRY_MS)
        await anyio.sleep_forever()

    async def store_end(self) -> None:
        """Store how an interrupted run ended, if the store answers."""
        if self.state.outcome is JobOutcome.INTERRUPTED:
            await self._store(self.state)

    async def _run(self, *, woken: bool) -> bool:
        """Run it once; False if the store does not take that it begins."""
        now_ms = self._clock.now_ms()
        missed = missed_runs(self.state, self.job.schedule, now_ms, self.job.jitter_ms)
        begun = self.state.begin(self._owner, now_ms, self._request)
        if not await self._store(begun):
            return False
        if missed and not woken:
            self._report_missed(missed)
        self._request, self._wake_version = "", self.job.wake.version
        self.state, failures = begun, self.state.failures
        self._running = anyio.Event()
        try:
            self.state = await self._ended()
            if failures and not self.state.failures:
                self._report("job.recovered", self.state.sentence)
            while not await self._store(self.state):
                await self._clock.sleep_ms(STORE_RETRY_MS)
        finally:
            self._running.set()
            self._running = None
        return True

    async def _ended(self) -> JobState:
        """The state after a run."""
        started_ms = self._clock.monotonic_ms()
        result: str | JobResult = ""
        failure: tuple[JobOutcome, str] | None = None
        try:
            with anyio.move_on_after(self.job.limit_ms / 1000) as limit:
                result = await self.job.run()
            if limit.cancelled_caught:
                limit_text = describe_duration(self.job.limit_ms)
                failure = JobOutcome.TIMED_OUT, f"ended after its time limit, {limit_text}"
        except ChimeraError as error:
            failure = JobOutcome.FAILED, str(error)
        except Exception as error:  # noqa: BLE001 (it must not end other jobs, nor the process)
            _log.exception("job %s failed", self.job.name)
            failure = JobOutcome.FAILED, f"{type(error).__name__}: {error}"
        except anyio.get_cancelled_exc_class():
            self.ended[JobOutcome.INTERRUPTED] += 1
            self.state = self.state.interrupt("ended with its instance", self._clock.now_ms())
            raise
        self.duration_ms = self._clock.monotonic_ms() - started_ms
        return self._succeeded(result) if failure is None else self._failed(*failure)

    def _succeeded(self, result: str | JobResult) -> JobState:
        self.ended[JobOutcome.OK] += 1
        now_ms, schedule = self._clock.now_ms(), self.job.schedule
        done = JobResult(result) if isinstance(result, str) else result
        next_at = next_regular(schedule, self.state, now_ms, self._jitter_ms())
        if done.again_ms is not None:
            next_at = min(next_at, now_ms + round(done.again_ms))
        return self.state.succeed(done.sentence, now_ms, next_at)

    def _failed(self, outcome: JobOutcome, sentence: str) -> JobState:
        self.ended[outcome] += 1
        wait_ms = retry_wait_ms(self.job.schedule, self.state.failures + 1)
        wait_ms += self._jitter_ms()
        failed = self.state.fail(outcome, sentence, self._clock.now_ms(), wait_ms)
        _log.warning(
            "job %s %s (%d in a row): %s; retrying in %s",
            self.job.name,
            outcome.value,
            failed.failures,
            failed.sentence,
            describe_duration(wait_ms),
        )
        self._report("job.failed", failed.sentence, failures=failed.failures)
        return failed

    async def _store(self, state: JobState) -> bool:
        """False if the store does not answer.

        If another instance has written meanwhile, this one has lost its lease and is about to end
        the run: its state is dropped.
        """
        try:
            if not await self._runs.write(state):
                _log.warning("job %s: another instance runs it; this run is dropped", state.name)
                self.show((await self._runs.read([state.name]))[state.name].state)
                return state.outcome is not JobOutcome.RUNNING
        except StoreUnavailableError:
            return False
        return True

    def _report_missed(self, missed: int) -> None:
        due_at = self.state.next_at
        _log.warning("job %s missed %d runs; one is done now for all", self.job.name, missed)
        self._record("job.missed", {"job": self.job.name, "runs": missed, "due_at": due_at})

    def _report(self, kind: str, text: str, **more: int) -> None:
        self._record(kind, {"job": self.job.name, "instance": self._owner, "text": text, **more})

    def _first_state(self) -> JobState:
        return first_state(
            self.job.name,
            self.job.schedule,
            self._clock.now_ms(),
            self._jitter_ms(),
            at_start=self.job.at_start,
        )

    def _jitter_ms(self) -> float:
        return self._draw() * self.job.jitter_ms
