"""Fault matrix: evidence that is late, contradictory or foreign."""

from decimal import Decimal

import anyio
import pytest

from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.treasury_gateway import ReplyAccepted, ReplyUnknown
from chimera_s1.domain.treasury.events import (
    CapRebooked,
    FailureReason,
    ForeignMovementObserved,
    TransferCorrected,
    TransferDisputed,
    TransferFailed,
)
from chimera_s1.domain.treasury.reconciliation import IncomeRow, MovementStatus
from chimera_s1.domain.treasury.transfer import Phase, TransferStatus
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.faulty_ports import AlwaysGrantedLeases, PausingGateway
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

LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))
LOST = ScriptedResponse(reply=ReplyUnknown("reset"))


@on_virtual_time
async def test_row_33_equal_manual_movement_in_the_window_is_matched() -> None:
    """The documented limit of wallet mode, which has no client id: the request was lost, and an
    equal manual movement was made in its window.
    """
    world = TreasuryHarness()
    world.gateway.script.append(LOST)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        human = world.gateway.add_movement(TO_FUT, Decimal(10))
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert not world.gateway.script
    assert (ended.phase, ended.tran_id) == (Phase.DONE, human.tran_id)
    assert not world.gateway.orders_by_tran_id
    assert not await world.violations()


@on_virtual_time
async def test_row_33_late_reply_with_another_movement_is_disputed() -> None:
    world = TreasuryHarness()
    world.leases = untyped(AlwaysGrantedLeases())
    late = anyio.Event()
    world.gateway.script.append(
        ScriptedResponse(executes=True, after_ms=55_000, release_event=late)
    )
    async with running(TreasuryInstance(world)) as stale, running(TreasuryInstance(world)):
        await stale.requests.accept(transfer_request("t1"), "tester")
        human = world.gateway.add_movement(TO_FUT, Decimal(10))
        await world.clock.sleep_ms(MINUTE_MS)
        assert (await stale.transfer("t1")).tran_id == human.tran_id
        late.set()
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await stale.transfer("t1")

        assert stale.level() is Level.ORANGE
    assert ended.disputed
    assert await world.count(TransferDisputed) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_33_foreign_movement_is_recorded_once() -> None:
    world = TreasuryHarness()
    leases = AlwaysGrantedLeases()
    world.leases = untyped(leases)
    world.gateway.script.append(LOST)
    async with running(TreasuryInstance(world)) as one, running(TreasuryInstance(world)):
        await one.requests.accept(transfer_request("t1"), "tester")
        human = world.gateway.add_movement(TO_FUT, Decimal("11.5"))
        await world.clock.sleep_ms(LONG_MS)
        ended = await one.transfer("t1")
    foreign = [e for e in await world.events() if isinstance(e, ForeignMovementObserved)]

    assert len(leases.holders) == 2
    assert [(each.tran_id, each.amount) for each in foreign] == [(human.tran_id, human.amount)]
    assert ended.failure_reason is FailureReason.ABSENT
    assert not await world.violations()


@on_virtual_time
async def test_row_33_movement_of_another_instance_is_not_foreign() -> None:
    """Read by an instance that does not know the transfer yet, while its reply is expected."""
    world = TreasuryHarness()
    exchange = PausingGateway(world.clock)
    world.gateway = exchange
    world.leases = untyped(AlwaysGrantedLeases())
    late = anyio.Event()
    exchange.script += [LOST, ScriptedResponse(executes=True, release_event=late)]
    async with running(TreasuryInstance(world)) as other, anyio.create_task_group() as tasks:
        await other.requests.accept(transfer_request("t1"), "tester")
        exchange.read_ms = 4_000.0
        tasks.start_soon(TreasuryInstance(world).reconciler.run)
        await world.clock.sleep_ms(3_000)
        tasks.start_soon(other.requests.accept, transfer_request("t2", 25), "tester")
        await world.clock.sleep_ms(10_000)
        late.set()
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await other.transfer("t2")
        tasks.cancel_scope.cancel()

    assert not exchange.script
    assert ended.phase is Phase.DONE
    assert not await world.count(ForeignMovementObserved)
    assert not await world.violations()


