"""Rates are read soon after their settlement: by polls that find them, end, and are few."""

import pytest

from chimera_s1.app.capabilities.funding.settle_funding import BEHIND_MS, SettleFunding
from chimera_s1.app.capability import JobResult
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.due_settlements import GIVE_UP_MS, POLLS
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from tests.unit.app.capabilities.funding.funding_rig import FundingRig
from tests.virtual_time import on_virtual_time

HOURLY = {"AUSDT": 1, "BUSDT": 1, "CUSDT": 1}


async def settlement(rig: FundingRig) -> int:
    """The next full hour, a second after which the stream has moved on."""
    hour = (rig.clock.now_ms() // HOUR_MS + 1) * HOUR_MS
    await rig.clock.sleep_ms(hour + 1_000 - rig.clock.now_ms())
    for symbol in HOURLY:
        rig.settle.on_settled(Symbol(symbol), hour)
    return hour


async def run_to_end(settle: SettleFunding, rig: FundingRig) -> JobResult:
    """As the job does: again after the time that the run returns."""
    result = await settle.settle()
    while settle.waiting and result.again_ms is not None:
        await rig.clock.sleep_ms(result.again_ms)
        result = await settle.settle()
    return result


@on_virtual_time
async def test_rates_are_polled_until_they_are_published() -> None:
    rig = FundingRig(HOURLY)
    rig.exchange.lag_ms = 9_000
    hour = await settlement(rig)
    assert rig.settle.wake.version == 1, "one wake-up for all of the hour"
    assert rig.settle.waiting == 3

    result = await run_to_end(rig.settle, rig)

    assert [key.symbol for key in rig.settled(hour)] == ["AUSDT", "BUSDT", "CUSDT"]
    assert result.sentence == "stored the rates of 3 settlements"
    assert rig.exchange.requests["rates"] == 2
    assert rig.settle.waiting == 0
    first_polls_ms = POLLS.base_ms + 2 * POLLS.base_ms
    assert all(9_000 <= delay <= first_polls_ms + 2_000 for delay in rig.delays)
    assert len(rig.delays) == 3


@on_virtual_time
async def test_one_that_is_not_published_is_asked_for_ever_less_and_then_left() -> None:
    rig = FundingRig(HOURLY)
    rig.exchange.withheld = {Symbol("BUSDT")}
    hour = await settlement(rig)

    result = await rig.settle.settle()
    assert result.sentence == "stored the rates of 2 settlements; 1 settlement not published yet"
    assert result.again_ms is not None

    await run_to_end(rig.settle, rig)
    assert (rig.settle.given_up, rig.settle.waiting) == (1, 0)
    assert len(rig.settled(hour)) == 2
    assert rig.clock.now_ms() - hour < GIVE_UP_MS + 2 * POLLS.max_wait_ms
    assert rig.exchange.requests["rates"] < 25


@on_virtual_time
async def test_a_settlement_that_follows_while_another_waits_is_polled_at_once() -> None:
    """The job is woken: its next run may be as far away as the next read of the one that waits."""
    rig = FundingRig(HOURLY)
    rig.exchange.withheld = {Symbol("BUSDT")}
    await settlement(rig)
    while (result := await rig.settle.settle()).again_ms and rig.settle.waiting:
        await rig.clock.sleep_ms(min(result.again_ms, 1_000.0))
        if rig.clock.now_ms() % HOUR_MS > HOUR_MS - 60_000:
            break
    assert (rig.settle.waiting, rig.settle.wake.version) == (1, 1)
    hour = await settlement(rig)
    assert rig.settle.wake.version == 2
    await rig.settle.settle()
    assert [key.symbol for key in rig.settled(hour)] == ["AUSDT", "CUSDT"]


@on_virtual_time
async def test_a_failed_read_keeps_what_is_due_and_does_not_hasten_the_next() -> None:
    rig = FundingRig(HOURLY)
    hour = await settlement(rig)
    rig.exchange.failures = [ExchangeUnavailableError("503")]
    with pytest.raises(ExchangeUnavailableError, match="503"):
        await rig.settle.settle()
    assert (rig.exchange.failures, rig.settle.waiting) == ([], 3)

    failed_ms = rig.clock.monotonic_ms()
    await rig.settle.settle()
    assert rig.clock.monotonic_ms() - failed_ms >= 2 * POLLS.base_ms
    assert len(rig.settled(hour)) == 3


@on_virtual_time
async def test_a_standby_asks_for_nothing_that_another_instance_has_stored() -> None:
    rig = FundingRig(HOURLY)
    standby = FundingRig(HOURLY)
    standby.store = rig.store
    standby.open()
    hour = await settlement(rig)
    for symbol in HOURLY:
        standby.settle.on_settled(Symbol(symbol), hour)
    await rig.settle.settle()
    await rig.settle.settle()

    await standby.settle.settle()
    assert standby.settle.waiting == 0
    assert standby.exchange.requests["rates"] <= 2, "one read, since it never read before"


@on_virtual_time
async def test_a_standby_forgets_what_another_instance_has_stored() -> None:
    """It never runs the job; otherwise it would wait for every settlement there was."""
    rig = FundingRig(HOURLY)
    rig.exchange.withheld = {Symbol("CUSDT")}
    standby = FundingRig(HOURLY)
    standby.store = rig.store
    standby.open()
    for _ in range(5):
        hour = await settlement(rig)
        for symbol in HOURLY:
            standby.settle.on_settled(Symbol(symbol), hour)
        await rig.settle.settle()
        await standby.settle.forget_stored()
        assert standby.settle.waiting <= 2, "of CUSDT, until it is given up"

    assert standby.settle.given_up > 0
    assert standby.delays == [], "another instance has measured them"


@on_virtual_time
async def test_settlements_that_no_run_takes_are_bounded() -> None:
    """The store is away: the job fails before it reads."""
    rig = FundingRig(HOURLY)
    for _ in range(10):
        await settlement(rig)
        assert rig.settle.waiting <= 2 * len(HOURLY)


@on_virtual_time
async def test_without_the_stream_each_hour_is_read_once() -> None:
    rig = FundingRig(HOURLY)
    rig.exchange.lag_ms = 9_000
    hour = (rig.clock.now_ms() // HOUR_MS + 1) * HOUR_MS
    await rig.clock.sleep_ms(hour + 60_000 - rig.clock.now_ms())
    await rig.settle.settle()
    assert len(rig.settled(hour)) == 3
    requests = rig.exchange.requests["rates"]

    result = await rig.settle.settle()
    assert result.sentence == "no settlement is due; last: no new rates"
    assert rig.exchange.requests["rates"] == requests
    assert result.again_ms is not None
    await rig.clock.sleep_ms(result.again_ms)
    assert 60_000 < rig.clock.now_ms() % HOUR_MS < 120_000, "just after the next full hour"
    await rig.settle.settle()
    assert len(rig.settled(hour + HOUR_MS)) == 3


@on_virtual_time
async def test_after_a_long_outage_the_history_before_is_read_first() -> None:
    """A proven span that the new one does not join would be replaced."""
    rig = FundingRig(HOURLY)
    now = rig.clock.now_ms()
    spans = [
        RateCoverage(
            symbol=Symbol(symbol),
            verified_from=now - 30 * DAY_MS,
            verified_through=now - BEHIND_MS - HOUR_MS,
        )
        for symbol in HOURLY
    ]
    await rig.store.extend_coverage(spans)
    await settlement(rig)
    result = await rig.settle.settle()
    assert result.again_ms
    assert (rig.exchange.requests["rates"], rig.settle.waiting) == (0, 3)

    await rig.backfills.run()
    await run_to_end(rig.settle, rig)
    coverage = await rig.store.coverage()
    assert {span.verified_from for span in coverage.values()} == {now - 30 * DAY_MS}
    assert rig.settle.waiting == 0


@on_virtual_time
async def test_the_proof_goes_on_with_each_settlement() -> None:
    rig = FundingRig(HOURLY)
    for _ in range(5):
        await settlement(rig)
        await run_to_end(rig.settle, rig)
    [*spans] = (await rig.store.coverage()).values()
    assert len(spans) == 3
    assert all(rig.clock.now_ms() - span.verified_through < 2 * HOUR_MS for span in spans)
    assert all(span.verified_through - span.verified_from > 4 * HOUR_MS for span in spans)
