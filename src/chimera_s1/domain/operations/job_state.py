"""What is known about a job: its last run and its next one. Times are epoch ms."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.schedule import (
    MINUTE_MS,
    AtTimes,
    Every,
    Schedule,
    count_times,
    longest_wait_ms,
    next_time,
)

RETRY_BASE_MS, RETRY_MAX_MS = 2_000, 600_000
"""The waits before the retries of a failed job grow from the first to the second."""

LATE_MS = MINUTE_MS
"""A run that begins this much after its time was missed; for a shorter interval, one interval."""

SENTENCE_MAX = 300


class JobOutcome(StrEnum):
    """Of the last run."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"
    """By the end of its process, or because another instance took over."""


class JobState(Struct, frozen=True, kw_only=True):
    """Of one job; its owner keeps it in the store.

    Attributes:
        version: Grows with every change; the store refuses one that is not newer.
        owner: The instance of the last run; empty before the first one.
        outcome: None before the first run.
        ended_at: 0 while it runs, and before the first run.
        sentence: What the last run reports: its result, or why it failed.
        failures: In a row.
        succeeded_at: When a run last ended with OK; 0 before.
        next_at: When the next run begins; 0 if that is not known.
        answered_request: The last request of an operator that a run has answered.
    """

    name: str
    version: int = 0
    owner: str = ""
    outcome: JobOutcome | None = None
    started_at: int = 0
    ended_at: int = 0
    sentence: str = ""
    failures: int = 0
    succeeded_at: int = 0
    next_at: int = 0
    answered_request: str = ""

    @property
    def duration_ms(self) -> int | None:
        """Of the last run, by the wall clock; None while it runs and before the first one."""
        return max(0, self.ended_at - self.started_at) if self.ended_at else None

    def begin(self, owner: str, now_ms: int, request: str = "") -> "JobState":
        """A run begins; *request* is that of an operator, if there is one."""
        return replace(
            self,
            version=self.version + 1,
            owner=owner,
            outcome=JobOutcome.RUNNING,
            started_at=now_ms,
            ended_at=0,
            sentence="",
            answered_request=request or self.answered_request,
        )

    def succeed(self, sentence: str, now_ms: int, next_at: int) -> "JobState":
        ended = self._end(JobOutcome.OK, sentence, now_ms)
        return replace(ended, failures=0, succeeded_at=now_ms, next_at=next_at)

    def fail(self, outcome: JobOutcome, sentence: str, now_ms: int, retry_ms: float) -> "JobState":
        ended = self._end(outcome, sentence, now_ms)
        return replace(ended, failures=self.failures + 1, next_at=now_ms + round(retry_ms))

    def interrupt(self, sentence: str, now_ms: int) -> "JobState":
        """The run ended without a result; it is repeated at once."""
        return replace(self._end(JobOutcome.INTERRUPTED, sentence, now_ms), next_at=now_ms)

    def due_by(self, at_ms: int) -> "JobState":
        """The next run is not later than *at_ms*."""
        return replace(self, next_at=min(self.next_at, at_ms))

    def _end(self, outcome: JobOutcome, sentence: str, now_ms: int) -> "JobState":
        text = sentence if len(sentence) <= SENTENCE_MAX else f"{sentence[: SENTENCE_MAX - 1]}…"
        return replace(
            self, version=self.version + 1, outcome=outcome, sentence=text, ended_at=now_ms
        )


def first_state(
    name: str, schedule: Schedule, now_ms: int, jitter_ms: float, *, at_start: bool
) -> JobState:
    """Before the first run; without *at_start* it waits for the first regular time."""
    regular = now_ms if at_start else next_time(schedule, now_ms)
    return JobState(name=name, next_at=regular + round(jitter_ms))


def unreadable_state(name: str, version: int) -> JobState:
    """In place of a stored state that cannot be decoded, as one of a newer version of S1: the job
    is due, and its next run replaces the state.
    """
    return JobState(name=name, version=version, sentence="the stored state cannot be read")


def adopt(state: JobState, schedule: Schedule, now_ms: int, jitter_max_ms: int) -> JobState:
    """*state* as another instance, or an earlier process, left it.

    A run that was not finished is repeated at once, and with a wait if that has happened before:
    it may be the run that ends the process. A next time that no clock in order can have set is
    moved: that of the other instance was wrong.
    """
    if state.outcome is JobOutcome.RUNNING:
        wait_ms = retry_wait_ms(schedule, state.failures) if state.failures else 0
        cause = f"{state.owner} ended during the run"
        return state.fail(JobOutcome.INTERRUPTED, cause, now_ms, wait_ms)
    return within_reach(state, schedule, now_ms, jitter_max_ms)


def within_reach(state: JobState, schedule: Schedule, now_ms: int, jitter_max_ms: int) -> JobState:
    """*state*, with its next run no later than a clock in order can have set it: a clock that steps
    back must not stop a job.
    """
    wait_ms = next_time(schedule, now_ms) - now_ms
    if state.failures:
        wait_ms = max(wait_ms, round(retry_wait_ms(schedule, state.failures)))
    return state.due_by(now_ms + wait_ms + jitter_max_ms + tolerance_ms(schedule))


def tolerance_ms(schedule: Schedule) -> int:
    """How much later than its time a run may begin before it counts as missed."""
    return min(LATE_MS, longest_wait_ms(schedule))


def missed_runs(state: JobState, schedule: Schedule, now_ms: int, jitter_max_ms: int) -> int:
    """How many regular times have passed without a run when one begins now; 0 if it is in time."""
    if not state.next_at or now_ms - state.next_at <= tolerance_ms(schedule) + jitter_max_ms:
        return 0
    if isinstance(schedule, Every):
        return count_times(schedule, state.next_at, now_ms)
    return max(1, count_times(schedule, next_time(schedule, state.next_at - 1), now_ms))


def next_regular(schedule: Schedule, state: JobState, now_ms: int, jitter_ms: float) -> int:
    """When to run again after a run that succeeded. No time of the day is served twice, also when
    the clock steps back a little.
    """
    after_ms = now_ms
    if isinstance(schedule, AtTimes) and 0 < state.next_at - now_ms <= tolerance_ms(schedule):
        after_ms = state.next_at
    return next_time(schedule, after_ms) + round(jitter_ms)


def retry_wait_ms(schedule: Schedule, failures: int) -> float:
    """The wait after the last of *failures* failures in a row. It doubles from 2 s to 10 min; that
    of a job that runs at least once a minute from its interval to a minute.
    """
    longest = longest_wait_ms(schedule)
    base = longest if longest <= MINUTE_MS else RETRY_BASE_MS
    limit = max(min(longest, RETRY_MAX_MS), MINUTE_MS)
    return Backoff(base_ms=base, max_wait_ms=limit, jitter_ms=0).wait_ms(failures - 1, 0.0)
