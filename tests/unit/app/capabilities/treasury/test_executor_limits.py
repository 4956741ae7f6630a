"""The executor does not send without a start event, too many at once, too late, or after a stop."""

from functools import partial

import anyio
import pytest

from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.events import (
    NotExecutedReason,
    SubmissionNotExecuted,
    SubmissionStarted,
)
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.faulty_ports import AlwaysGrantedLeases, HeldStore, SlowEventStore
from tests.time_limits import TIMEOUT_S
from tests.treasury_harness import (
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
    untyped,
)
from tests.virtual_time import LoopClock, on_virtual_time, run_on_virtual_time

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
IN_FLIGHT_MAX = 8
READINGS = 12
"""Clock reads of one transfer, from its start to its reply."""


@on_virtual_time
async def test_attempt_started_by_another_executor_is_not_sent() -> None:
    """Both have found the transfer waiting and signed it; the ledger has one of the two starts."""
    world = TreasuryHarness()
    world.leases = untyped(AlwaysGrantedLeases())
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    store = HeldStore(world.store.contents)
    async with running(TreasuryInstance(world, store=store)):
        await store.arrived.wait()
        async with running(TreasuryInstance(world)):
            await world.gateway.wait_until_sent()
            store.release.set()
            await world.clock.sleep_ms(MINUTE_MS)

    assert store.taken
    assert await world.count(SubmissionStarted) == 1
    assert len(world.gateway.sent_orders) == 1
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
    """The phase of a transfer whose clock jumps after *readings* reads."""
    world = TreasuryHarness()
    world.clock = clock = JumpingClock()
    world.gateway = ScriptedTreasuryGateway(clock)
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    async with running(TreasuryInstance(world)) as one:
        clock.readings_left = readings
        await clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")
    assert clock.skew_ms == HOUR_MS
    assert len(world.gateway.sent_orders) <= await world.count(SubmissionStarted)
    assert not await world.violations()
    return ended.phase


def test_transfer_that_expires_while_signed_is_not_sent() -> None:
    phases = [run_on_virtual_time(partial(send_while_the_clock_jumps, n)) for n in range(READINGS)]

    assert set(phases) == {Phase.DONE, Phase.FAILED}


@on_virtual_time
async def test_at_most_eight_requests_are_in_flight() -> None:
    world = TreasuryHarness()
    replied = anyio.Event()
    names = [f"t{number}" for number in range(2 * IN_FLIGHT_MAX + 1)]
    world.gateway.script += [ScriptedResponse(executes=True, release_event=replied)] * len(names)
    asker = TreasuryInstance(world)
    async with anyio.create_task_group() as asking:
        for amount, name in enumerate(names, start=10):
            asking.start_soon(asker.requests.accept, transfer_request(name, amount), "tester")
    async with running(TreasuryInstance(world)) as one:
        await world.gateway.wait_until_sent(IN_FLIGHT_MAX)
        await world.clock.sleep_ms(5 * SECOND_MS)
        held = len(world.gateway.sent_orders)
        replied.set()
        await world.clock.sleep_ms(MINUTE_MS)
        ended = [await one.transfer(name) for name in names]

    assert held == IN_FLIGHT_MAX
    assert {each.phase for each in ended} == {Phase.DONE}
    assert len(world.gateway.sent_orders) == len(names)
    assert not await world.violations()


@pytest.mark.parametrize(("slow_ms", "unsent"), [(3_900, 0), (4_500, 1)])
@on_virtual_time
async def test_request_with_too_little_window_left_is_signed_again(
    slow_ms: int, unsent: int
) -> None:
    """The receive window is 5 s; a request sent in its last second may be executed late."""
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    store.pauses[2] = slow_ms
    world.store = store
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")
    kept = [e.why for e in await world.events() if isinstance(e, SubmissionNotExecuted)]

    assert not store.pauses
    assert kept == [NotExecutedReason.NOT_SENT] * unsent
    assert (ended.phase, ended.attempt) == (Phase.DONE, 1 + unsent)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_stopped_executor_releases_its_lease() -> None:
    """It does not wait for its next poll, an hour away."""
    world = TreasuryHarness(poll_interval_ms=HOUR_MS)
    one = TreasuryInstance(world)
    await one.requests.accept(transfer_request("t1"), "tester")
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.executor.run)
            await world.gateway.wait_until_sent()
            await world.clock.sleep_ms(SECOND_MS)
            assert not await world.leases.acquire("treasury.executor", "next", SECOND_MS)
            one.executor.stop()
        assert await world.leases.acquire("treasury.executor", "next", SECOND_MS)


@on_virtual_time
async def test_executor_stopped_within_a_round_starts_nothing_more() -> None:
    world = TreasuryHarness()
    one = TreasuryInstance(world)
    await one.requests.accept(transfer_request("stale", 10), "tester")
    await world.clock.sleep_ms(world.policy.max_age_ms)
    await one.requests.accept(transfer_request("fresh", 11), "tester")
    store = HeldStore(world.store.contents)
    following = TreasuryInstance(world, store=store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(following.executor.run)
        await store.arrived.wait()
        following.executor.stop()
        store.release.set()

    assert (await one.transfer("stale")).phase is Phase.FAILED
    assert (await one.transfer("fresh")).phase is Phase.REQUESTED
    assert not world.gateway.sent_orders
