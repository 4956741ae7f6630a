"""What every `TreasuryGateway` does, in both modes: Binance's REST interface against the simulator,
and memory.
"""

from collections.abc import AsyncIterator
from decimal import Decimal

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
)
from chimera_s1.domain.treasury.events import FailureReason, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, IncomeRow, MovementStatus
from tests.contract.gateway_harness import (
    CLOCK,
    GatewayHarness,
    binance_gateway_harness,
    memory_gateway_harness,
    window_around,
)
from tests.time_limits import TIMEOUT_S

HOUR_MS = 3_600_000
ALL = [(adapter, mode) for adapter in ("memory", "binance") for mode in TreasuryMode]
FULL = KeyPermissions(
    may_read=True, may_transfer=True, may_use_futures=True, may_withdraw=False, ip_restricted=False
)


@pytest.fixture(params=ALL, ids=lambda made: f"{made[0]}-{made[1].value}")
async def bank(request: pytest.FixtureRequest) -> AsyncIterator[GatewayHarness]:
    adapter, mode = request.param
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            made = (
                memory_gateway_harness(mode)
                if adapter == "memory"
                else binance_gateway_harness(mode, tasks)
            )
            async with made as each:
                assert each.gateway.mode is mode
                yield each
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("direction", Direction)
async def test_an_accepted_transfer_is_in_both_histories(
    bank: GatewayHarness, direction: Direction
) -> None:
    """Under the tranId of the reply, with the exact amount, once."""
    order = bank.order(direction=direction)
    window = window_around(order.signed_at)
    reply = await bank.gateway.submit(bank.gateway.sign(order))

    assert isinstance(reply, ReplyAccepted)
    (movement,) = await bank.gateway.read_movements(direction, window)
    assert movement.tran_id == reply.tran_id
    assert movement.amount == order.amount
    assert movement.status is MovementStatus.CONFIRMED
    assert abs(movement.moved_at - order.signed_at) < 60_000
    known_by_id = bank.gateway.mode is TreasuryMode.SUBACCOUNT
    assert movement.client_id == (order.client_id if known_by_id else "")
    signed_amount = order.amount if direction is Direction.SPOT_TO_FUT else -order.amount
    assert await bank.gateway.read_income(window) == (IncomeRow(signed_amount, movement.moved_at),)
    assert await bank.net_moved() == signed_amount


async def test_a_history_holds_only_its_direction_and_window(bank: GatewayHarness) -> None:
    """Neither movements of the other direction nor of another time."""
    order = bank.order()
    assert isinstance(await bank.gateway.submit(bank.gateway.sign(order)), ReplyAccepted)
    now_ms = order.signed_at

    assert not await bank.gateway.read_movements(Direction.FUT_TO_SPOT, window_around(now_ms))
    for window in (
        ExecutionWindow(now_ms - HOUR_MS, now_ms - 60_000),
        window_around(now_ms + HOUR_MS),
    ):
        assert not await bank.gateway.read_movements(Direction.SPOT_TO_FUT, window)
        assert not await bank.gateway.read_income(window)


async def test_more_than_the_balance_is_refused(bank: GatewayHarness) -> None:
    """Refused for good, and no money moves."""
    reply = await bank.gateway.submit(bank.gateway.sign(bank.order("1000.00000001")))

    assert isinstance(reply, ReplyRefused)
    assert reply.kind is FailureReason.REFUSED
    assert reply.message
    assert await bank.net_moved() == 0


@pytest.mark.parametrize("off_by_ms", [-6_000, 6_000])
async def test_a_timestamp_out_of_the_window_is_not_processed(
    bank: GatewayHarness, off_by_ms: int
) -> None:
    """No money moves, and the clock is suspect."""
    order = bank.order(signed_at=CLOCK.now_ms() + off_by_ms)
    reply = await bank.gateway.submit(bank.gateway.sign(order))

    assert isinstance(reply, ReplyNotProcessed)
    assert reply.clock_suspect
    assert await bank.net_moved() == 0


async def test_a_lost_reply_is_unknown_and_the_history_shows_the_movement(
    bank: GatewayHarness,
) -> None:
    """The money has moved, once; the reply was dropped, so the fault has fired."""
    await bank.execute_then_drop()
    order = bank.order()
    reply = await bank.gateway.submit(bank.gateway.sign(order))

    assert isinstance(reply, ReplyUnknown)
    (movement,) = await bank.gateway.read_movements(order.direction, window_around(order.signed_at))
    assert movement.amount == order.amount
    assert await bank.net_moved() == order.amount


async def test_a_lost_request_is_unknown_and_the_history_is_empty(
    bank: GatewayHarness,
) -> None:
    """Which looks the same to us as a lost reply."""
    await bank.drop_before()
    order = bank.order()
    reply = await bank.gateway.submit(bank.gateway.sign(order))

    assert isinstance(reply, ReplyUnknown)
    assert not await bank.gateway.read_movements(order.direction, window_around(order.signed_at))
    assert await bank.net_moved() == 0


async def test_a_signed_transfer_is_sent_only_once(bank: GatewayHarness) -> None:
    """A second submission is a programming error and moves no money."""
    order = bank.order()
    signed = bank.gateway.sign(order)
    await bank.gateway.submit(signed)

    with pytest.raises(RuntimeError, match="already sent"):
        await bank.gateway.submit(signed)
    assert await bank.net_moved() == order.amount


