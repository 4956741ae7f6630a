"""A process that runs jobs with a store that others share, for a test that kills it.

    python -m tests.contract.job_instance NAME URL...

It prints `begin` when it begins to run the job, which ends with a line on standard input, and
`sees OUTCOME OWNER` for each change of the job's state that it reads from the store. SIGTERM ends
it in order, without the usual wait for a running job.
"""

import signal
import sys
from collections.abc import Mapping, Sequence

import anyio
from anyio import to_thread

from chimera_s1.adapters.memory.job_runs import MemoryJobRuns
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.operations import run_jobs
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.run_jobs import LEASE_MS, RunJobs
from chimera_s1.app.capability import Capability, Job
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.stores import open_stores
from chimera_s1.domain.operations.job_state import JobState
from chimera_s1.domain.operations.schedule import HOUR_MS, Every
from chimera_s1.domain.ports.job_runs import JobRuns, StoredJob


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class ReportedJobRuns:
    """Implements `JobRuns` over another one."""

    def __init__(self, runs: JobRuns) -> None:
        self._runs = runs
        self._seen = ""

    async def read(self, names: Sequence[str]) -> Mapping[str, StoredJob]:
        found = await self._runs.read(names)
        for stored in found.values():
            if stored.state is not None and stored.state.outcome is not None:
                seen = f"sees {stored.state.outcome.value} {stored.state.owner}"
                if seen != self._seen:
                    say(seen)
                self._seen = seen
        return found

    async def write(self, state: JobState) -> bool:
        return await self._runs.write(state)

    async def request(self, name: str, request: str) -> None:
        await self._runs.request(name, request)


async def run_until_line() -> str:
    say("begin")
    await to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return "done"


async def main(name: str, urls: Sequence[str]) -> None:
    clock = SystemClock()
    settings = load_settings({"S1_DB_ARANGO_URI": ",".join(urls), "S1_DB_ARANGO_USER": "root"})
    job = Job(name="work", schedule=Every(HOUR_MS), run=run_until_line, at_start=True)
    async with open_stores(settings, clock) as stores:
        jobs = RunJobs(
            [Capability(name="tested", jobs=(job,))],
            JobLease("jobs", stores.leases, name, clock, duration_ms=LEASE_MS),
            ReportedJobRuns(stores.job_runs),
            MemoryJobRuns(),
            may_own=True,
            instance=name,
            clock=clock,
            record=lambda kind, _: say(kind),
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_at_signal, jobs)
            await jobs.run()
            tasks.cancel_scope.cancel()


async def stop_at_signal(jobs: RunJobs) -> None:
    """As the runtime does."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            jobs.stop()


if __name__ == "__main__":
    run_jobs.STOP_WAIT_S = 0.1
    anyio.run(main, sys.argv[1], sys.argv[2:])
