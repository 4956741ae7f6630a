"""What every `JobRuns` does."""

from msgspec import structs

from chimera_s1.domain.operations.job_state import JobOutcome, JobState
from chimera_s1.domain.ports.job_runs import StoredJob
from tests.contract.ledger_harnesses import LedgerHarness, StoreSet

NAMES = ("instruments.sync", "funding.fill")
STATE = JobState(name="instruments.sync", next_at=1).begin("s1-a", 1_000)


async def test_a_state_is_read_as_it_was_written(ledger_stores: StoreSet) -> None:
    """Of a job that has none, nothing."""
    assert await ledger_stores.job_runs.read(NAMES) == dict.fromkeys(NAMES, StoredJob())
    failed = STATE.fail(JobOutcome.TIMED_OUT, "zu spät 迟", 2_000, 5)

    assert await ledger_stores.job_runs.write(STATE)
    assert await ledger_stores.job_runs.write(failed)

    stored = await ledger_stores.job_runs.read(NAMES)
    assert stored == {NAMES[0]: StoredJob(failed), NAMES[1]: StoredJob()}
    assert await ledger_stores.job_runs.read(()) == {}


async def test_a_state_that_is_not_newer_changes_nothing(ledger_stores: StoreSet) -> None:
    """As from an instance that was paused while another one took over."""
    other = STATE.succeed("done", 2_000, 3_000)
    late = STATE.fail(JobOutcome.FAILED, "late", 9_000, 5)
    assert late.version == other.version
    assert await ledger_stores.job_runs.write(other)

    assert not await ledger_stores.job_runs.write(late)
    assert not await ledger_stores.job_runs.write(STATE)

    stored = await ledger_stores.job_runs.read(NAMES)
    assert stored[STATE.name].state == other


async def test_the_same_state_may_be_written_again(ledger_stores: StoreSet) -> None:
    """As after a lost reply."""
    assert await ledger_stores.job_runs.write(STATE)
    assert await ledger_stores.job_runs.write(STATE)


async def test_a_request_is_kept_beside_the_state(ledger_stores: StoreSet) -> None:
    """Neither overwrites the other; the last request counts."""
    await ledger_stores.job_runs.request(STATE.name, "first")
    assert await ledger_stores.job_runs.write(STATE)
    await ledger_stores.job_runs.request(STATE.name, "second")

    stored = await ledger_stores.job_runs.read(NAMES)

    assert stored == {NAMES[0]: StoredJob(STATE, "second"), NAMES[1]: StoredJob()}


async def test_states_outlive_the_process(ledger_harness: LedgerHarness) -> None:
    first = await ledger_harness.open()
    assert await first.job_runs.write(STATE)

    second = await ledger_harness.open()

    assert (await second.job_runs.read(NAMES))[STATE.name].state == STATE


async def test_a_state_that_cannot_be_read_stops_no_job(ledger_stores: StoreSet) -> None:
    """As one of a newer version of S1: the others are read, and the next run replaces it."""
    other = JobState(name=NAMES[1], next_at=1)
    newer = STATE.begin("s1-b", 2_000)
    unknown = structs.replace(newer, outcome="paused")
    assert await ledger_stores.job_runs.write(unknown)
    assert await ledger_stores.job_runs.write(other)

    found = await ledger_stores.job_runs.read(NAMES)

    assert found[NAMES[1]].state == other
    state = found[STATE.name].state
    assert state is not None
    assert state.version == newer.version
    begun = state.begin("s1-a", 3_000)
    assert await ledger_stores.job_runs.write(begun)
    assert (await ledger_stores.job_runs.read(NAMES))[STATE.name].state == begun
