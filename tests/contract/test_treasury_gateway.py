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
    Accepted,
    Refused,
    TurnedAway,
    Unknown,
)
from chimera_s1.domain.treasury.events import FailureKind, TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import IncomeRow, MovementStatus, Window
from tests.contract.feed_harness import CLOCK
from tests.contract.gateway_harness import Bank, around, binance_bank, memory_bank

HOUR_MS = 3_600_000
ALL = [(adapter, mode) for adapter in ("memory", "binance") for mode in TreasuryMode]
FULL = KeyPermissions(may_read=True, may_transfer=True, may_withdraw=False, ip_restricted=False)


@pytest.fixture(params=ALL, ids=lambda made: f"{made[0]}-{made[1].value}")
async def bank(request: pytest.FixtureRequest) -> AsyncIterator[Bank]:
    adapter, mode = request.param
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            made = memory_bank(mode) if adapter == "memory" else binance_bank(mode, tasks)
            async with made as each:
                assert each.port.mode is mode
                yield each
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("direction", Direction)
async def test_an_accepted_transfer_is_in_both_histories(bank: Bank, direction: Direction) -> None:
    """Under the number that the reply gave, with the exact amount, and once."""
    order = bank.order(direction=direction)
    window = around(order.signed_at)
    reply = await bank.port.submit(bank.port.sign(order))

    assert isinstance(reply, Accepted)
    (movement,) = await bank.port.movements(direction, window)
    assert movement.tran_id == reply.tran_id
    assert movement.amount == order.amount
    assert movement.status is MovementStatus.CONFIRMED
    assert abs(movement.moved_at - order.signed_at) < 60_000
    known_by_id = bank.port.mode is TreasuryMode.SUBACCOUNT
    assert movement.client_id == (order.client_id if known_by_id else "")
    signed_amount = order.amount if direction is Direction.SPOT_TO_FUTURES else -order.amount
    assert await bank.port.income(window) == (IncomeRow(signed_amount, movement.moved_at),)
    assert await bank.moved() == signed_amount


async def test_histories_are_those_of_their_direction_and_window(bank: Bank) -> None:
    """Neither what went the other way nor what happened at another time."""
    order = bank.order()
    assert isinstance(await bank.port.submit(bank.port.sign(order)), Accepted)
    now_ms = order.signed_at

    assert not await bank.port.movements(Direction.FUTURES_TO_SPOT, around(now_ms))
    for window in (Window(now_ms - HOUR_MS, now_ms - 60_000), around(now_ms + HOUR_MS)):
        assert not await bank.port.movements(Direction.SPOT_TO_FUTURES, window)
        assert not await bank.port.income(window)


async def test_more_than_there_is_is_refused(bank: Bank) -> None:
    """For good, and nothing moves."""
    reply = await bank.port.submit(bank.port.sign(bank.order("1000.00000001")))

    assert isinstance(reply, Refused)
    assert reply.kind is FailureKind.REFUSED
    assert reply.message
    assert await bank.moved() == 0


@pytest.mark.parametrize("off_by_ms", [-6_000, 6_000])
async def test_a_timestamp_out_of_the_window_is_turned_away(bank: Bank, off_by_ms: int) -> None:
    """Nothing moves, and the clock is in doubt."""
    order = bank.order(signed_at=CLOCK.now_ms() + off_by_ms)
    reply = await bank.port.submit(bank.port.sign(order))

    assert isinstance(reply, TurnedAway)
    assert reply.clock_doubted
    assert await bank.moved() == 0


async def test_a_lost_reply_leaves_the_outcome_open_and_the_history_tells(bank: Bank) -> None:
    """The money has moved, once; the reply was dropped, so the fault has fired."""
    await bank.execute_then_drop()
    order = bank.order()
    reply = await bank.port.submit(bank.port.sign(order))

    assert isinstance(reply, Unknown)
    (movement,) = await bank.port.movements(order.direction, around(order.signed_at))
    assert movement.amount == order.amount
    assert await bank.moved() == order.amount


async def test_a_lost_request_leaves_the_outcome_open_and_nothing_is_there(bank: Bank) -> None:
    """Which looks the same to us as a lost reply."""
    await bank.drop_before()
    order = bank.order()
    reply = await bank.port.submit(bank.port.sign(order))

    assert isinstance(reply, Unknown)
    assert not await bank.port.movements(order.direction, around(order.signed_at))
    assert await bank.moved() == 0


