"""Fault matrix: switches, settings and stopping."""

from decimal import Decimal
from functools import partial

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ServiceStoppingError
from chimera_s1.domain.operations.trading_gate import KillSwitchOnError
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.events import (
    CapReserved,
    Evidence,
    FailureReason,
    SubmissionNotExecuted,
    SubmissionStarted,
    TransferRequested,
)
from chimera_s1.domain.treasury.limits import TransferLimits
from chimera_s1.domain.treasury.transfer import Phase, TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.faulty_ports import SlowEventStore
from tests.treasury_harness import (
    LIMITS,
    OperatorSwitches,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
)
from tests.virtual_time import on_virtual_time, run_on_virtual_time

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
STEPS_MAX = 500

LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))


@on_virtual_time
async def test_row_64_kill_switch_holds_queued_and_rejects_new_transfers() -> None:
    world = TreasuryHarness()
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    world.switches.kill = True
    async with running(TreasuryInstance(world)) as one:
        with pytest.raises(KillSwitchOnError):
            await one.requests.accept(transfer_request("t2"), "tester")
        await world.clock.sleep_ms(5 * MINUTE_MS)
        assert not world.gateway.sent_orders
        world.switches.kill = False
        await world.clock.sleep_ms(MINUTE_MS)
        queued = await one.transfer("t1")
        new = await one.requests.accept(transfer_request("t2"), "tester")

    assert queued.phase is Phase.DONE
    assert not new.replayed, "the key was as free as before"
    assert len(world.gateway.sent_orders) == 2
    assert not await world.violations()


@on_virtual_time
async def test_row_64_transfer_queued_behind_the_kill_switch_expires() -> None:
    world = TreasuryHarness()
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    world.switches.kill = True
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(world.policy.max_age_ms + MINUTE_MS)
        world.switches.kill = False
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.EXPIRED)
    assert not world.gateway.sent_orders
    assert not await world.violations()


@on_virtual_time
async def test_row_64_kill_switch_lets_in_flight_and_unknown_transfers_finish() -> None:
    world = TreasuryHarness()
    world.gateway.history_lag_ms = MINUTE_MS
    release = anyio.Event()
    world.gateway.script += [LOST_REPLY, ScriptedResponse(executes=True, release_event=release)]
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("unknown", 11), "tester")
        await one.requests.accept(transfer_request("in-flight", 12), "tester")
        world.switches.kill = True
        await world.clock.sleep_ms(SECOND_MS)
        release.set()
        await world.clock.sleep_ms(5 * MINUTE_MS)
        flown, settled = await one.transfer("in-flight"), await one.transfer("unknown")

    assert (flown.phase, flown.evidence) == (Phase.DONE, Evidence.REPLY)
    assert (settled.phase, settled.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(world.gateway.sent_orders) == 2
    assert not await world.violations()


@on_virtual_time
async def test_row_64_kill_switch_between_start_and_request_stops_it() -> None:
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    store.pauses[2] = 1_000.0
    world.store = store
    async with running(TreasuryInstance(world)) as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.requests.accept, transfer_request("t1"), "tester")
        await world.clock.sleep_ms(500)
        assert await world.count(SubmissionStarted) == 1
        world.switches.kill = True
        await world.clock.sleep_ms(MINUTE_MS)
        assert not world.gateway.sent_orders
        assert await world.count(SubmissionNotExecuted) == 1
        world.switches.kill = False
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.attempt) == (Phase.DONE, 2)
    assert not await world.violations()


@pytest.mark.parametrize("mode", [TradingMode.NORMAL, TradingMode.HALTED])
@on_virtual_time
async def test_row_64_switch_or_halt_while_it_connects_stops_the_request(mode: TradingMode) -> None:
    """Connecting takes up to 8 s, and nothing may be sent a second after the switch is on."""
    world = TreasuryHarness()
    world.gateway.connect_ms = 3_000.0
    async with running(TreasuryInstance(world)) as one, anyio.create_task_group() as tasks:
        tasks.start_soon(one.requests.accept, transfer_request("t1"), "tester")
        await world.clock.sleep_ms(SECOND_MS)
        assert await world.count(SubmissionStarted) == 1
        world.switches.kill, world.switches.mode = mode is TradingMode.NORMAL, mode
        await world.clock.sleep_ms(MINUTE_MS)
        assert not world.gateway.sent_orders
        assert await world.count(SubmissionNotExecuted) == 1
        world.switches.kill, world.switches.mode = False, TradingMode.NORMAL
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.attempt) == (Phase.DONE, 2)
    assert not await world.violations()


class Flipping(OperatorSwitches):
    """Limits that change at every read."""

    def __init__(self) -> None:
        self.asked = 0
        super().__init__()

    @property
    def limits(self) -> TransferLimits:
        self.asked += 1
        return msgspec.structs.replace(
            LIMITS, max=Decimal(100 + self.asked), daily_cap=Decimal(1_000 + self.asked)
        )

    @limits.setter
    def limits(self, limits: TransferLimits) -> None:
        pass


