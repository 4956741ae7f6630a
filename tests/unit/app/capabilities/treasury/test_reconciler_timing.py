"""When the reconciler believes what it has read, when it gives up waiting for a reply, and that its
findings are written down.
"""

import anyio
from msgspec.structs import replace

from chimera_s1.adapters.binance.http.options import Deadlines
from chimera_s1.app.capabilities.treasury.execute_transfers import SubmissionPolicy
from chimera_s1.app.capabilities.treasury.reconcile_transfers import REPLY_DEADLINE_MS
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.treasury_gateway import Unknown
from chimera_s1.domain.treasury.events import Evidence, OutcomeUnknown
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import Misbehaviour
from tests.faulty_ports import HeldHistories, HeldStore
from tests.treasury_harness import Instance, World, running, wish
from tests.virtual_time import virtually

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
UNHEARD = Misbehaviour(executes=True, reply=Unknown("reset"))


@virtually
async def test_a_history_shows_what_was_there_when_its_read_began() -> None:
    """The row appears as late as the bounds allow; a read that began before it arrives
    after them.
    """
    world = World()
    world.patience = replace(world.patience, clean_reads=1, clean_spread_ms=0)
    world.looks = Backoff(base_ms=SECOND_MS, max_wait_ms=SECOND_MS, jitter_ms=0)
    histories = HeldHistories(world.clock)
    histories.history_lag_ms = world.patience.history_lag_ms + world.patience.execution_ms
    histories.income_lag_ms = HOUR_MS
    histories.script.append(UNHEARD)
    world.exchange = histories
    async with running(Instance(world)) as one:
        await one.requests.request(wish("t1"), "tester")
        await world.clock.sleep_ms(histories.history_lag_ms - 10 * SECOND_MS)
        histories.release = anyio.Event()
        await histories.arrived.wait()
        await world.clock.sleep_ms(30 * SECOND_MS)
        histories.release.set()
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(histories.sent) == 1
    assert not await world.violations()


@virtually
async def test_a_reply_that_may_still_come_is_waited_for() -> None:
    """Another instance reconciles; it cannot know whether the request is in flight."""
    world = World()
    world.exchange.history_lag_ms = world.exchange.income_lag_ms = HOUR_MS
    replied = anyio.Event()
    world.exchange.script.append(Misbehaviour(executes=True, hold=replied))
    sender, other = Instance(world), Instance(world)
    await sender.requests.request(wish("t1"), "tester")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender.executor.run)
        tasks.start_soon(other.reconciler.run)
        await world.exchange.until_sent()
        await world.clock.sleep_ms(18 * SECOND_MS)
        waiting = await other.transfer("t1")
        replied.set()
        await world.clock.sleep_ms(SECOND_MS)
        ended = await other.transfer("t1")
        tasks.cancel_scope.cancel()

    assert world.exchange.reads, "the other one has looked"
    assert waiting.phase is Phase.SUBMITTED
    assert await world.count(OutcomeUnknown) == 0
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.REPLY)
    assert not await world.violations()


@virtually
async def test_a_reply_that_cannot_come_any_more_makes_the_outcome_unknown() -> None:
    world = World()
    world.exchange.history_lag_ms = world.exchange.income_lag_ms = HOUR_MS
    world.exchange.script.append(Misbehaviour(executes=True, hold=anyio.Event()))
    async with running(Instance(world)) as dying:
        await dying.requests.request(wish("t1"), "tester")
    async with running(Instance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)
        left = await one.transfer("t1")

    assert left.phase is Phase.UNKNOWN
    assert await world.count(OutcomeUnknown) == 1
    assert len(world.exchange.sent) == 1


def test_no_request_waits_for_its_reply_longer_than_it_is_waited_for() -> None:
    policy = SubmissionPolicy()
    sent_ms = policy.recv_window_ms - policy.margin_ms
    replied_ms = sent_ms + Deadlines().total_s * 1000

    assert replied_ms < policy.recv_window_ms + REPLY_DEADLINE_MS


@virtually
async def test_a_finding_is_written_down_although_the_reconciler_is_cancelled() -> None:
    world = World()
    world.exchange.script.append(UNHEARD)
    async with running(Instance(world)) as sender:
        await sender.requests.request(wish("t1"), "tester")
    store = HeldStore(world.store.kept)
    one = Instance(world, store=store)
    await world.clock.sleep_ms(MINUTE_MS)  # the lease of the one before runs out
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.reconciler.run)
        await store.arrived.wait()
        tasks.cancel_scope.cancel()
        store.release.set()
    ended = await Instance(world).transfer("t1")

    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert not await world.violations()
