"""Fault matrix: executors that pause, lose store replies, or compete."""

from decimal import Decimal

import anyio
from anyio.lowlevel import checkpoint

from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    NotExecutedReason,
    OutcomeUnknown,
    SubmissionNotExecuted,
    TreasuryMode,
)
from chimera_s1.domain.treasury.transfer import Phase, TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.fault_injection import FaultAction, FaultInjector, RestartingInstance
from tests.faulty_ports import AlwaysGrantedLeases, PausingGateway, SlowEventStore
from tests.treasury_harness import (
    TO_FUT,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
    untyped,
)
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
LONG_MS = 25 * MINUTE_MS
"""Long enough to prove absence."""


@on_virtual_time
async def test_row_25_paused_process_does_not_send_a_late_request() -> None:
    world = TreasuryHarness()
    store = SlowEventStore(world.clock)
    store.pauses[2] = 40_000
    world.store = store
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(2 * MINUTE_MS)
        ended = await one.transfer("t1")
    unsent = [e for e in await world.events() if isinstance(e, SubmissionNotExecuted)]

    assert not store.pauses
    assert [(each.attempt, each.why) for each in unsent] == [(1, NotExecutedReason.NOT_SENT)]
    assert (ended.phase, ended.attempt) == (Phase.DONE, 2)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_25_exchange_rejects_a_late_request_after_a_takeover() -> None:
    world = TreasuryHarness()
    exchange = PausingGateway(world.clock)
    exchange.pauses_ms.append(40_000)
    world.gateway = exchange
    world.leases = untyped(AlwaysGrantedLeases())
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        async with running(TreasuryInstance(world)):
            await world.clock.sleep_ms(2 * MINUTE_MS)
        ended = await one.transfer("t1")
    unsent = [e for e in await world.events() if isinstance(e, SubmissionNotExecuted)]

    assert not exchange.pauses_ms
    assert await world.count(OutcomeUnknown) == 1, "the other one has given up waiting"
    assert [(each.attempt, each.why) for each in unsent] == [(1, NotExecutedReason.NOT_PROCESSED)]
    assert (ended.phase, ended.attempt) == (Phase.DONE, 2)
    assert not await world.violations()


@on_virtual_time
async def test_row_26_two_executors_send_each_attempt_once() -> None:
    world = TreasuryHarness()
    store, leases = SlowEventStore(world.clock), AlwaysGrantedLeases()
    world.store, world.leases = store, untyped(leases)
    names = [f"t{number}" for number in range(6)]
    world.gateway.script += [ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))] * 6
    async with running(TreasuryInstance(world)) as one, running(TreasuryInstance(world)) as two:
        async with anyio.create_task_group() as asking:
            for number, name in enumerate(names):
                ask = (one, two)[number % 2].requests.accept
                asking.start_soon(ask, transfer_request(name, 10 + number // 2), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = [await one.transfer(name) for name in names]
    sent = [order.client_id for order in world.gateway.sent_orders]

    assert len(leases.holders) == 2
    assert store.conflicts
    assert len(sent) == len(set(sent)) == 6
    assert {each.phase for each in ended} == {Phase.DONE}
    for first, second in zip(ended[::2], ended[1::2], strict=True):
        assert max(first.signed_at, second.signed_at) >= min(first.finished_at, second.finished_at)
    assert not await world.violations()


@on_virtual_time
async def test_row_26_executor_does_not_retract_the_attempt_of_another() -> None:
    """Both sign the same attempt in the same millisecond: the requests are identical."""
    world = TreasuryHarness()
    leases = AlwaysGrantedLeases()
    world.leases = untyped(leases)
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    faults = FaultInjector(FaultAction.ERROR_BEFORE, 1, "store.append")
    other = TreasuryInstance(world)
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(RestartingInstance(world, faults).run)
        while not faults.fired:
            await checkpoint()
        other.start(tasks)
        failed_at = world.clock.now_ms()
        await world.clock.sleep_ms(2 * MINUTE_MS)
        tasks.cancel_scope.cancel()

    assert world.gateway.sent_orders[0].signed_at == failed_at
    assert len(leases.holders) == 2
    assert faults.fired == "store.append"
    assert len(world.gateway.sent_orders) == 1
    assert (await other.transfer("t1")).phase is Phase.DONE
    assert not await world.violations()


@on_virtual_time
async def test_row_26_attempt_retried_in_the_same_millisecond_is_not_retracted() -> None:
    """The store fails once and at once; what follows is sent, and its reply gets lost."""
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    faults = FaultInjector(FaultAction.ERROR_BEFORE, 2, "store.append")
    process = RestartingInstance(world, faults)
    await process.request_and_run(transfer_request("t1"), MINUTE_MS)

    assert faults.fired == "store.append"
    assert not world.gateway.script
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_26_uncertain_submission_is_retracted_and_retried() -> None:
    world = TreasuryHarness()
    faults = FaultInjector(FaultAction.ERROR_AFTER, 2, "store.append")
    process = RestartingInstance(world, faults)
    await process.request_and_run(transfer_request("t1"), MINUTE_MS)
    ended = await TreasuryInstance(world).transfer("t1")

    assert faults.fired == "store.append"
    assert await world.count(SubmissionNotExecuted) == 1
    assert (ended.phase, ended.attempt) == (Phase.DONE, 2)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_27_late_reply_of_a_paused_executor_is_recorded() -> None:
    world = TreasuryHarness()
    leases = AlwaysGrantedLeases()
    world.leases = untyped(leases)
    world.gateway.history_lag_ms = 10 * MINUTE_MS
    late = anyio.Event()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=late))
    async with (
        running(TreasuryInstance(world)) as stale,
        running(TreasuryInstance(world)) as other,
    ):
        await stale.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        assert (await other.transfer("t1")).phase is Phase.UNKNOWN
        late.set()
        await world.clock.sleep_ms(1_000)
        ended = await other.transfer("t1")

    assert len(leases.holders) == 2
    assert await world.count(OutcomeUnknown) == 1
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.REPLY)
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_28_transfer_queued_for_too_long_expires_unsent() -> None:
    world = TreasuryHarness()
    asker = TreasuryInstance(world)
    answer = await asker.requests.accept(transfer_request("t1"), "tester")
    assert answer.transfer.status is TransferStatus.PENDING
    await world.clock.sleep_ms(world.policy.max_age_ms)
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(LONG_MS)
        ended = await one.transfer("t1")

        assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.EXPIRED)
        assert one.ledger.open_transfers.cap_on(ended.day).used == 0
    assert not world.gateway.sent_orders
    assert not await world.violations()