@on_virtual_time
async def test_row_65_request_is_checked_against_one_set_of_limits() -> None:
    world = TreasuryHarness()
    switches = Flipping()
    world.switches = switches
    async with running(TreasuryInstance(world)) as one:
        for number in range(5):
            await one.requests.accept(transfer_request(f"t{number}"), "tester")
    events = await world.events()
    limits = [event.terms.limits for event in events if isinstance(event, TransferRequested)]
    caps = [event.cap for event in events if isinstance(event, CapReserved)]

    assert switches.asked == 5
    assert [int(each.max) - 100 for each in limits] == [1, 2, 3, 4, 5]
    assert caps == [each.daily_cap for each in limits]
    assert not await world.violations()


@on_virtual_time
async def test_row_66_stopping_finishes_in_flight_transfers_and_starts_none() -> None:
    world = TreasuryHarness()
    release = anyio.Event()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=release))
    one = TreasuryInstance(world)
    await one.requests.accept(transfer_request("t1", 11), "tester")
    async with anyio.create_task_group() as around:
        around.start_soon(one.relay.run)
        around.start_soon(one.projector.run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.executor.run)
            await world.gateway.wait_until_sent()
            await one.ledger.catch_up()
            await TreasuryInstance(world).requests.accept(transfer_request("t2", 11), "tester")
            world.switches.stopping = True
            one.executor.stop()
            with pytest.raises(ServiceStoppingError):
                await one.requests.accept(transfer_request("t3", 13), "tester")
            await world.clock.sleep_ms(10 * SECOND_MS)
            release.set()
        flown, queued = await one.transfer("t1"), await one.transfer("t2")
        await world.clock.sleep_ms(SECOND_MS)
        found = await world.violations_now()
        around.cancel_scope.cancel()

    assert (flown.phase, flown.evidence) == (Phase.DONE, Evidence.REPLY)
    assert queued.phase is Phase.REQUESTED
    assert len(world.gateway.sent_orders) == 1
    assert await world.leases.acquire("treasury.executor", "next", 1), "the lease is free at once"
    assert not found


@on_virtual_time
async def test_row_66_reply_after_the_stop_is_reconciled_by_the_next_process() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=anyio.Event()))
    one = TreasuryInstance(world)
    await one.requests.accept(transfer_request("t1"), "tester")
    with anyio.move_on_after(30) as timeout:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.executor.run)
            await world.gateway.wait_until_sent()
            one.executor.stop()
            timeout.deadline = anyio.current_time() + 15
    assert timeout.cancelled_caught
    assert (await one.transfer("t1")).phase is Phase.SUBMITTED
    async with running(TreasuryInstance(world)) as following:
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await following.transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


async def ask_for_so_many(steps: int) -> bool:
    """Whether a request had ended before it was cancelled after *steps* of the loop."""
    world = TreasuryHarness()
    ended = False
    async with running(TreasuryInstance(world)) as one:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                nonlocal ended
                await one.requests.accept(transfer_request("t1"), "tester")
                ended = True

            tasks.start_soon(ask)
            for _ in range(steps):
                await checkpoint()
            tasks.cancel_scope.cancel()
        answer = await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(10 * SECOND_MS)
    assert answer.transfer.status is TransferStatus.DONE
    assert len(world.gateway.sent_orders) == 1
    assert await world.count(TransferRequested) == 1
    assert not await world.violations()
    return ended


def test_row_68_request_cancelled_at_any_await_can_be_retried() -> None:
    steps = next(n for n in range(STEPS_MAX) if run_on_virtual_time(partial(ask_for_so_many, n)))

    assert steps > 10


@on_virtual_time
async def test_row_68_reply_is_recorded_although_the_executor_is_cancelled() -> None:
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    world.store = store
    release = anyio.Event()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=release))
    one = TreasuryInstance(world)
    await one.requests.accept(transfer_request("t1"), "tester")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.executor.run)
        await world.gateway.wait_until_sent()
        store.head_ms = SECOND_MS
        release.set()
        await world.clock.sleep_ms(SECOND_MS / 2)
        tasks.cancel_scope.cancel()
    ended = await one.transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.REPLY)
    assert not await world.violations()


async def execute_for_so_many(steps: int) -> bool:
    """Whether an executor had finished before it was cancelled after *steps* of the loop."""
    world = TreasuryHarness()
    world.timing = msgspec.structs.replace(
        world.timing, execution_ms=1_000, history_lag_ms=1_000, clean_spread_ms=1_000
    )
    first = TreasuryInstance(world)
    await first.requests.accept(transfer_request("t1"), "tester")
    async with anyio.create_task_group() as tasks:
        first.start_all(tasks)
        for _ in range(steps):
            await checkpoint()
        ended = (await first.transfer("t1")).phase is Phase.DONE
        tasks.cancel_scope.cancel()
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(3 * MINUTE_MS)
        last = await one.transfer("t1")
    assert last.status is not TransferStatus.PENDING
    assert len(world.gateway.sent_orders) <= 1
    assert not await world.violations()
    return ended


def test_row_68_executor_cancelled_at_any_await_sends_nothing_twice() -> None:
    steps = next(
        n for n in range(STEPS_MAX) if run_on_virtual_time(partial(execute_for_so_many, n))
    )

    assert steps > 10
