"""The row of the fault matrix about clocks that step or drift, as far as the use cases
decide it.
"""

import pytest

from chimera_s1.domain.ports.treasury_gateway import Unknown
from chimera_s1.domain.treasury.daily_cap import utc_day
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureKind,
)
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import Misbehaviour
from tests.treasury_harness import Instance, World, running, wish
from tests.virtual_time import virtually

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

UNHEARD = Misbehaviour(executes=True, reply=Unknown("reset"))
LOST = Misbehaviour(reply=Unknown("reset"))


def step(world: World, by_ms: float) -> None:
    """An operator sets our clock; the exchange's goes on as before."""
    world.clock.skew_ms += by_ms
    world.exchange.offset_ms -= round(by_ms)


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
@virtually
async def test_row_63_a_clock_step_makes_no_absence(by_ms: float) -> None:
    """Not even in the seconds before the patrol has seen it, when the exchange seems an hour off
    too.
    """
    world = World()
    world.exchange.history_lag_ms = world.exchange.income_lag_ms = 10 * MINUTE_MS
    world.exchange.script.append(UNHEARD)
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
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
    assert len(world.exchange.sent) == 1
    assert not await world.violations()


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
@virtually
async def test_row_63_a_clock_step_makes_no_stale_wish_come_true(by_ms: float) -> None:
    """It waits for longer than it may until another like it is decided, whatever our clock says."""
    world = World()
    async with running(Instance(world)) as one:
        world.exchange.script.append(LOST)
        await one.requests.request(wish("t1"), "tester")
        await one.requests.request(wish("t2"), "tester")
        assert (await one.transfer("t2")).phase is Phase.REQUESTED, "like the other, it waits"
        step(world, by_ms)
        await world.clock.sleep_ms(30 * MINUTE_MS)
        first, ended = await one.transfer("t1"), await one.transfer("t2")

    assert first.failure is FailureKind.ABSENT
    assert (ended.phase, ended.failure) == (Phase.FAILED, FailureKind.EXPIRED)
    assert len(world.exchange.sent) == 1
    assert not await world.violations()


@virtually
async def test_row_63_a_clock_a_second_back_expires_nothing() -> None:
    world = World()
    await Instance(world).requests.request(wish("t1"), "tester")
    step(world, -30 * SECOND_MS)
    async with running(Instance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)

        assert (await one.transfer("t1")).phase is Phase.DONE
    assert not await world.violations()


@virtually
async def test_row_63_a_share_of_the_cap_is_freed_on_the_day_that_gave_it() -> None:
    world = World()
    today = utc_day(world.clock.now_ms())
    step(world, DAY_MS)
    tomorrow = utc_day(world.clock.now_ms())
    world.exchange.script.append(LOST)
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        step(world, -DAY_MS)
        await one.requests.request(wish("t2", 25), "tester")
        await world.clock.sleep_ms(30 * MINUTE_MS)
        assert one.ledger.open.cap(today).used == 25
        assert one.ledger.open.cap(tomorrow).used == 0
        assert (await one.transfer("t1")).failure is FailureKind.ABSENT
    assert not await world.violations()


@virtually
async def test_row_63_a_clock_that_drifts_sends_nothing_twice() -> None:
    """Two seconds a minute; the patrol measures every thirty seconds."""
    world = World()
    async with running(Instance(world, resyncs=True)) as one:
        for number in range(20):
            await one.requests.request(wish(f"t{number}", 10 + number), "tester")
            for _ in range(30):
                step(world, SECOND_MS / 30)
                one.skew_ms += SECOND_MS / 30
                await world.clock.sleep_ms(SECOND_MS)
            if number % 2:
                one.skew_ms = 0.0
        await world.clock.sleep_ms(2 * MINUTE_MS)
        ended = [await one.transfer(f"t{number}") for number in range(20)]

    assert one.doubts, "the exchange has noticed it now and then"
    assert {each.phase for each in ended} == {Phase.DONE}
    assert len(world.exchange.book) == 20
    assert not await world.violations()