async def test_what_was_signed_once_is_sent_once(bank: Bank) -> None:
    """A second time is a mistake of the program, and moves nothing."""
    order = bank.order()
    signed = bank.port.sign(order)
    await bank.port.submit(signed)

    with pytest.raises(RuntimeError, match="already sent"):
        await bank.port.submit(signed)
    assert await bank.moved() == order.amount


async def test_only_an_id_keeps_the_exchange_from_doing_it_twice(bank: Bank) -> None:
    """Why nothing is ever sent again: the wallet's transfer is executed as often as it comes."""
    order = bank.order()
    first = await bank.port.submit(bank.port.sign(order))
    second = await bank.port.submit(bank.port.sign(order))

    assert isinstance(first, Accepted)
    if bank.port.mode is TreasuryMode.SUBACCOUNT:
        assert isinstance(second, Unknown)
        assert await bank.moved() == order.amount
    else:
        assert isinstance(second, Accepted)
        assert second.tran_id != first.tran_id
        assert await bank.moved() == 2 * order.amount


async def test_the_hash_is_of_what_was_signed(bank: Bank) -> None:
    """The same order, the same hash; another amount or moment, another one."""
    order = bank.order()
    hashes = {
        bank.port.sign(each).request_hash
        for each in (order, order, bank.order("26"), bank.order(signed_at=order.signed_at + 1))
    }

    assert len(hashes) == 3
    assert all(len(each) == 64 and int(each, 16) >= 0 for each in hashes)


async def test_histories_may_lag(bank: Bank) -> None:
    """Complete, and still without it: absence alone proves nothing yet."""
    await bank.lag_histories(HOUR_MS)
    order = bank.order()
    window = around(order.signed_at)
    assert isinstance(await bank.port.submit(bank.port.sign(order)), Accepted)

    assert not await bank.port.movements(order.direction, window)
    assert not await bank.port.income(window)
    await bank.lag_histories(0)
    assert len(await bank.port.movements(order.direction, window)) == 1
    assert len(await bank.port.income(window)) == 1


@pytest.mark.parametrize("status", [MovementStatus.PENDING, MovementStatus.FAILED])
async def test_a_movement_has_a_state(bank: Bank, status: MovementStatus) -> None:
    """Accepted by reply is not yet arrived."""
    await bank.pend(status)
    order = bank.order()
    reply = await bank.port.submit(bank.port.sign(order))

    assert isinstance(reply, Accepted)
    (movement,) = await bank.port.movements(order.direction, around(order.signed_at))
    assert (movement.tran_id, movement.status) == (reply.tran_id, status)


async def test_a_history_that_cannot_be_read_says_so(bank: Bank) -> None:
    """It proves nothing; the next reading may."""
    await bank.spoil_reads()
    window = around(CLOCK.now_ms())

    with pytest.raises(ExchangeUnavailableError):
        await bank.port.movements(Direction.SPOT_TO_FUTURES, window)
    with pytest.raises(ExchangeUnavailableError):
        await bank.port.income(window)
    assert await bank.port.movements(Direction.SPOT_TO_FUTURES, window) == ()
    assert await bank.port.income(window) == ()


async def test_many_rows_are_read_whole(bank: Bank) -> None:
    """More than fit on a page."""
    for number in range(1, 104):
        order = bank.order(str(Decimal(number) / 100), client_id=f"s1-{number}")
        assert isinstance(await bank.port.submit(bank.port.sign(order)), Accepted)

    rows = await bank.port.movements(Direction.SPOT_TO_FUTURES, around(CLOCK.now_ms()))
    amounts = sorted(row.amount for row in rows)
    assert amounts == [Decimal(number) / 100 for number in range(1, 104)]
    assert len(await bank.port.income(around(CLOCK.now_ms()))) == 103


async def test_what_the_key_may_do_is_told_and_kept_to(bank: Bank) -> None:
    """A transfer is forbidden, for all transfers; a history is refused."""
    assert replace(await bank.port.key_permissions(), ip_restricted=False) == FULL
    await bank.permit(replace(FULL, may_transfer=False, may_read=False))

    told = await bank.port.key_permissions()
    assert (told.may_read, told.may_transfer) == (False, False)
    reply = await bank.port.submit(bank.port.sign(bank.order()))
    assert isinstance(reply, Refused)
    assert reply.kind is FailureKind.FORBIDDEN
    with pytest.raises(ExchangeRefusedError):
        await bank.port.movements(Direction.SPOT_TO_FUTURES, around(CLOCK.now_ms()))
    with pytest.raises(ExchangeRefusedError):
        await bank.port.income(around(CLOCK.now_ms()))
    assert await bank.moved() == 0
