"""Jobs run at their times, on one instance of all that share a store or on each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import pytest

from chimera_s1.adapters.memory.job_runs import MemoryJobRuns
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.metrics import jobs_source
from chimera_s1.app.capabilities.operations.run_jobs import (
    LEASE_MS,
    STOP_WAIT_S,
    JobElsewhereError,
    JobRunningError,
    RunJobs,
    UnknownJobError,
)
from chimera_s1.app.capability import Capability, Job, JobResult
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ExchangeUnavailableError,
    InvalidValueError,
    StoreUnavailableError,
)
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.job_state import JobOutcome, JobState
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS, MINUTE_MS, Every, daily
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.job_runs import FaultyJobRuns
from tests.fakes.ledger_stores import FaultyLeaseStore
from tests.virtual_time import LoopClock, on_virtual_time

SECOND_MS = 1_000
LONG_MS = 3 * MINUTE_MS


class Work:
    """What a job does; counts and times its runs.

    Attributes:
        script: What the next runs do, in order; the others take no time.
        overlaps: Runs that began before another had ended, on whichever instance.
    """

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.runs: list[tuple[str, int]] = []
        self.script: list[Callable[[], Awaitable[object]]] = []
        self.again_ms: float | None = None
        self.active = 0
        self.overlaps = 0

    async def run(self, instance: str) -> str | JobResult:
        self.runs.append((instance, self._clock.now_ms()))
        self.overlaps += self.active > 0
        self.active += 1
        try:
            if self.script:
                await self.script.pop(0)()
        finally:
            self.active -= 1
        return JobResult("done soon", self.again_ms) if self.again_ms else f"run {len(self.runs)}"

    def owners(self) -> list[str]:
        return [instance for instance, _ in self.runs]


class Rig:
    """Instances that share a store."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.work = Work(self.clock)
        self.runs = FaultyJobRuns()
        self.leases = FaultyLeaseStore(self.clock)
        self.events: list[tuple[str, EventDetail]] = []
        self.jobs: dict[str, RunJobs] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}

    def instance(self, name: str, *, may_own: bool = True, **options: object) -> RunJobs:
        async def run() -> str | JobResult:
            return await self.work.run(name)

        described: dict[str, object] = {"schedule": Every(10 * SECOND_MS), "jitter_ms": 0}
        job = Job(name="sync", run=run, **{**described, **options})  # type: ignore[arg-type]
        self.jobs[name] = RunJobs(
            [Capability(name="tested", jobs=(job,))],
            JobLease("jobs", self.leases, name, self.clock, duration_ms=LEASE_MS),
            self.runs,
            MemoryJobRuns(),
            may_own=may_own,
            instance=name,
            clock=self.clock,
            record=lambda kind, detail: self.events.append((kind, detail)),
            draw=lambda: 0.0,
        )
        return self.jobs[name]

    @asynccontextmanager
    async def running(self, *names: str, **options: object) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            for name in names:
                self.start(name, tasks, **options)
            yield
            tasks.cancel_scope.cancel()

    def start(self, name: str, tasks: anyio.abc.TaskGroup, **options: object) -> None:
        jobs = self.instance(name, **options)  # type: ignore[arg-type]
        scope = self._scopes[name] = anyio.CancelScope()

        async def live() -> None:
            with scope:
                await jobs.run()

        tasks.start_soon(live)

    def kill(self, name: str) -> None:
        """As kill -9 does: nothing is handed over."""
        self._scopes[name].cancel()

    def set_store(self, *, unavailable: bool) -> None:
        self.runs.unavailable = self.leases.unavailable = unavailable

    def state(self, instance: str) -> JobState:
        [listed] = self.jobs[instance].listed()
        return listed.state

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


@on_virtual_time
async def test_a_job_runs_at_its_interval_on_one_of_three_instances() -> None:
    rig = Rig()
    async with rig.running("a", "b", "c"):
        await rig.clock.sleep_ms(MINUTE_MS)

        assert rig.work.overlaps == 0
        assert len(rig.work.runs) == 5
        assert len({*rig.work.owners()}) == 1
        begins = [at for _, at in rig.work.runs]
        assert {b - a for a, b in pairwise(begins)} == {10 * SECOND_MS}


@on_virtual_time
async def test_every_instance_shows_the_same_of_a_job_of_one_instance() -> None:
    rig = Rig()
    async with rig.running("a", "b"):
        await rig.clock.sleep_ms(12 * SECOND_MS)

        assert rig.state("a") == rig.state("b")
        assert (rig.state("a").sentence, rig.state("a").outcome) == ("run 1", JobOutcome.OK)


