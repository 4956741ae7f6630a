"""What health says of the stored history follows the store, and survives its outage."""

from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.app.capabilities.funding.relay_records import CURSOR, RelayRecords
from chimera_s1.app.capabilities.funding.review_history import (
    INCOMPLETE_REVIEW_MS,
    REVIEW_MS,
    ReviewHistory,
)
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.relay_log import RelayLog
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.health import Level
from tests.fakes.funding_events import FakeFundingEvents
from tests.unit.app.capabilities.funding.funding_rig import FundingRig
from tests.virtual_time import on_virtual_time

DAYS = 30


def review_of(rig: FundingRig) -> ReviewHistory:
    relay = RelayLog(
        RelayRecords(rig.store, FakeFundingEvents(), lambda *_: None, rig.time.now_ms),
        rig.cursors,
        JobLease(CURSOR, MemoryLeaseStore(rig.clock), "one", rig.clock),
        cursor=CURSOR,
        clock=rig.clock,
        changes=ChangeSignal(),
        retries=Backoff(),
    )
    return ReviewHistory(
        rig.store,
        rig.cursors,
        exchange=rig.time,
        settle=rig.settle,
        history=rig.history,
        completions=rig.completions,
        relay=relay,
        history_days=DAYS,
    )


@on_virtual_time
async def test_it_follows_a_first_fill_and_then_looks_less_often() -> None:
    rig = FundingRig({"AUSDT": 8}, history_days=DAYS)
    review = review_of(rig)
    assert await review.review() == INCOMPLETE_REVIEW_MS
    assert review.report().sentence.startswith("no funding history yet: ")

    await rig.settle.settle()
    assert await review.review() == INCOMPLETE_REVIEW_MS
    assert "days left to read" in review.report().sentence

    await rig.backfills.run()
    assert await review.review() == REVIEW_MS
    assert review.report().level is Level.GREEN
    assert review.reviewed.announced > 0, "nothing relays them here"


@on_virtual_time
async def test_a_standby_does_not_report_what_another_instance_has_stored() -> None:
    rig = FundingRig({"AUSDT": 8}, history_days=DAYS)
    review = review_of(rig)
    await rig.backfills.run()
    key = max(rig.store.records)
    rig.settle.on_settled(key.symbol, key.funding_time)
    assert review.report().waiting == 1

    await review.review()

    assert review.report().waiting == 0


@on_virtual_time
async def test_a_record_that_the_store_refuses_counts_until_it_is_stored() -> None:
    """It is reported once, however often the jobs try."""
    rig = FundingRig({"AUSDT": 8}, history_days=DAYS)
    review = review_of(rig)
    await rig.backfills.run()
    await review.review()
    assert review.report().level is Level.GREEN
    bad = max(rig.store.records)
    del rig.store.records[bad]
    rig.store.refused.add(bad)

    for _ in range(3):
        await rig.completions.complete_recent()
        await review.review()
    assert review.report().level is Level.ORANGE
    assert "the store refuses 1 record" in review.report().sentence
    [(kind, detail)] = rig.reported
    assert (kind, detail["symbol"]) == ("funding.record_refused", "AUSDT")

    rig.store.refused.clear()
    await rig.completions.complete_recent()
    await review.review()
    assert review.report().level is Level.GREEN


@on_virtual_time
async def test_a_store_that_is_away_is_said_and_what_was_known_stays() -> None:
    rig = FundingRig({"AUSDT": 8}, history_days=DAYS)
    review = review_of(rig)
    await rig.backfills.run()
    await review.review()
    rig.store.unavailable = "connection refused"
    await review.review()

    report = review.report()
    assert report.level is Level.YELLOW
    assert "cannot be read: connection refused" in report.sentence
    assert report.behind_ms is not None
