"""What a capability contributes to the service.

Its `wiring.py` returns one. Container, runtime, health, metrics and web loop over capabilities and
name none of their parts.
"""

import re
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.supervisor import Worker
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.job_state import JobState
from chimera_s1.domain.operations.metrics import MetricSource
from chimera_s1.domain.operations.schedule import SECOND_MS, Schedule, longest_wait_ms
from chimera_s1.domain.ports.clock import Clock

JOB_NAME = r"[a-z0-9][a-z0-9.-]{0,63}"


class JobResult(Struct, frozen=True):
    """Attributes:
    sentence: What the run has done, for the operator.
    again_ms: Run again after this time, and not at the next regular time.
    """

    sentence: str
    again_ms: float | None = None


class Job(Struct, frozen=True, kw_only=True):
    """Work that is done at regular times, by `RunJobs`; `/health` shows its last run.

    Attributes:
        name: Unique; of a-z, 0-9, dots and hyphens: `instruments.sync`.
        run: Does it once; returns what it has done, in one sentence. An error is shown, and the run
            repeated after a growing wait. It must be safe to repeat: a run may be interrupted.
        each_instance: Every instance runs it, and keeps its state in memory. Otherwise one instance
            of all that share the store runs it, and its state is in the store.
        at_start: Also run when the service starts.
        jitter_ms: A run begins up to this much later than its time, so that many instances do not
            ask the exchange at the same moment.
        limit_ms: A run that takes longer is ended, and has failed.
        wake: Notified to have it run now.
    """

    name: str
    schedule: Schedule
    run: Callable[[], Awaitable[str | JobResult]]
    each_instance: bool = False
    at_start: bool = False
    jitter_ms: int = 1_000
    limit_ms: int = 300_000
    wake: ChangeSignal = field(default_factory=ChangeSignal)

    def __post_init__(self) -> None:
        assert re.fullmatch(JOB_NAME, self.name), self.name
        if longest_wait_ms(self.schedule) < SECOND_MS:
            raise InvalidValueError(f"{self.name} runs more than once a second: use a worker")


class SelfPacedJob(Struct, frozen=True, kw_only=True):
    """Work of a worker of each instance that decides itself when to run next; `/health` shows it
    among the jobs.

    Attributes:
        schedule: While nothing is wrong.
        wake: Asks the worker to run it now.
    """

    name: str
    schedule: Schedule
    state: Callable[[], JobState]
    wake: Callable[[], None]


def repeating(name: str, run: Callable[[], Awaitable[float]], clock: Clock) -> Worker:
    """A worker that repeats *run*, which returns the wait until the next time, ms."""

    async def repeat() -> None:
        while True:
            await clock.sleep_ms(await run())

    return Worker(name, repeat)


class PendingWrites(Struct, frozen=True):
    """What waits for a store and is written at shutdown, if the store takes it.

    Attributes:
        name: For the log: `quotes`.
        count: How many wait now.
    """

    name: str
    flush: Callable[[], Awaitable[None]]
    count: Callable[[], int]


class Capability(Struct, frozen=True, kw_only=True):
    """Everything that one capability adds to the process; settings are a class of their own.

    Attributes:
        health: In the order of `/health`.
        jobs: Run by `RunJobs`.
        pending_writes: Flushed in this order.
    """

    name: str
    workers: tuple[Worker, ...] = ()
    jobs: tuple[Job, ...] = ()
    self_paced_jobs: tuple[SelfPacedJob, ...] = ()
    health: tuple[HealthSource, ...] = ()
    metrics: tuple[MetricSource, ...] = ()
    histograms: tuple[LatencyHistogram, ...] = ()
    web: WebPart = WebPart()
    pending_writes: tuple[PendingWrites, ...] = ()