@on_virtual_time
async def test_a_job_of_each_instance_runs_on_each_also_without_the_store() -> None:
    rig = Rig()
    rig.set_store(unavailable=True)
    async with rig.running("a", "b", each_instance=True, at_start=True):
        await rig.clock.sleep_ms(25 * SECOND_MS)

        assert sorted(rig.work.owners()) == ["a"] * 3 + ["b"] * 3
        assert rig.jobs["a"].report().level is Level.GREEN


@on_virtual_time
async def test_a_job_at_fixed_times_runs_once_for_each() -> None:
    rig = Rig()
    schedule = daily("00:10", "12:00")
    async with rig.running("a", schedule=schedule, each_instance=True):
        await rig.clock.sleep_ms(DAY_MS)

        times = [at % DAY_MS for _, at in rig.work.runs]
        assert len(times) == 2
        assert {*times} == {10 * MINUTE_MS, 12 * HOUR_MS}


@on_virtual_time
async def test_a_job_at_the_start_runs_at_once_and_not_again_on_a_standby() -> None:
    rig = Rig()
    async with rig.running("a", "b", at_start=True, schedule=Every(LONG_MS)):
        await rig.clock.sleep_ms(5 * SECOND_MS)
        assert len(rig.work.runs) == 1
        [owner] = rig.work.owners()

        rig.kill(owner)
        await rig.clock.sleep_ms(MINUTE_MS)

        assert len(rig.work.runs) == 1


@on_virtual_time
async def test_another_instance_repeats_the_run_of_an_owner_that_was_killed() -> None:
    rig = Rig()
    rig.work.script = [anyio.sleep_forever]
    async with rig.running("a", "b", "c", schedule=Every(LONG_MS)):
        await rig.clock.sleep_ms(LONG_MS + 5 * SECOND_MS)
        [owner] = rig.work.owners()
        rig.kill(owner)
        killed_ms = rig.clock.now_ms()
        await rig.clock.sleep_ms(MINUTE_MS)

        assert rig.work.overlaps == 0
        [_, (successor, began_ms)] = rig.work.runs
        assert successor != owner
        assert began_ms - killed_ms <= LEASE_MS + 2 * SECOND_MS
        assert ("job.interrupted", f"{owner} ended during the run") in [
            (kind, detail["text"]) for kind, detail in rig.events
        ]
        assert rig.state(successor).outcome is JobOutcome.OK


@on_virtual_time
async def test_runs_missed_while_no_instance_ran_are_done_once() -> None:
    rig = Rig()
    async with rig.running("a", schedule=Every(LONG_MS)):
        await rig.clock.sleep_ms(LONG_MS + MINUTE_MS)
        assert len(rig.work.runs) == 1
    await rig.clock.sleep_ms(5 * LONG_MS)

    async with rig.running("b", schedule=Every(LONG_MS)):
        await rig.clock.sleep_ms(MINUTE_MS)

        assert rig.work.owners() == ["a", "b"]
        [(_, missed)] = [event for event in rig.events if event[0] == "job.missed"]
        assert (missed["job"], missed["runs"]) == ("sync", 5)
        await rig.clock.sleep_ms(LONG_MS)
        assert len(rig.work.runs) == 3


@on_virtual_time
async def test_while_the_store_is_away_jobs_of_one_instance_end_and_wait() -> None:
    """Another instance may have taken them over."""
    rig = Rig()
    rig.work.script = [anyio.sleep_forever]
    async with rig.running("a"):
        await rig.clock.sleep_ms(12 * SECOND_MS)
        assert rig.work.active == 1
        rig.set_store(unavailable=True)
        await rig.clock.sleep_ms(LEASE_MS)

        assert rig.work.active == 0
        report = rig.jobs["a"].report()
        assert (report.level, report.waiting) == (Level.YELLOW, ("sync",))
        assert "waiting for the store, which shows which instance runs them" in report.sentence
        assert "store unavailable" in rig.jobs["a"].listed()[0].waiting
        with pytest.raises(StoreUnavailableError):
            await rig.jobs["a"].request("sync")
        await rig.clock.sleep_ms(MINUTE_MS)
        assert len(rig.work.runs) == 1

        rig.set_store(unavailable=False)
        await rig.clock.sleep_ms(5 * SECOND_MS)
        assert len(rig.work.runs) == 2
        assert rig.jobs["a"].report().level is Level.GREEN


@on_virtual_time
async def test_a_run_that_ended_while_the_store_was_away_is_not_repeated() -> None:
    rig = Rig()

    async def end_without_store() -> None:
        rig.set_store(unavailable=True)

    rig.work.script = [end_without_store]
    async with rig.running("a", schedule=Every(LONG_MS)):
        await rig.clock.sleep_ms(LONG_MS + MINUTE_MS)
        rig.set_store(unavailable=False)
        await rig.clock.sleep_ms(5 * SECOND_MS)

        assert len(rig.work.runs) == 1
        stored = (await rig.runs.read(["sync"]))["sync"].state
        assert stored is not None
        assert stored.outcome is JobOutcome.OK


