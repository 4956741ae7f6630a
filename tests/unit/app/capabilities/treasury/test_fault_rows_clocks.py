"""Fault matrix: clocks that step or drift."""

import pytest

from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.daily_cap import utc_day
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
)
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))
LOST = ScriptedResponse(reply=ReplyUnknown("reset"))


def step(world: TreasuryHarness, by_ms: float) -> None:
    """An operator sets the local clock; the exchange's does not change."""
    world.clock.skew_ms += by_ms
    world.gateway.clock_offset_ms -= round(by_ms)


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
@on_virtual_time
async def test_row_63_clock_step_does_not_prove_absence(by_ms: float) -> None:
    """Not even in the seconds before the patrol has seen it, when the exchange seems an hour off
    too.
    """
    world = TreasuryHarness()
    world.gateway.history_lag_ms = world.gateway.income_lag_ms = 10 * MINUTE_MS
    world.gateway.script.append(LOST_REPLY)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        step(world, by_ms)
        one.skew_ms = by_ms
        await world.clock.sleep_ms(30 * SECOND_MS)
        one.skew_ms = 0.0
        await world.clock.sleep_ms(7 * MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        await world.clock.sleep_ms(5 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
@on_virtual_time
async def test_row_63_clock_step_does_not_send_an_expired_transfer(by_ms: float) -> None:
    """It waits for longer than it may until another like it is decided, whatever our clock says."""
    world = TreasuryHarness()
    async with running(TreasuryInstance(world)) as one:
        world.gateway.script.append(LOST)
        await one.requests.accept(transfer_request("t1"), "tester")
        await one.requests.accept(transfer_request("t2"), "tester")
        assert (await one.transfer("t2")).phase is Phase.REQUESTED, "like the other, it waits"
        step(world, by_ms)
        await world.clock.sleep_ms(30 * MINUTE_MS)
        first, ended = await one.transfer("t1"), await one.transfer("t2")

    assert first.failure_reason is FailureReason.ABSENT
    assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.EXPIRED)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_63_clock_one_second_back_expires_nothing() -> None:
    world = TreasuryHarness()
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    step(world, -30 * SECOND_MS)
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)

        assert (await one.transfer("t1")).phase is Phase.DONE
    assert not await world.violations()


@on_virtual_time
async def test_row_63_cap_is_released_on_the_day_it_was_reserved() -> None:
    world = TreasuryHarness()
    today = utc_day(world.clock.now_ms())
    step(world, DAY_MS)
    tomorrow = utc_day(world.clock.now_ms())
    world.gateway.script.append(LOST)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        step(world, -DAY_MS)
        await one.requests.accept(transfer_request("t2", 25), "tester")
        await world.clock.sleep_ms(30 * MINUTE_MS)
        assert one.ledger.open_transfers.cap_on(today).used == 25
        assert one.ledger.open_transfers.cap_on(tomorrow).used == 0
        assert (await one.transfer("t1")).failure_reason is FailureReason.ABSENT
    assert not await world.violations()


@on_virtual_time
async def test_row_63_drifting_clock_sends_nothing_twice() -> None:
    """Two seconds a minute; the patrol measures every thirty seconds."""
    world = TreasuryHarness()
    async with running(TreasuryInstance(world, resyncs=True)) as one:
        for number in range(20):
            await one.requests.accept(transfer_request(f"t{number}", 10 + number), "tester")
            for _ in range(30):
                step(world, SECOND_MS / 30)
                one.skew_ms += SECOND_MS / 30
                await world.clock.sleep_ms(SECOND_MS)
            if number % 2:
                one.skew_ms = 0.0
        await world.clock.sleep_ms(2 * MINUTE_MS)
        ended = [await one.transfer(f"t{number}") for number in range(20)]

    assert one.clock_refreshes, "the exchange has noticed it now and then"
    assert {each.phase for each in ended} == {Phase.DONE}
    assert len(world.gateway.movements_made) == 20
    assert not await world.violations()