async def test_only_subaccount_mode_prevents_a_double_transfer(
    bank: GatewayHarness,
) -> None:
    """Why nothing is ever sent again: the wallet executes each request it gets."""
    order = bank.order()
    first = await bank.gateway.submit(bank.gateway.sign(order))
    second = await bank.gateway.submit(bank.gateway.sign(order))

    assert isinstance(first, ReplyAccepted)
    if bank.gateway.mode is TreasuryMode.SUBACCOUNT:
        assert isinstance(second, ReplyUnknown)
        assert await bank.net_moved() == order.amount
    else:
        assert isinstance(second, ReplyAccepted)
        assert second.tran_id != first.tran_id
        assert await bank.net_moved() == 2 * order.amount


async def test_the_request_hash_depends_on_amount_and_time(bank: GatewayHarness) -> None:
    """The same order has the same hash."""
    order = bank.order()
    hashes = {
        bank.gateway.sign(each).request_hash
        for each in (order, order, bank.order("26"), bank.order(signed_at=order.signed_at + 1))
    }

    assert len(hashes) == 3
    assert all(len(each) == 64 and int(each, 16) >= 0 for each in hashes)


async def test_a_lagging_history_does_not_show_the_movement_yet(bank: GatewayHarness) -> None:
    """Complete, and still without it: absence alone proves nothing yet."""
    await bank.lag_histories(HOUR_MS)
    order = bank.order()
    window = window_around(order.signed_at)
    assert isinstance(await bank.gateway.submit(bank.gateway.sign(order)), ReplyAccepted)

    assert not await bank.gateway.read_movements(order.direction, window)
    assert not await bank.gateway.read_income(window)
    await bank.lag_histories(0)
    assert len(await bank.gateway.read_movements(order.direction, window)) == 1
    assert len(await bank.gateway.read_income(window)) == 1


@pytest.mark.parametrize("status", [MovementStatus.PENDING, MovementStatus.FAILED])
async def test_a_movement_has_a_status(bank: GatewayHarness, status: MovementStatus) -> None:
    """An accepted transfer may still be pending or fail."""
    await bank.leave_pending(status)
    order = bank.order()
    reply = await bank.gateway.submit(bank.gateway.sign(order))

    assert isinstance(reply, ReplyAccepted)
    (movement,) = await bank.gateway.read_movements(order.direction, window_around(order.signed_at))
    assert (movement.tran_id, movement.status) == (reply.tran_id, status)


async def test_an_unreadable_history_raises_exchange_unavailable(bank: GatewayHarness) -> None:
    """The next read may succeed."""
    await bank.fail_next_reads()
    window = window_around(CLOCK.now_ms())

    with pytest.raises(ExchangeUnavailableError):
        await bank.gateway.read_movements(Direction.SPOT_TO_FUT, window)
    with pytest.raises(ExchangeUnavailableError):
        await bank.gateway.read_income(window)
    assert await bank.gateway.read_movements(Direction.SPOT_TO_FUT, window) == ()
    assert await bank.gateway.read_income(window) == ()


async def test_a_history_of_several_pages_is_read_completely(bank: GatewayHarness) -> None:
    """More rows than fit on a page."""
    for number in range(1, 104):
        order = bank.order(str(Decimal(number) / 100), client_id=f"s1-{number}")
        assert isinstance(await bank.gateway.submit(bank.gateway.sign(order)), ReplyAccepted)

    rows = await bank.gateway.read_movements(Direction.SPOT_TO_FUT, window_around(CLOCK.now_ms()))
    amounts = sorted(row.amount for row in rows)
    assert amounts == [Decimal(number) / 100 for number in range(1, 104)]
    assert len(await bank.gateway.read_income(window_around(CLOCK.now_ms()))) == 103


async def test_a_permission_to_withdraw_is_reported(bank: GatewayHarness) -> None:
    await bank.set_permissions(replace(FULL, may_withdraw=True))

    assert (await bank.gateway.key_permissions()).may_withdraw


async def test_a_maintenance_is_reported_and_moves_no_money(bank: GatewayHarness) -> None:
    before = await bank.gateway.exchange_status()
    await bank.set_maintenance(True)

    during = await bank.gateway.exchange_status()
    reply = await bank.gateway.submit(bank.gateway.sign(bank.order()))
    await bank.set_maintenance(False)
    after = await bank.gateway.exchange_status()

    found = [(status.maintenance, status.unknown) for status in (before, during, after)]
    assert found == [(False, False), (True, False), (False, False)]
    assert isinstance(reply, ReplyUnknown)
    assert await bank.net_moved() == 0


async def test_key_permissions_are_reported_and_enforced(bank: GatewayHarness) -> None:
    """A transfer is forbidden, for all transfers; a history is refused."""
    assert replace(await bank.gateway.key_permissions(), ip_restricted=False) == FULL
    await bank.set_permissions(replace(FULL, may_use_futures=False))
    assert not (await bank.gateway.key_permissions()).may_use_futures
    await bank.set_permissions(replace(FULL, may_transfer=False, may_read=False))

    permissions = await bank.gateway.key_permissions()
    assert (permissions.may_read, permissions.may_transfer) == (False, False)
    reply = await bank.gateway.submit(bank.gateway.sign(bank.order()))
    assert isinstance(reply, ReplyRefused)
    assert reply.kind is FailureReason.FORBIDDEN
    with pytest.raises(ExchangeRefusedError):
        await bank.gateway.read_movements(Direction.SPOT_TO_FUT, window_around(CLOCK.now_ms()))
    with pytest.raises(ExchangeRefusedError):
        await bank.gateway.read_income(window_around(CLOCK.now_ms()))
    assert await bank.net_moved() == 0
