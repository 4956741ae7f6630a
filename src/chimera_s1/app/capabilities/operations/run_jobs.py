"""Run the jobs of all capabilities.

A job of one instance is run by the holder of the lease `jobs` and has its state in the store, so
that a missed run is done after a restart or a take-over, and every instance shows the same. A job
of each instance needs no store.
"""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex

import anyio
from msgspec import Struct, structs

from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.run_job import RunJob
from chimera_s1.app.capability import Capability, Job, SelfPacedJob
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ChimeraError, StoreUnavailableError
from chimera_s1.domain.operations.job_state import JobOutcome, JobState
from chimera_s1.domain.operations.jobs_report import FailingJob, JobsReport
from chimera_s1.domain.operations.schedule import Schedule
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.job_runs import JobRuns, StoredJob
from chimera_s1.domain.ports.operations_log import EventDetail

LEASE_MS = 3_000
"""How long after the end of its owner another instance runs the jobs."""

STOP_WAIT_S = 5.0
"""How long a running job may take to end by itself when the service stops."""

HAND_OVER_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class UnknownJobError(ChimeraError):
    """No job has this name."""

    code = "job.unknown"


class JobRunningError(ChimeraError):
    """The job is running; its runs never overlap."""

    code = "job.running"


class JobElsewhereError(ChimeraError):
    """Another instance runs the job, and cannot be asked through the store."""

    code = "job.elsewhere"


class ListedJob(Struct, frozen=True):
    """A job and its state, for people.

    Attributes:
        waiting: Why it cannot run now; empty if it can.
    """

    name: str
    schedule: Schedule
    state: JobState
    each_instance: bool = True
    waiting: str = ""


