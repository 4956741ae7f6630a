"""The treasury gateway in memory."""

from decimal import Decimal

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyUnknown,
    TransferSubmission,
)
from chimera_s1.domain.treasury.limits import Direction, Wallet
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, MovementStatus
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.time_limits import TIMEOUT_S

RICH = Decimal(1_000_000)
DIRECTION = Direction.SPOT_TO_FUT


def order(clock: ManualClock, amount: Decimal = Decimal(10)) -> TransferSubmission:
    return TransferSubmission(
        direction=DIRECTION,
        amount=amount,
        client_id="s1-a-1",
        signed_at=clock.now_ms(),
        recv_window_ms=5_000,
    )


def window(clock: ManualClock) -> ExecutionWindow:
    return ExecutionWindow(clock.now_ms() - 10**6, clock.now_ms() + 10**6)


async def test_the_script_is_used_up_before_the_default_behaviour() -> None:
    """A lost request, an executed one with a false reply, a true reply."""
    clock = ManualClock()
    exchange = ScriptedTreasuryGateway(clock)
    exchange.script += [
        ScriptedResponse(),
        ScriptedResponse(executes=True, reply=ReplyNotProcessed("no", 1)),
    ]
    replies = [await exchange.submit(exchange.sign(order(clock))) for _ in range(3)]

    assert [type(reply) for reply in replies] == [ReplyUnknown, ReplyNotProcessed, ReplyAccepted]
    assert len(exchange.sent_orders) == 3
    assert exchange.balance(Wallet.SPOT) == RICH - 20
    assert exchange.balance(Wallet.FUT) == RICH + 20


async def test_late_executions_and_history_rows_appear_with_time() -> None:
    clock = ManualClock()
    exchange = ScriptedTreasuryGateway(clock)
    exchange.history_lag_ms = exchange.income_lag_ms = 100
    exchange.script.append(ScriptedResponse(executes=True, after_ms=50))
    await exchange.submit(exchange.sign(order(clock)))

    assert exchange.balance(Wallet.FUT) == RICH
    await clock.advance(50)
    assert exchange.balance(Wallet.FUT) == RICH + 10
    assert await exchange.read_movements(DIRECTION, window(clock)) == ()
    await clock.advance(100)
    assert len(await exchange.read_movements(DIRECTION, window(clock))) == 1
    assert len(await exchange.read_income(window(clock))) == 1


async def test_a_reply_can_be_delayed() -> None:
    """The money has moved while the caller still waits."""
    clock = ManualClock()
    exchange = ScriptedTreasuryGateway(clock)
    hold = anyio.Event()
    exchange.script.append(ScriptedResponse(executes=True, release_event=hold))
    replies: list[object] = []

    async def submit() -> None:
        replies.append(await exchange.submit(exchange.sign(order(clock))))

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(submit)
            await exchange.wait_until_sent()
            await settle()
            assert (len(exchange.movements_made), replies) == (1, [])
            hold.set()
    assert isinstance(replies[0], ReplyAccepted)


async def test_a_movement_may_fail_later() -> None:
    """It stays in the history, but not in the balances or the income."""
    clock = ManualClock()
    exchange = ScriptedTreasuryGateway(clock)
    row = exchange.add_movement(DIRECTION, Decimal(5), status=MovementStatus.PENDING)
    assert exchange.balance(Wallet.FUT) == RICH + 5

    exchange.set_status(row.tran_id, MovementStatus.FAILED)
    (seen,) = await exchange.read_movements(DIRECTION, window(clock))
    assert seen.status is MovementStatus.FAILED
    assert exchange.balance(Wallet.FUT) == RICH
    assert await exchange.read_income(window(clock)) == ()


@given(st.lists(st.tuples(st.sampled_from(Direction), st.integers(1, 1_000), st.booleans())))
def test_the_total_balance_is_constant(moves: list[tuple[Direction, int, bool]]) -> None:
    exchange = ScriptedTreasuryGateway(ManualClock())
    for direction, amount, fails in moves:
        status = MovementStatus.FAILED if fails else MovementStatus.CONFIRMED
        exchange.add_movement(direction, Decimal(amount), status=status)

    assert sum(exchange.balance(wallet) for wallet in Wallet) == 2 * RICH


async def test_a_transfer_signed_by_another_gateway_is_refused() -> None:

    class Other:
        request_hash = ""

    with pytest.raises(TypeError):
        await ScriptedTreasuryGateway(ManualClock()).submit(Other())
