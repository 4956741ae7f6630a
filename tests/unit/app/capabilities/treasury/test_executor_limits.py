"""What the executor does not do: send without a start event, too much at once, too late, or after
it was stopped.
"""

from functools import partial

import anyio
import pytest

from chimera_s1.domain.ports.treasury_gateway import Unknown
from chimera_s1.domain.treasury.events import NotExecuted, SubmissionNotExecuted, SubmissionStarted
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import Misbehaviour, ScriptedTreasuryGateway
from tests.faulty_ports import HeldStore, LyingLeases, TryingStore
from tests.treasury_harness import Instance, World, loose, running, wish
from tests.virtual_time import LoopClock, run_virtually, virtually

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
IN_FLIGHT_MAX = 8
READINGS = 12
"""As many readings of the clock as a transfer takes from the start to its reply."""


@virtually
async def test_an_attempt_that_another_executor_has_started_is_not_sent() -> None:
    """Both have found the transfer waiting and signed it; the ledger has one of the two starts."""
    world = World()
    world.leases = loose(LyingLeases())
    world.exchange.script.append(Misbehaviour(executes=True, reply=Unknown("reset")))
    await Instance(world).requests.request(wish("t1"), "tester")
    store = HeldStore(world.store.kept)
    async with running(Instance(world, store=store)):
        await store.arrived.wait()
        async with running(Instance(world)):
            await world.exchange.until_sent()
            store.release.set()
            await world.clock.sleep_ms(MINUTE_MS)

    assert store.taken
    assert await world.count(SubmissionStarted) == 1
    assert len(world.exchange.sent) == 1
    assert not await world.violations()


class JumpingClock(LoopClock):
    """Set forward by an hour after so many readings.

    Attributes:
        readings_left: Before it jumps; None while it does not.
    """

    readings_left: int | None = None

    def now_ms(self) -> int:
        if self.readings_left is not None:
            if self.readings_left == 0:
                self.skew_ms = HOUR_MS
            self.readings_left -= 1
        return super().now_ms()


async def send_while_the_clock_jumps(readings: int) -> Phase:
    """How the transfer ends whose executor reads the clock *readings* times before the jump."""
    world = World()
    world.clock = clock = JumpingClock()
    world.exchange = ScriptedTreasuryGateway(clock)
    await Instance(world).requests.request(wish("t1"), "tester")
    async with running(Instance(world)) as one:
        clock.readings_left = readings
        await clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")
    assert clock.skew_ms == HOUR_MS
    assert len(world.exchange.sent) <= await world.count(SubmissionStarted)
    assert not await world.violations()
    return ended.phase


def test_a_transfer_that_expires_while_it_is_signed_is_not_sent() -> None:
    phases = [run_virtually(partial(send_while_the_clock_jumps, n)) for n in range(READINGS)]

    assert set(phases) == {Phase.DONE, Phase.FAILED}


@virtually
async def test_eight_requests_are_in_flight_at_most() -> None:
    world = World()
    replied = anyio.Event()
    names = [f"t{number}" for number in range(2 * IN_FLIGHT_MAX + 1)]
    world.exchange.script += [Misbehaviour(executes=True, hold=replied)] * len(names)
    asker = Instance(world)
    async with anyio.create_task_group() as asking:
        for amount, name in enumerate(names, start=10):
            asking.start_soon(asker.requests.request, wish(name, amount), "tester")
    async with running(Instance(world)) as one:
        await world.exchange.until_sent(IN_FLIGHT_MAX)
        await world.clock.sleep_ms(5 * SECOND_MS)
        held = len(world.exchange.sent)
        replied.set()
        await world.clock.sleep_ms(MINUTE_MS)
        ended = [await one.transfer(name) for name in names]

    assert held == IN_FLIGHT_MAX
    assert {each.phase for each in ended} == {Phase.DONE}
    assert len(world.exchange.sent) == len(names)
    assert not await world.violations()


@pytest.mark.parametrize(("slow_ms", "unsent"), [(3_900, 0), (4_500, 1)])
@virtually
async def test_a_request_whose_window_is_nearly_over_is_signed_again(
    slow_ms: int, unsent: int
) -> None:
    """The receive window is 5 s; what is sent in its last second may be executed late."""
    world = World()
    store = TryingStore(world.clock)
    store.pauses[2] = slow_ms
    world.store = store
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")
    kept = [e.why for e in await world.events() if isinstance(e, SubmissionNotExecuted)]

    assert not store.pauses
    assert kept == [NotExecuted.NOT_SENT] * unsent
    assert (ended.phase, ended.attempt) == (Phase.DONE, 1 + unsent)
    assert len(world.exchange.sent) == 1
    assert not await world.violations()


@virtually
async def test_an_executor_that_is_stopped_gives_its_lease_to_the_next() -> None:
    """It does not wait for its next look at the ledger, an hour away."""
    world = World(look_ms=HOUR_MS)
    one = Instance(world)
    await one.requests.request(wish("t1"), "tester")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.executor.run)
            await world.exchange.until_sent()
            await world.clock.sleep_ms(SECOND_MS)
            assert not await world.leases.acquire("treasury.executor", "next", SECOND_MS)
            one.executor.stop()
        assert await world.leases.acquire("treasury.executor", "next", SECOND_MS)


@virtually
async def test_an_executor_that_is_stopped_within_a_round_starts_nothing_more() -> None:
    world = World()
    one = Instance(world)
    await one.requests.request(wish("stale", 10), "tester")
    await world.clock.sleep_ms(world.policy.max_age_ms)
    await one.requests.request(wish("fresh", 11), "tester")
    store = HeldStore(world.store.kept)
    following = Instance(world, store=store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following.executor.run)
        await store.arrived.wait()
        following.executor.stop()
        store.release.set()

    assert (await one.transfer("stale")).phase is Phase.FAILED
    assert (await one.transfer("fresh")).phase is Phase.REQUESTED
    assert not world.exchange.sent