@on_virtual_time
async def test_row_27_in_flight_transfer_is_not_reconciled() -> None:
    """An equal manual movement is not matched to a request whose reply is still expected."""
    world = TreasuryHarness()
    release = anyio.Event()
    world.gateway.script.append(ScriptedResponse(executes=True, release_event=release))
    human = world.gateway.add_movement(TO_FUT, Decimal(10))
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(12_000)
        reads = world.gateway.completed_reads
        release.set()
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert reads == 0
    assert ended.phase is Phase.DONE
    assert ended.tran_id not in {"", human.tran_id}
    assert not await world.violations()


def in_mode(
    world: TreasuryHarness, mode: TreasuryMode, exchange: ScriptedTreasuryGateway
) -> TreasuryHarness:
    """*world* in the other mode; each mode has a history of its own."""
    world.mode, world.gateway = mode, exchange
    return world


@on_virtual_time
async def test_row_65_transfer_is_sent_only_in_the_mode_it_was_accepted_in() -> None:
    world = TreasuryHarness(TreasuryMode.SUBACCOUNT)
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    wallet = ScriptedTreasuryGateway(world.clock, TreasuryMode.WALLET)
    async with running(TreasuryInstance(in_mode(world, TreasuryMode.WALLET, wallet))) as one:
        await world.clock.sleep_ms(world.policy.max_age_ms + MINUTE_MS)
        ended = await one.transfer("t1")

    assert (ended.phase, ended.failure_reason) == (Phase.FAILED, FailureReason.EXPIRED)
    assert not wallet.sent_orders
    assert not await world.violations()


@on_virtual_time
async def test_row_65_unknown_outcome_is_not_read_in_the_history_of_another_mode() -> None:
    """That history never shows it."""
    world = TreasuryHarness(TreasuryMode.SUBACCOUNT)
    master = world.gateway
    master.script.append(ScriptedResponse(executes=True, reply=ReplyUnknown("reset")))
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
    await world.clock.sleep_ms(MINUTE_MS)
    wallet = ScriptedTreasuryGateway(world.clock, TreasuryMode.WALLET)
    async with running(TreasuryInstance(in_mode(world, TreasuryMode.WALLET, wallet))) as one:
        await world.clock.sleep_ms(3 * LONG_MS)
        left = await one.transfer("t1")
    await world.clock.sleep_ms(MINUTE_MS)
    async with running(TreasuryInstance(in_mode(world, TreasuryMode.SUBACCOUNT, master))) as one:
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert (left.phase, left.in_review) == (Phase.UNKNOWN, True)
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert len(master.sent_orders) == 1
    assert not wallet.sent_orders
    assert not await world.violations()
