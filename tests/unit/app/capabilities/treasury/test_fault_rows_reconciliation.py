"""Fault matrix: unknown outcomes."""

from decimal import Decimal

import pytest

from chimera_s1.domain.errors import ChimeraError, ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    OutcomeUnknown,
    ReviewRequested,
    TransferFailed,
)
from chimera_s1.domain.treasury.reconciliation import IncomeRow
from chimera_s1.domain.treasury.transfer import Phase
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.treasury_harness import (
    TO_FUT,
    TO_SPOT,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
)
from tests.virtual_time import on_virtual_time

MINUTE_MS = 60_000
LONG_MS = 25 * MINUTE_MS
"""Long enough to prove absence."""

LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))
LOST = ScriptedResponse(reply=ReplyUnknown("reset"))


@on_virtual_time
async def test_row_29_history_ten_minutes_late_only_delays_the_outcome() -> None:
    world = TreasuryHarness()
    world.gateway.history_lag_ms = world.gateway.income_lag_ms = 10 * MINUTE_MS
    world.gateway.script.append(LOST_REPLY)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(9 * MINUTE_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        await world.clock.sleep_ms(3 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert await world.count(OutcomeUnknown) == 1
    assert (ended.phase, ended.evidence) == (Phase.DONE, Evidence.HISTORY)
    assert not await world.violations()


@on_virtual_time
async def test_row_30_own_movement_is_found_among_hundreds() -> None:
    world = TreasuryHarness()
    for number in range(250):
        world.gateway.add_movement(TO_FUT, Decimal(2_000 + number))
    world.gateway.script.append(LOST_REPLY)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        ended = await one.transfer("t1")

    assert not world.gateway.script
    assert ended.phase is Phase.DONE
    assert world.gateway.orders_by_tran_id.keys() == {ended.tran_id}
    assert not await world.violations()


@on_virtual_time
async def test_row_31_incomplete_reads_prove_nothing() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(LOST)
    world.gateway.read_error = ExchangeUnavailableError("a page of the history is missing")
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(LONG_MS)
        assert (await one.transfer("t1")).phase is Phase.UNKNOWN
        assert not world.gateway.completed_reads
        world.gateway.read_error = None
        clean_from = world.gateway.exchange_ms
        await world.clock.sleep_ms(10 * MINUTE_MS)
    failed = [event for event in await world.events() if isinstance(event, TransferFailed)]

    assert [event.kind for event in failed] == [FailureReason.ABSENT]
    assert min(failed[0].reads) >= clean_from
    assert len(failed[0].reads) >= 3
    assert not await world.violations()


@on_virtual_time
async def test_row_31_an_unusable_row_hides_no_success_and_proves_no_failure() -> None:
    """One reply is lost after the transfer, one request before it."""
    world = TreasuryHarness()
    world.gateway.script += [LOST_REPLY, LOST]
    world.gateway.unusable_row = "row 7: unknown status 'MOVED'"
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1", 5), "tester")
        await one.requests.accept(transfer_request("t2", 6), "tester")
        await world.clock.sleep_ms(2 * LONG_MS)
        moved, lost = await one.transfer("t1"), await one.transfer("t2")
        assert (moved.phase, moved.evidence) == (Phase.DONE, Evidence.HISTORY)
        assert lost.phase is Phase.UNKNOWN
        assert lost.in_review

        world.gateway.unusable_row = ""
        await world.clock.sleep_ms(10 * MINUTE_MS)
        assert (await one.transfer("t2")).phase is Phase.FAILED
    (review,) = [event for event in await world.events() if isinstance(event, ReviewRequested)]

    assert review.cause == "row 7: unknown status 'MOVED'"
    assert not await world.violations()


@on_virtual_time
async def test_row_31_an_unusable_row_concerns_the_transfers_of_its_time_only() -> None:
    """Two hours later, transfers of the same direction are concluded although the row is there."""
    world = TreasuryHarness()
    world.gateway.script += [LOST, LOST]
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("old", 5), "tester")
        world.gateway.unusable_row = "row 7: odd"
        world.gateway.unusable_until = world.gateway.exchange_ms + MINUTE_MS
        await world.clock.sleep_ms(120 * MINUTE_MS)
        await one.requests.accept(transfer_request("new", 6), "tester")
        await world.clock.sleep_ms(LONG_MS)

        assert (await one.transfer("old")).phase is Phase.UNKNOWN
        assert (await one.transfer("new")).phase is Phase.FAILED
    assert not await world.violations()


@pytest.mark.parametrize(
    "failure",
    [ExchangeUnavailableError("the host is gone"), ExchangeRefusedError("-2015 may not read")],
)
@on_virtual_time
async def test_row_31_unreadable_histories_request_a_review(
    failure: ChimeraError,
) -> None:
    world = TreasuryHarness()
    world.gateway.script.append(LOST)
    world.gateway.read_error = failure
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await world.clock.sleep_ms(60 * MINUTE_MS)
        ended = await one.transfer("t1")

        assert one.level() is Level.ORANGE
        assert one.ledger.open_transfers.in_review == 1
    reviews = [event for event in await world.events() if isinstance(event, ReviewRequested)]

    assert not world.gateway.completed_reads
    assert ended.phase is Phase.UNKNOWN
    assert [event.cause for event in reviews] == [str(failure)]
    assert not await world.violations()


@on_virtual_time
async def test_row_31_conflicting_histories_request_a_review() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(LOST)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        world.gateway.foreign_income.append(IncomeRow(Decimal(10), world.gateway.exchange_ms))
        await world.clock.sleep_ms(60 * MINUTE_MS)
        ended = await one.transfer("t1")

    assert ended.phase is Phase.UNKNOWN
    assert ended.in_review
    assert not await world.violations()


@on_virtual_time
async def test_row_32_lookalike_waits_for_an_unknown_outcome() -> None:
    world = TreasuryHarness()
    world.gateway.history_lag_ms = world.gateway.income_lag_ms = MINUTE_MS
    world.gateway.script += [LOST_REPLY, ScriptedResponse(executes=True), LOST_REPLY]
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await one.requests.accept(transfer_request("t2"), "tester")
        await one.requests.accept(transfer_request("t3", 10, TO_SPOT), "tester")
        assert len(world.gateway.sent_orders) == 2, "the other direction does not wait"
        assert (await one.transfer("t2")).phase is Phase.REQUESTED
        await world.clock.sleep_ms(5 * MINUTE_MS)
        first, second = await one.transfer("t1"), await one.transfer("t2")

    assert not world.gateway.script
    assert first.phase is second.phase is Phase.DONE
    assert second.signed_at >= first.finished_at
    own = {order.client_id: tran_id for tran_id, order in world.gateway.orders_by_tran_id.items()}
    assert len(own) == 3
    assert not await world.violations()


@on_virtual_time
async def test_row_32_lookalike_expires_when_the_first_takes_too_long() -> None:
    world = TreasuryHarness()
    world.gateway.script.append(LOST)
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("t1"), "tester")
        await one.requests.accept(transfer_request("t2"), "tester")
        await world.clock.sleep_ms(LONG_MS)
        first, second = await one.transfer("t1"), await one.transfer("t2")

    assert first.failure_reason is FailureReason.ABSENT
    assert second.failure_reason is FailureReason.EXPIRED
    assert len(world.gateway.sent_orders) == 1
    assert not await world.violations()
