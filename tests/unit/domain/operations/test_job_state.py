"""What follows from the last run of a job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.job_state import (
    RETRY_MAX_MS,
    SENTENCE_MAX,
    JobOutcome,
    JobState,
    adopt,
    first_state,
    missed_runs,
    next_regular,
    retry_wait_ms,
    unreadable_state,
)
from chimera_s1.domain.operations.jobs_report import FailingJob, JobsReport
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS, MINUTE_MS, Every, daily

NOW_MS = 1_769_040_000_000  # 00:00 UTC
NIGHTLY = daily("00:10")
OFTEN = Every(10_000)
TEN_PAST_MS = NOW_MS + 10 * MINUTE_MS


def test_a_run_that_was_not_finished_is_repeated_at_once() -> None:
    running = JobState(name="sync", next_at=NOW_MS).begin("s1-a", NOW_MS)

    found = adopt(running, NIGHTLY, NOW_MS + 5_000, 0)

    assert found.outcome is JobOutcome.INTERRUPTED
    assert found.sentence == "s1-a ended during the run"
    assert found.next_at == NOW_MS + 5_000


def test_a_run_that_ends_its_process_again_and_again_waits_longer_each_time() -> None:
    state = JobState(name="sync", next_at=NOW_MS)
    waits = []
    for _ in range(4):
        state = adopt(state.begin("s1-a", NOW_MS), NIGHTLY, NOW_MS, 0)
        waits.append(state.next_at - NOW_MS)

    assert waits == [0, 2_000, 4_000, 8_000]


def test_a_next_time_that_a_wrong_clock_has_set_is_moved() -> None:
    far = JobState(name="sync", next_at=NOW_MS + 400 * DAY_MS)

    assert adopt(far, NIGHTLY, NOW_MS, 0).next_at <= TEN_PAST_MS + MINUTE_MS
    soon = JobState(name="sync", next_at=TEN_PAST_MS + 1_000)
    assert adopt(soon, NIGHTLY, NOW_MS, 1_000) == soon


@pytest.mark.parametrize(
    ("late_ms", "missed"),
    [(0, 0), (MINUTE_MS, 0), (MINUTE_MS + 1, 1), (DAY_MS - 1, 1), (DAY_MS, 2), (7 * DAY_MS, 8)],
)
def test_runs_that_were_missed_are_counted(late_ms: int, missed: int) -> None:
    state = JobState(name="sync", next_at=TEN_PAST_MS)

    assert missed_runs(state, NIGHTLY, TEN_PAST_MS + late_ms, 0) == missed


def test_a_job_whose_state_cannot_be_read_is_due_and_has_missed_nothing() -> None:
    state = adopt(unreadable_state("sync", 7), NIGHTLY, NOW_MS, 0)

    assert state.next_at <= NOW_MS
    assert missed_runs(state, NIGHTLY, NOW_MS, 0) == 0


def test_a_frequent_job_misses_a_run_after_its_interval() -> None:
    state = JobState(name="scan", next_at=NOW_MS)

    assert missed_runs(state, OFTEN, NOW_MS + 10_000, 0) == 0
    assert missed_runs(state, OFTEN, NOW_MS + 60_000, 0) == 7


@given(st.integers(-MINUTE_MS, DAY_MS), st.integers(0, 1_000))
def test_no_time_of_the_day_is_served_twice(clock_step_ms: int, jitter_ms: int) -> None:
    """Also when the clock steps back by up to a minute during the run."""
    due_ms = TEN_PAST_MS + jitter_ms
    state = JobState(name="sync", next_at=due_ms)

    following = next_regular(NIGHTLY, state, due_ms + clock_step_ms, jitter_ms)

    assert following >= TEN_PAST_MS + DAY_MS


def test_a_run_before_its_time_does_not_take_the_place_of_the_next_one() -> None:
    state = JobState(name="sync", next_at=TEN_PAST_MS)

    assert next_regular(NIGHTLY, state, NOW_MS - HOUR_MS, 0) == TEN_PAST_MS


def test_failed_jobs_wait_longer_each_time() -> None:
    assert [retry_wait_ms(NIGHTLY, number) for number in (1, 2, 3)] == [2_000, 4_000, 8_000]
    assert retry_wait_ms(NIGHTLY, 100) == RETRY_MAX_MS
    assert [retry_wait_ms(OFTEN, number) for number in (1, 2, 9)] == [10_000, 20_000, MINUTE_MS]


def test_success_ends_the_count_of_failures_and_keeps_its_time() -> None:
    state = first_state("sync", NIGHTLY, NOW_MS, 7.0, at_start=True)
    assert state.next_at == NOW_MS + 7
    failed = state.begin("s1-a", NOW_MS).fail(JobOutcome.FAILED, "no", NOW_MS, 2_000)
    assert (failed.failures, failed.succeeded_at) == (1, 0)

    done = failed.begin("s1-a", NOW_MS + 2_000).succeed("done", NOW_MS + 2_500, TEN_PAST_MS)

    assert (done.failures, done.succeeded_at, done.duration_ms) == (0, NOW_MS + 2_500, 500)
    assert done.version == state.version + 4


def test_a_long_sentence_is_cut() -> None:
    done = JobState(name="sync").begin("s1-a", NOW_MS).succeed("x" * 10_000, NOW_MS, 0)

    assert len(done.sentence) == SENTENCE_MAX


@pytest.mark.parametrize(
    ("report", "level", "sentence"),
    [
        (JobsReport(1), Level.GREEN, "1 job, none failing"),
        (
            JobsReport(2, (FailingJob("sync", 2, "no reply"),)),
            Level.YELLOW,
            "sync failed (2 in a row): no reply",
        ),
        (
            JobsReport(2, (FailingJob("sync", 3, "no reply"),)),
            Level.ORANGE,
            "sync failed (3 in a row): no reply",
        ),
        (
            JobsReport(2, waiting=("sync",), store_problem="ArangoDB is away"),
            Level.YELLOW,
            "sync: waiting for the store, which shows which instance runs them: ArangoDB is away",
        ),
    ],
)
def test_health_of_the_jobs(report: JobsReport, level: Level, sentence: str) -> None:
    assert (report.level, report.sentence, report.grace_ms) == (level, sentence, MINUTE_MS)