@on_virtual_time
async def test_a_failing_job_waits_longer_each_time_and_its_error_is_shown() -> None:
    rig = Rig()

    async def fail() -> None:
        raise ExchangeUnavailableError("no reply from the exchange")

    rig.work.script = [fail] * 3
    async with rig.running("a", schedule=Every(LONG_MS), at_start=True):
        await rig.clock.sleep_ms(8 * SECOND_MS)
        assert len(rig.work.runs) == 3
        state, report = rig.state("a"), rig.jobs["a"].report()
        assert (state.outcome, state.failures) == (JobOutcome.FAILED, 3)
        assert (report.level, report.sentence) == (
            Level.ORANGE,
            "sync failed (3 in a row): no reply from the exchange",
        )

        await rig.clock.sleep_ms(MINUTE_MS)

        begins = [at for _, at in rig.work.runs]
        waits = [b - a for a, b in pairwise(begins)]
        assert waits == [2_000, 4_000, 8_000]
        assert rig.kinds() == ["job.failed"] * 3 + ["job.recovered"]
        assert rig.events[2][1]["failures"] == 3
        assert rig.jobs["a"].report().level is Level.GREEN


@on_virtual_time
async def test_a_defect_of_one_job_ends_neither_the_service_nor_the_job() -> None:
    rig = Rig()

    async def defect() -> None:
        raise KeyError("no such row")

    rig.work.script = [defect]
    async with rig.running("a", schedule=Every(LONG_MS), at_start=True):
        await rig.clock.sleep_ms(SECOND_MS)
        assert rig.state("a").sentence == "KeyError: 'no such row'"
        await rig.clock.sleep_ms(5 * SECOND_MS)
        assert rig.state("a").outcome is JobOutcome.OK


@on_virtual_time
async def test_a_job_that_hangs_is_ended_at_its_limit_and_repeated() -> None:
    rig = Rig()
    rig.work.script = [anyio.sleep_forever]
    async with rig.running("a", schedule=Every(LONG_MS), at_start=True, limit_ms=MINUTE_MS):
        await rig.clock.sleep_ms(MINUTE_MS + SECOND_MS)
        assert rig.work.active == 0
        state = rig.state("a")
        assert (state.outcome, state.sentence) == (
            JobOutcome.TIMED_OUT,
            "ended after its time limit, 1 min",
        )
        await rig.clock.sleep_ms(5 * SECOND_MS)
        assert rig.state("a").outcome is JobOutcome.OK


@on_virtual_time
async def test_a_job_may_ask_to_run_again_before_its_time() -> None:
    rig = Rig()
    rig.work.again_ms = 500.0
    async with rig.running("a", each_instance=True, at_start=True):
        await rig.clock.sleep_ms(2 * SECOND_MS)

        assert len(rig.work.runs) == 4


@on_virtual_time
async def test_a_job_is_run_on_request_by_the_instance_that_runs_it() -> None:
    """Whichever is asked; each request once."""
    rig = Rig()
    async with rig.running("a", "b", schedule=Every(LONG_MS)):
        await rig.clock.sleep_ms(2 * SECOND_MS)
        for asked in ("a", "b"):
            await rig.jobs[asked].request("sync")
            await rig.clock.sleep_ms(5 * SECOND_MS)

        assert len(rig.work.runs) == 2
        assert len({*rig.work.owners()}) == 1
        assert rig.state("a").answered_request == rig.state("b").answered_request


@on_virtual_time
async def test_a_wake_up_that_the_owner_may_have_missed_is_answered_by_its_successor() -> None:
    """Each instance hears of the same change; the owner is killed before it acts."""
    rig = Rig()
    wakes = {name: ChangeSignal() for name in "ab"}
    async with anyio.create_task_group() as tasks:
        for name, wake in wakes.items():
            rig.start(name, tasks, schedule=Every(HOUR_MS), at_start=True, wake=wake)
        await rig.clock.sleep_ms(5 * SECOND_MS)
        [owner] = rig.work.owners()
        rig.kill(owner)
        for wake in wakes.values():
            wake.notify()
        await rig.clock.sleep_ms(LEASE_MS + 2 * SECOND_MS)

        [successor] = {*wakes} - {owner}
        assert rig.work.owners() == [owner, successor]
        tasks.cancel_scope.cancel()


@on_virtual_time
async def test_a_wake_up_is_kept_while_the_store_is_away() -> None:
    rig, wake = Rig(), ChangeSignal()
    async with rig.running("a", schedule=Every(HOUR_MS), wake=wake):
        await rig.clock.sleep_ms(2 * SECOND_MS)
        rig.set_store(unavailable=True)
        wake.notify()
        await rig.clock.sleep_ms(10 * SECOND_MS)
        assert not rig.work.runs

        rig.set_store(unavailable=False)
        await rig.clock.sleep_ms(10 * SECOND_MS)

        assert len(rig.work.runs) == 1


