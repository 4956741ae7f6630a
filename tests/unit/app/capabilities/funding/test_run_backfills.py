"""A backfill reads every day once, also when its process ends in the middle."""

import pytest

from chimera_s1.app.capabilities.funding.read_income import IncomePagingError
from chimera_s1.app.capabilities.funding.run_backfills import AMOUNTS_AGAIN_MS, BACKFILL_JOB, RUN_MS
from chimera_s1.app.capability import JobResult
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    InvalidValueError,
)
from chimera_s1.domain.funding.backfill import BackfillState
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.reading_windows import AMOUNT_DAYS, PART_DAYS
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.job_state import JobOutcome, JobState
from chimera_s1.domain.operations.schedule import DAY_MS
from tests.unit.app.capabilities.funding.funding_rig import FundingRig
from tests.virtual_time import on_virtual_time

CONTRACTS = {"AUSDT": 8, "BUSDT": 4}
A_DAY = 3 + 6
"""Settlements of `CONTRACTS` a day."""


def count_days(rig: FundingRig) -> float:
    return len(rig.store.records) / A_DAY


@on_virtual_time
async def test_at_the_first_start_the_whole_history_is_read_and_then_nothing() -> None:
    rig = FundingRig(CONTRACTS, history_days=30)
    assert (await rig.backfills.run()).sentence == "the funding history is read"
    assert 30 <= count_days(rig) <= 31
    requests = rig.exchange.requests.total()
    assert requests <= 30

    rig.open()
    assert await rig.backfills.run() == JobResult("no funding history is missing")
    assert rig.exchange.requests.total() == requests


@on_virtual_time
async def test_a_fill_that_was_interrupted_goes_on() -> None:
    rig = FundingRig(CONTRACTS, history_days=90)
    whole = FundingRig(CONTRACTS, history_days=90)
    await whole.backfills.run()

    interruptions = 0
    for _ in range(100):
        rig.exchange.fail_after = 3
        try:
            await rig.backfills.run()
            break
        except ExchangeUnavailableError:
            interruptions += 1
            rig.open()
    assert interruptions > 3
    oldest = rig.clock.now_ms() - 90 * DAY_MS  # before it, how much is read depends on the parts
    kept, kept_whole = (
        {key for key in each.store.records if key[0] >= oldest} for each in (rig, whole)
    )
    assert kept == kept_whole
    extra = rig.exchange.requests.total() - whole.exchange.requests.total()
    assert extra <= 2 * interruptions


@on_virtual_time
async def test_a_long_run_ends_and_another_goes_on() -> None:
    rig = FundingRig(CONTRACTS, history_days=30)
    rig.exchange.read_ms = RUN_MS / 4
    results = [await rig.backfills.run()]
    while results[-1].again_ms is not None:
        results.append(await rig.backfills.run())
    assert len(results) >= 3
    assert "left to read" in results[0].sentence
    assert count_days(rig) >= 30


@on_virtual_time
async def test_where_reads_meet_every_interval_becomes_known() -> None:
    """Each begins where nothing before it is known: the first poll, and every run of the fill."""
    rig = FundingRig(CONTRACTS, history_days=30)
    await rig.settle.settle()
    rig.exchange.read_ms = RUN_MS / 2
    runs = 1
    while (await rig.backfills.run()).again_ms is not None:
        runs += 1
    assert runs > 3

    known_from = rig.clock.now_ms() - 30 * DAY_MS
    intervals = {
        (key.symbol, record.interval_h)
        for key, record in rig.store.records.items()
        if key.funding_time > known_from
    }
    assert intervals == set(CONTRACTS.items())


async def amounts_proven_days(rig: FundingRig, account: str) -> float:
    coverage = await rig.store.amount_coverage(account)
    return 0 if coverage is None else (rig.clock.now_ms() - coverage.verified_from) / DAY_MS


@on_virtual_time
async def test_amounts_are_read_once_for_each_account_also_after_an_interruption() -> None:
    """Seven days a request: the weight of income is high."""
    rig = FundingRig(CONTRACTS, history_days=30)
    rig.exchange.account_name = "live:1"
    rig.exchange.income_failures = [ExchangeRefusedError("-2015 no permission")]
    first = await rig.backfills.run()
    assert "no permission" in first.sentence
    assert first.again_ms == AMOUNTS_AGAIN_MS
    assert count_days(rig) >= 30, "the rates are read all the same"

    rates = rig.exchange.requests["rates"]
    rig.exchange.fail_after = 5
    assert (await rig.backfills.run()).again_ms == AMOUNTS_AGAIN_MS
    assert 7 < await amounts_proven_days(rig, "live:1") < 30
    rig.exchange.fail_after = None
    rig.open()
    assert (await rig.backfills.run()).again_ms is None

    assert await amounts_proven_days(rig, "live:1") >= 30
    windows, kinds, failed = 5, 2, 2
    assert rig.exchange.requests["income"] <= windows * kinds + 2 * failed
    assert rig.exchange.requests["rates"] == rates

    before = rig.exchange.requests["income"]
    await rig.backfills.run()
    assert rig.exchange.requests["income"] == before
    rig.exchange.account_name = "live:2"
    await rig.backfills.run()
    assert await amounts_proven_days(rig, "live:2") >= 30
    assert rig.exchange.requests["income"] == before + windows * kinds