@pytest.mark.parametrize(
    ("later", "phase"),
    [(MovementStatus.CONFIRMED, Phase.DONE), (MovementStatus.FAILED, Phase.FAILED)],
)
@on_virtual_time
async def test_row_34_pending_movement_delays_the_outcome(
    later: MovementStatus, phase: Phase
) -> None:
    world = TreasuryHarness()
    pending = ScriptedResponse(
        executes=True, status=MovementStatus.PENDING, reply=ReplyUnknown("reset")
    )
    world.gateway.script.append(pending)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(LONG_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        world.gateway.set_status(world.gateway.movements_made[0].tran_id, later)
        await world.clock.sleep_ms(10 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert not world.gateway.script
    assert ended.phase is phase
    assert not await world.violations()


@on_virtual_time
async def test_row_35_late_evidence_corrects_an_absent_transfer() -> None:
    world = TreasuryHarness(poll_interval_ms=4_000)
    world.gateway.history_lag_ms = world.gateway.income_lag_ms = 60 * MINUTE_MS
    world.gateway.script.append(LOST_REPLY)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(LONG_MS)
        failed = await one.transfer("t1")
        assert failed.failure_reason is FailureReason.ABSENT
        assert one.ledger.open_transfers.cap_on(failed.day).used == 0
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(45 * MINUTE_MS)
        answer = await one.requests.accept(transfer_request("t1"), "tester")

        assert one.ledger.open_transfers.cap_on(failed.day).used == 10
    assert await world.count(TransferCorrected) == 1
    assert await world.count(CapRebooked) == 1
    assert answer.replayed
    assert answer.transfer.status is TransferStatus.DONE
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_35_failed_transfer_is_not_read_after_the_watch_period() -> None:
    world = TreasuryHarness(poll_interval_ms=60_000)
    day_ms = world.timing.watch_ms
    world.gateway.script.append(LOST)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(day_ms + LONG_MS)
        reads = world.gateway.completed_reads
        await world.clock.sleep_ms(LONG_MS)

        assert not one.ledger.open_transfers.watched_failures
    assert world.gateway.completed_reads == reads
    assert not await world.violations()


@on_virtual_time
async def test_row_36_success_reply_with_failed_movement_is_disputed() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(executes=True, status=MovementStatus.FAILED))
    async with running(TreasuryInstance(world)) as one:
        answer = await one.requests.accept(transfer_request("t1"), "tester")
        assert answer.transfer.status is TransferStatus.DONE
        assert one.level() is Level.GREEN
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

        assert one.level() is Level.ORANGE
    assert not world.gateway.script
    assert ended.disputed
    assert not ended.verified
    assert await world.count(TransferDisputed) == 1
    assert not await world.violations()


@on_virtual_time
async def test_row_36_success_reply_without_movement_is_disputed() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(ScriptedResponse(reply=ReplyAccepted("4711")))
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(15 * MINUTE_MS)
        assert not (await one.transfer("t1")).disputed
        await world.clock.sleep_ms(LONG_MS)

        assert one.level() is Level.ORANGE
        assert (await one.transfer("t1")).disputed
    assert not await world.violations()


@on_virtual_time
async def test_row_37_duplicate_movement_is_claimed_once() -> None:
    world = TreasuryHarness()
    async with running(TreasuryInstance(world)) as one:
        first = (await one.requests.accept(transfer_request("t1"), "tester")).transfer
        world.gateway.script.append(ScriptedResponse(reply=ReplyAccepted(first.tran_id)))
        await one.requests.accept(transfer_request("t2", 25), "tester")
        await world.clock.sleep_ms(3 * LONG_MS)
        second = await one.transfer("t2")

        assert one.level() is Level.ORANGE
    assert not world.gateway.script
    assert await world.count(TransferDisputed) == 1
    assert second.status is TransferStatus.PENDING, "neither DONE by it, nor FAILED against it"
    assert second.in_review
    assert (await one.transfer("t1")).phase is Phase.DONE
    assert not await world.violations()


@on_virtual_time
async def test_row_31_unclean_read_resets_the_clean_reads() -> None:
    """For a minute the income has a row without a movement; earlier reads prove nothing."""
    world = TreasuryHarness()
    world.gateway.script.append(LOST)
    async with running(TreasuryInstance(world)) as one:
        sent_ms = world.gateway.exchange_ms
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(19 * MINUTE_MS)
        world.gateway.foreign_income.append(IncomeRow(Decimal(10), sent_ms + 1_000))
        reads = world.gateway.completed_reads
        await world.clock.sleep_ms(1.5 * MINUTE_MS)
        seen = world.gateway.completed_reads - reads
        world.gateway.foreign_income.clear()
        silent_ms = world.clock.now_ms()
        await world.clock.sleep_ms(20 * MINUTE_MS)
        ended = await one.transfer("t1")
    (failed,) = [each for each in await world.events() if isinstance(each, TransferFailed)]

    assert seen > 1
    assert ended.failure_reason is FailureReason.ABSENT
    assert min(failed.reads) > silent_ms
    assert failed.at - silent_ms >= world.timing.clean_spread_ms
    assert not await world.violations()
