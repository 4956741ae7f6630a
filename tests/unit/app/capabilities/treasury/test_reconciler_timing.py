"""When the reconciler trusts a read, ends its wait for a reply, and records its result."""

from decimal import Decimal

import anyio
from msgspec.structs import replace

from chimera_s1.adapters.binance.http.client import HttpTimeouts
from chimera_s1.app.capabilities.treasury.conclude_outcomes import REPLY_DEADLINE_MS
from chimera_s1.app.capabilities.treasury.execute_transfers import SubmissionPolicy
from chimera_s1.app.capabilities.treasury.reconciliation_schedule import ReconciliationPace
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.events import Evidence, OutcomeUnknown, TransferFailed
from chimera_s1.domain.treasury.reconciliation import IncomeRow
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.faulty_ports import HeldHistories, HeldStore
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, running, transfer_request
from tests.virtual_time import on_virtual_time

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))


@on_virtual_time
async def test_history_read_is_as_old_as_its_start() -> None:
    """The row appears as late as the bounds allow; a read that began before it arrives
    after them.
    """
    world = TreasuryHarness()
    world.timing = replace(world.timing, clean_reads=1, clean_spread_ms=0)
    world.pace = ReconciliationPace(SECOND_MS, SECOND_MS)
    histories = HeldHistories(world.clock)
    histories.history_lag_ms = world.timing.history_lag_ms + world.timing.execution_ms
    histories.income_lag_ms = HOUR_MS
    histories.script.append(LOST_REPLY)
    world.gateway = histories
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(histories.history_lag_ms - 10 * SECOND_MS)
        histories.release = anyio.Event()
        await histories.arrived.wait()
        await world.clock.sleep_ms(30 * SECOND_MS)
        histories.release.set()
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert await world.count(TransferFailed) == 0, "nor was it corrected later"
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(histories.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_reads_before_a_contradiction_prove_nothing_after_it() -> None:
    """For a while the futures income shows a movement that the wallet's history does
    not explain.
    """
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(reply=ReplyUnknown("reset")))
    clean_spread_ms = world.timing.clean_spread_ms
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        signed_at = (await one.transfer("t1")).signed_at
        bounds_ms = world.timing.execution_ms + world.timing.history_lag_ms
        await world.clock.sleep_ms(bounds_ms + 4 * MINUTE_MS)
        world.gateway.foreign_income.append(IncomeRow(Decimal(10), signed_at))
        await world.clock.sleep_ms(2 * MINUTE_MS)
        world.gateway.foreign_income.clear()
        silent_from = world.gateway.exchange_ms
        await world.clock.sleep_ms(10 * MINUTE_MS)
    [failed] = [event for event in await world.events() if isinstance(event, TransferFailed)]

    assert min(failed.reads) >= silent_from
    assert failed.reads[-1] - failed.reads[0] >= clean_spread_ms


@on_virtual_time
async def test_outcome_stays_submitted_until_the_reply_deadline() -> None:
    """Another instance reconciles; it cannot know whether the request is in flight."""
    world = TreasuryHarness()
    world.gateway.history_lag_ms = world.gateway.income_lag_ms = HOUR_MS
    replied = anyio.Event()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=replied))
    sender, other = TreasuryInstance(world), TreasuryInstance(world)
    await sender.requests.accept(transfer_request("t1"), "tester")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender.executor.run)
        tasks.start_soon(other.reconciler.run)
        await world.gateway.wait_until_sent()
        await world.clock.sleep_ms(18 * SECOND_MS)
        waiting = await other.transfer("t1")
        replied.set()
        await world.clock.sleep_ms(SECOND_MS)
        ended = await other.transfer("t1")
        tasks.cancel_scope.cancel()

    assert world.gateway.completed_reads, "the other one has looked"
    assert waiting.phase is Phase.SUBMITTED
    assert await world.count(OutcomeUnknown) == 0
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.REPLY)
    assert not await world.violations()


@on_virtual_time
async def test_outcome_is_unknown_after_the_reply_deadline() -> None:
    world = TreasuryHarness()
    world.gateway.history_lag_ms = world.gateway.income_lag_ms = HOUR_MS
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=anyio.Event()))
    async with running(TreasuryInstance(world)) as dying:
        await dying.requests.accept(transfer_request("t1"), "tester")
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)
        left = await one.transfer("t1")

    assert left.phase is Phase.UNKNOWN
    assert await world.count(OutcomeUnknown) == 1
    assert len(world.gateway.sent_orders) == 1


def test_request_timeout_is_shorter_than_the_reply_deadline() -> None:
    policy = SubmissionPolicy()
    sent_ms = policy.recv_window_ms - policy.min_remaining_ms
    replied_ms = sent_ms + HttpTimeouts().total_s * 1000

    assert replied_ms < policy.recv_window_ms + REPLY_DEADLINE_MS


@on_virtual_time
async def test_match_is_recorded_although_the_reconciler_is_cancelled() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(LOST_REPLY)
    async with running(TreasuryInstance(world)) as sender:
        await sender.requests.accept(transfer_request("t1"), "tester")
    store = HeldStore(world.store.contents)
    one = TreasuryInstance(world, store=store)
    await world.clock.sleep_ms(MINUTE_MS)  # the lease of the one before runs out
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.reconciler.run)
        await store.arrived.wait()
        tasks.cancel_scope.cancel()
        store.release.set()
    ended = await TreasuryInstance(world).transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert not await world.violations()