@on_virtual_time
async def test_pages_that_contradict_each_other_keep_no_older_amounts_from_being_read() -> None:
    rig = FundingRig(CONTRACTS, history_days=30)
    rig.exchange.account_name = "live:1"
    rig.exchange.income_failures = [IncomePagingError("not in the order of time")]

    assert (await rig.backfills.run()).again_ms is None

    assert "not in the order of time" in rig.history.amounts_problem
    assert await amounts_proven_days(rig, "live:1") >= 30
    coverage = await rig.store.amount_coverage("live:1")
    assert coverage is not None
    assert coverage.verified_through < rig.clock.now_ms() - 6 * DAY_MS


@on_virtual_time
async def test_a_requested_backfill_reads_the_amounts_of_each_day_again() -> None:
    rig = FundingRig(CONTRACTS, history_days=1)
    rig.exchange.account_name = "live:1"
    await rig.backfills.request_backfill(30)
    rig.exchange.read_ms = RUN_MS / 4
    while (await rig.backfills.run()).again_ms is not None:
        rig.open()

    assert await amounts_proven_days(rig, "live:1") >= 30
    assert rig.exchange.requests["income"] <= 30 / AMOUNT_DAYS * 2 + 2


@on_virtual_time
async def test_a_request_does_not_end_the_first_fill() -> None:
    """And amounts are read only where the rates are: others would have no record."""
    rig = FundingRig(CONTRACTS, history_days=30)
    rig.exchange.account_name = "live:1"
    await rig.backfills.request_backfill(7)
    assert (await rig.backfills.run()).again_ms is None

    assert count_days(rig) >= 30
    assert await amounts_proven_days(rig, "live:1") >= 30


@on_virtual_time
async def test_a_requested_backfill_shows_how_far_it_is_and_survives_its_process() -> None:
    rig = FundingRig(CONTRACTS, history_days=1)
    assert await rig.backfills.backfill_progress() is None
    await rig.backfills.run()

    progress = await rig.backfills.request_backfill(30)
    assert (progress.state, progress.days) == (BackfillState.WAITING, 30)
    assert progress.done_from == progress.end
    assert (await rig.runs.read([BACKFILL_JOB]))[BACKFILL_JOB].request, (
        "the instance that runs the jobs is asked"
    )

    rig.exchange.fail_after = 5
    with pytest.raises(ExchangeUnavailableError):
        await rig.backfills.run()
    failed = JobState(name=BACKFILL_JOB, version=1, outcome=JobOutcome.FAILED, sentence="503")
    await rig.runs.write(failed)
    rig.open()
    stopped = await rig.backfills.backfill_progress()
    assert stopped is not None
    assert (stopped.state, stopped.problem) == (BackfillState.WAITING, "503")
    assert stopped.start < stopped.done_from < stopped.end
    assert (stopped.end - stopped.done_from) % DAY_MS == 0

    rig.exchange.fail_after = None
    before = rig.exchange.requests.total()
    await rig.backfills.run()
    done = await rig.backfills.backfill_progress()
    assert done is not None
    assert (done.state, done.problem) == (BackfillState.DONE, "")
    assert done.done_from == done.start
    assert done.requests == rig.exchange.requests.total() - before
    assert count_days(rig) >= 30


@on_virtual_time
async def test_a_request_that_an_open_one_covers_goes_on_with_it() -> None:
    rig = FundingRig(CONTRACTS)
    first = await rig.backfills.request_backfill(30)
    await rig.clock.sleep_ms(5_000)
    assert (await rig.backfills.request_backfill(7)).end == first.end
    longer = await rig.backfills.request_backfill(60)
    assert (longer.days, longer.end) == (60, first.end + 5_000)

    await rig.backfills.run()
    assert count_days(rig) >= 60
    shorter = await rig.backfills.request_backfill(7)
    assert (shorter.days, shorter.state) == (7, BackfillState.WAITING)


@on_virtual_time
async def test_no_days_are_no_backfill() -> None:
    rig = FundingRig(CONTRACTS)
    with pytest.raises(InvalidValueError):
        await rig.backfills.request_backfill(0)
    assert await rig.backfills.backfill_progress() is None


@on_virtual_time
async def test_after_an_outage_what_was_proven_before_stays_proven() -> None:
    rig = FundingRig(CONTRACTS, history_days=60)
    now = rig.clock.now_ms()
    through = now - 2 * PART_DAYS * DAY_MS
    spans = [
        RateCoverage(
            symbol=Symbol(symbol), verified_from=now - 60 * DAY_MS, verified_through=through
        )
        for symbol in CONTRACTS
    ]
    await rig.store.extend_coverage(spans)
    await rig.backfills.request_backfill(1)

    await rig.backfills.run()

    coverage = await rig.store.coverage()
    assert all(span.verified_from <= now - 60 * DAY_MS for span in coverage.values())
    assert all(span.verified_through > now - DAY_MS for span in coverage.values())
    assert count_days(rig) < 3 * PART_DAYS
