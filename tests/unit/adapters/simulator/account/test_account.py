"""Money is neither created nor lost; due movements run in the order of their times."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.account.account import (
    Account,
    InsufficientBalanceError,
    TransferBehaviour,
)
from chimera_s1.adapters.simulator.account.movements import (
    Movement,
    MovementStatus,
    Origin,
    TransferType,
    WalletName,
)
from chimera_s1.adapters.simulator.clock import ScaledClock

TO_FUT, TO_SPOT = TransferType.MAIN_UMFUTURE, TransferType.UMFUTURE_MAIN
START = Decimal(100)


class Exchange:
    """An account on a wall clock that the test moves."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000
        self.recorded: list[tuple[int, MovementStatus]] = []
        self.account = Account(
            {WalletName.SPOT: START, WalletName.FUT: START},
            ScaledClock(lambda: self.ms),
            lambda movement: self.recorded.append((movement.tran_id, movement.status)),
        )

    def move(self, amount: int = 10, kind: TransferType = TO_FUT) -> Movement:
        return self.account.transfer(kind, Decimal(amount), Origin.WALLET)

    @property
    def balances(self) -> tuple[int, int]:
        spot, futures = (self.account.balance(wallet) for wallet in WalletName)
        return int(spot), int(futures)


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def test_a_movement_is_executed_and_recorded_at_once(exchange: Exchange) -> None:
    moved = exchange.move(30)

    assert moved.status is MovementStatus.CONFIRMED
    assert exchange.balances == (70, 130)
    assert exchange.recorded == [(moved.tran_id, MovementStatus.CONFIRMED)]


def test_an_identical_transfer_moves_money_again(exchange: Exchange) -> None:
    first, second = exchange.move(30), exchange.move(30)

    assert first.tran_id != second.tran_id
    assert exchange.balances == (40, 160)


def test_a_transfer_above_the_balance_is_refused(exchange: Exchange) -> None:
    with pytest.raises(InsufficientBalanceError):
        exchange.move(101)

    assert (exchange.balances, exchange.account.movements()) == ((100, 100), [])


def test_a_waiting_movement_is_in_no_history_until_it_is_executed(exchange: Exchange) -> None:
    exchange.account.behaviour = TransferBehaviour(execution_delay_ms=1000)
    moved = exchange.move()

    exchange.ms += 999
    assert (exchange.balances, exchange.account.history()) == ((100, 100), [])
    exchange.ms += 5000
    assert exchange.balances == (90, 110)
    assert exchange.account.history() == [moved]
    assert moved.executed_ms == moved.accepted_ms + 1000


def test_the_later_of_two_waiting_movements_fails_without_balance(exchange: Exchange) -> None:
    exchange.account.behaviour = TransferBehaviour(execution_delay_ms=1000)
    first, second = exchange.move(60), exchange.move(60)
    exchange.ms += 1000

    assert exchange.balances == (40, 160)
    assert (first.status, second.status) == (MovementStatus.CONFIRMED, MovementStatus.FAILED)
    assert exchange.recorded == [(first.tran_id, MovementStatus.CONFIRMED)]


@pytest.mark.parametrize(
    ("ends", "kind", "balances", "income"),
    [
        (MovementStatus.CONFIRMED, TO_FUT, [(90, 100), (90, 110)], [10]),
        (MovementStatus.FAILED, TO_FUT, [(90, 100), (100, 100)], []),
        (MovementStatus.CONFIRMED, TO_SPOT, [(100, 90), (110, 90)], [-10]),
        (MovementStatus.FAILED, TO_SPOT, [(100, 90), (100, 100)], [-10, 10]),
    ],
)
def test_a_pending_movement_is_in_transit_then_arrives_or_returns(
    exchange: Exchange,
    ends: MovementStatus,
    kind: TransferType,
    balances: list[tuple[int, int]],
    income: list[int],
) -> None:
    exchange.account.behaviour = TransferBehaviour(pending_ms=1000, pending_ends=ends)
    moved = exchange.move(kind=kind)

    meanwhile = exchange.balances
    assert (moved.status, int(exchange.account.in_transit())) == (MovementStatus.PENDING, 10)
    exchange.ms += 1000
    assert [meanwhile, exchange.balances] == balances
    assert (moved.status, int(exchange.account.in_transit())) == (ends, 0)
    assert [each.amount for each in exchange.account.income()] == income
    expected = [(moved.tran_id, MovementStatus.PENDING), (moved.tran_id, MovementStatus.FAILED)]
    assert exchange.recorded == expected[: 2 if ends is MovementStatus.FAILED else 1]


def test_histories_lag_until_the_lag_is_removed(exchange: Exchange) -> None:
    account = exchange.account
    account.behaviour = TransferBehaviour(history_lag_ms=1000, income_lag_ms=2000)
    moved = exchange.move()

    assert (exchange.balances, account.history(), account.income()) == ((90, 110), [], [])
    exchange.ms += 1000
    assert (account.history(), account.income()) == ([moved], [])
    account.behaviour = TransferBehaviour()
    assert len(account.income()) == 1


def test_a_transfer_on_the_web_site_is_never_delayed(exchange: Exchange) -> None:
    exchange.account.behaviour = TransferBehaviour(execution_delay_ms=1000, pending_ms=1000)

    moved = exchange.account.transfer(TO_SPOT, Decimal(5), Origin.WEB)

    assert (moved.status, exchange.balances) == (MovementStatus.CONFIRMED, (105, 95))


MOVES = st.lists(
    st.tuples(
        st.sampled_from(TransferType),
        st.integers(1, 150),
        st.integers(0, 3000),
        st.builds(
            TransferBehaviour,
            execution_delay_ms=st.integers(0, 2000),
            pending_ms=st.integers(0, 2000),
            pending_ends=st.sampled_from([MovementStatus.CONFIRMED, MovementStatus.FAILED]),
        ),
    ),
    max_size=30,
)


@given(MOVES)
def test_the_total_balance_never_changes(
    moves: list[tuple[TransferType, int, int, TransferBehaviour]],
) -> None:
    exchange = Exchange()
    account = exchange.account
    for kind, amount, later_ms, behaviour in moves:
        account.behaviour = behaviour
        try:
            exchange.move(amount, kind)
        except InsufficientBalanceError:
            assert amount > account.balance(kind.source)
        exchange.ms += later_ms
        assert min(exchange.balances) >= 0
        assert sum(exchange.balances) + account.in_transit() == 2 * START
    exchange.ms += 10_000

    assert account.in_transit() == 0
    confirmed = [each for each in account.movements() if each.status is MovementStatus.CONFIRMED]
    change = sum(m.amount if m.type is TO_FUT else -m.amount for m in confirmed)
    assert exchange.balances[1] == START + change
    account.behaviour = TransferBehaviour()
    assert sum(each.amount for each in account.income()) == change