class RunJobs:
    """Args:
    lease: Decides which instance runs the jobs of one instance.
    runs: Where these have their states.
    local_runs: Where the jobs of each instance have theirs.
    may_own: Whether this instance may run the jobs of one instance. Instances whose stores are
        not the same cannot agree; of the shards on SQLite the first one runs them.
    instance: Names this instance.
    """

    def __init__(
        self,
        capabilities: Sequence[Capability],
        lease: JobLease,
        runs: JobRuns,
        local_runs: JobRuns,
        *,
        may_own: bool,
        instance: str,
        clock: Clock,
        record: Callable[[str, EventDetail], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        jobs = [job for each in capabilities for job in each.jobs]
        self._self_paced = {job.name: job for each in capabilities for job in each.self_paced_jobs}
        names = [*(job.name for job in jobs), *self._self_paced]
        assert len({*names}) == len(names), f"jobs share a name: {sorted(names)}"
        self._lease = lease
        self._runs = runs
        self._may_own = may_own
        self._instance = instance
        self._clock = clock
        self._stopping = anyio.Event()
        self._store_problems: dict[str, str] = {}
        self._jobs = {
            job.name: RunJob(
                job,
                local_runs if job.each_instance else runs,
                clock=clock,
                owner=instance,
                draw=draw,
                record=record,
            )
            for job in jobs
        }
        self._owned = [each for each in self._jobs.values() if not each.job.each_instance]
        self.is_owner = False
        """Whether this instance runs the jobs of one instance now."""

    def listed(self) -> list[ListedJob]:
        """In the order of their capabilities."""
        return [
            *map(self._listed_self_paced, self._self_paced.values()),
            *map(self._listed, self._jobs.values()),
        ]

    def runners(self) -> Sequence[RunJob]:
        return tuple(self._jobs.values())

    def report(self) -> JobsReport:
        """Self-paced jobs have components of their own."""
        states = [each.state for each in self._jobs.values()]
        waiting = [each.job.name for each in self._owned if self._why_waiting(each.job)]
        return JobsReport(
            jobs=len(states),
            failing=tuple(
                FailingJob(each.name, each.failures, each.sentence)
                for each in states
                if each.failures
            ),
            waiting=tuple(waiting) if self._may_own else (),
            store_problem=self._store_problem(),
        )

    async def request(self, name: str) -> ListedJob:
        """Have the job *name* run now, by the instance that runs it.

        Raises:
            UnknownJobError: The text names the jobs that exist.
            JobRunningError: It is running.
            StoreUnavailableError: The request cannot reach the instance that runs it.
        """
        if name in self._self_paced:
            self._self_paced[name].wake()
            return self._listed_self_paced(self._self_paced[name])
        found = self._jobs.get(name)
        if found is None:
            names = ", ".join((*self._self_paced, *self._jobs))
            raise UnknownJobError(f"no job is called {name[:64]!r}; the jobs are {names}")
        if not found.job.each_instance and not self._may_own:
            raise JobElsewhereError(f"the instance of shard 0 runs {name}; ask that instance")
        if found.is_running or (
            found.state.outcome is JobOutcome.RUNNING and not self._store_problem()
        ):
            since = format_utc(found.state.started_at)
            raise JobRunningError(
                f"{name} is running on {found.state.owner} since {since}; wait for it"
            )
        request = token_hex(8)
        if not found.job.each_instance:
            await self._runs.request(name, request)
        if found.job.each_instance or self.is_owner:
            found.request(request)
        return self._listed(found)

    def stop(self) -> None:
        """Begin no further run; running ones may end within `STOP_WAIT_S`."""
        self._stopping.set()
        for each in self._jobs.values():
            each.stop()

    async def run(self) -> None:
        """Run the jobs until `stop`."""
        async with anyio.create_task_group() as tasks:
            for each in self._jobs.values():
                if each.job.each_instance:
                    tasks.start_soon(each.repeat, name=f"job {each.job.name}")
            if self._owned and self._may_own:
                tasks.start_soon(self._own)
            await self._stopping.wait()
            with anyio.move_on_after(STOP_WAIT_S):
                for each in self._jobs.values():
                    await each.wait_until_idle()
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(HAND_OVER_TIMEOUT_S, shield=True):
            await self._hand_over()

    async def _own(self) -> None:
        """Run the jobs of one instance whenever this one holds the lease."""
        while True:
            stored = await self._read()
            if stored is not None and await self._hold():
                await self._run_owned()
            await self._clock.sleep_ms(self._lease.renew_interval_ms)

    async def _run_owned(self) -> None:
        """Until the lease is lost: then another instance may run them."""
        stored = await self._read()
        if stored is None:
            return
        for each in self._owned:
            each.take_over(stored[each.job.name].state)
        self.is_owner = True
        try:
            async with anyio.create_task_group() as tasks:
                for each in self._owned:
                    tasks.start_soon(each.repeat, name=f"job {each.job.name}")
                tasks.start_soon(self._end_with_lease, tasks.cancel_scope)
                await self._renew_until_lost()
                tasks.cancel_scope.cancel()
        finally:
            self.is_owner = False

    async def _renew_until_lost(self) -> None:
        while self._lease.left_ms() > 0:
            await self._clock.sleep_ms(self._lease.renew_interval_ms)
            if await self._hold():
                await self._read()

    async def _end_with_lease(self, scope: anyio.CancelScope) -> None:
        """A call to the store may take longer than the lease lasts; the jobs end in time."""
        while (left_ms := self._lease.left_ms()) > 0:
            await self._clock.sleep_ms(left_ms)
        _log.warning("the lease of the jobs was not renewed in time; another instance runs them")
        scope.cancel()

    async def _hold(self) -> bool:
        """Whether this instance holds the lease."""
        try:
            held = await self._lease.acquire_or_renew()
        except StoreUnavailableError as error:
            self._note("lease", str(error))
            return False
        self._note("lease", "")
        return held

    async def _read(self) -> Mapping[str, StoredJob] | None:
        """What is stored; None if the store does not answer. A standby shows it, the owner answers
        the requests.
        """
        try:
            stored = await self._runs.read([each.job.name for each in self._owned])
        except StoreUnavailableError as error:
            self._note("states", str(error))
            return None
        self._note("states", "")
        for each in self._owned:
            found = stored[each.job.name]
            if not self.is_owner:
                each.show(found.state)
            elif found.request:
                each.request(found.request)
        return stored

    async def _hand_over(self) -> None:
        """Store how interrupted runs ended, and free the lease for another instance."""
        for each in self._owned:
            await each.store_end()
        await self._lease.release()

    def _listed(self, each: RunJob) -> ListedJob:
        job = each.job
        waiting = self._why_waiting(job)
        return ListedJob(job.name, job.schedule, each.state, job.each_instance, waiting)

    def _listed_self_paced(self, job: SelfPacedJob) -> ListedJob:
        state = structs.replace(job.state(), owner=self._instance)
        return ListedJob(job.name, job.schedule, state)

    def _why_waiting(self, job: Job) -> str:
        if job.each_instance or self.is_owner:
            return ""
        if not self._may_own:
            return "the instance of shard 0 runs it"
        if problem := self._store_problem():
            return f"waiting for the store: {problem}"
        return ""

    def _store_problem(self) -> str:
        """The first one; empty while the store answers."""
        return next(filter(None, self._store_problems.values()), "")

    def _note(self, what: str, problem: str) -> None:
        """*problem* of reading or writing *what*: on a full disk, one works without the other."""
        before = self._store_problem()
        self._store_problems[what] = problem
        now = self._store_problem()
        if now and not before:
            _log.warning("jobs of one instance wait for the store: %s", now)
        elif before and not now:
            _log.info("the store answers again; jobs of one instance go on")