@on_virtual_time
async def test_a_store_that_reads_and_does_not_write_is_one_lasting_problem(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As on a full disk."""
    rig = Rig()
    async with rig.running("a"):
        await rig.clock.sleep_ms(2 * SECOND_MS)
        rig.leases.unavailable = True
        await rig.clock.sleep_ms(20 * SECOND_MS)

        assert rig.jobs["a"].report().level is Level.YELLOW
        waiting = [each for each in caplog.messages if "wait for the store" in each]
        assert len(waiting) == 1


@on_virtual_time
async def test_a_running_job_is_not_run_on_request() -> None:
    """Whichever instance is asked."""
    rig = Rig()
    rig.work.script = [anyio.sleep_forever]
    async with rig.running("a", "b", at_start=True):
        await rig.clock.sleep_ms(2 * SECOND_MS)

        [owner] = rig.work.owners()
        since = "[0-9T:.-]+Z"
        for asked in ("a", "b"):
            with pytest.raises(JobRunningError, match=f"sync is running on {owner} since {since};"):
                await rig.jobs[asked].request("sync")


@on_virtual_time
async def test_an_unknown_job_is_named_with_those_that_exist() -> None:
    rig = Rig()
    jobs = rig.instance("a")

    with pytest.raises(UnknownJobError, match="no job is called 'scan'; the jobs are sync"):
        await jobs.request("scan")


def test_what_runs_more_than_once_a_second_is_no_job() -> None:
    with pytest.raises(InvalidValueError, match="sync runs more than once a second: use a worker"):
        Rig().instance("a", schedule=Every(999))


@on_virtual_time
async def test_shards_with_their_own_stores_leave_jobs_of_one_instance_to_the_first() -> None:
    rig = Rig()
    async with rig.running("b", may_own=False, at_start=True):
        await rig.clock.sleep_ms(MINUTE_MS)

        assert not rig.work.runs
        assert rig.jobs["b"].report().level is Level.GREEN
        assert rig.jobs["b"].listed()[0].waiting == "the instance of shard 0 runs it"
        with pytest.raises(JobElsewhereError, match="shard 0 runs sync; ask that instance"):
            await rig.jobs["b"].request("sync")


@on_virtual_time
async def test_at_the_stop_a_running_job_may_end_and_no_other_begins() -> None:
    rig = Rig()

    async def take_a_while() -> None:
        await rig.clock.sleep_ms(STOP_WAIT_S * 1000 - 500)

    rig.work.script = [take_a_while]
    async with rig.running("a", at_start=True):
        await rig.clock.sleep_ms(SECOND_MS)
        rig.jobs["a"].stop()
        rig.runs.before_write = lambda: rig.clock.sleep_ms(100)
        await rig.clock.sleep_ms(MINUTE_MS)

        assert len(rig.work.runs) == 1
        stored = (await rig.runs.read(["sync"]))["sync"].state
        assert stored is not None
        assert stored.outcome is JobOutcome.OK


@on_virtual_time
async def test_at_the_stop_a_job_that_goes_on_is_ended_and_another_instance_repeats_it() -> None:
    """At once: the lease is released."""
    rig = Rig()
    rig.work.script = [anyio.sleep_forever]
    async with rig.running("a", schedule=Every(LONG_MS), at_start=True):
        await rig.clock.sleep_ms(SECOND_MS)
        rig.jobs["a"].stop()
        await rig.clock.sleep_ms(STOP_WAIT_S * 1000 + 1)

        assert rig.work.active == 0
        assert rig.state("a").outcome is JobOutcome.INTERRUPTED
        async with rig.running("b", schedule=Every(LONG_MS)):
            await rig.clock.sleep_ms(SECOND_MS)
            assert rig.work.owners() == ["a", "b"]


@on_virtual_time
async def test_metrics_count_the_runs_of_this_process_by_result() -> None:
    rig = Rig()

    async def fail() -> None:
        raise ExchangeUnavailableError("no reply")

    rig.work.script = [fail]
    async with rig.running("a", at_start=True):
        await rig.clock.sleep_ms(15 * SECOND_MS)

        samples = [*jobs_source(rig.jobs["a"])()]
    counts = {each.labels[1][1]: each.value for each in samples if each.name.endswith("_total")}
    assert counts == {"ok": 1, "failed": 1, "timed_out": 0, "interrupted": 0}
    values = {each.name: each.value for each in samples if not each.name.endswith("_total")}
    assert values["s1_job_last_success_timestamp_seconds"] * 1000 == rig.state("a").succeeded_at
    assert "s1_job_duration_seconds" in values
