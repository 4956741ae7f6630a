"""
Money is never made or lost; what is due happens in its order, whenever somebody looks.
"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.account.account import (
    Behaviour,
    InsufficientBalanceError,
    Wallet,
)
from chimera_s1.adapters.simulator.account.movements import (
    Account,
    Movement,
    Origin,
    Status,
    TransferType,
)
from chimera_s1.adapters.simulator.clock import ScaledClock

TO_FUTURES, TO_SPOT = TransferType.MAIN_UMFUTURE, TransferType.UMFUTURE_MAIN
START = Decimal(100)


class Exchange:
    """
    A wallet, and a wall clock that stands where it is put.
    """

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000
        self.books: list[tuple[int, Status]] = []
        self.wallet = Wallet(
            {Account.SPOT: START, Account.FUTURES: START},
            ScaledClock(lambda: self.ms),
            lambda movement: self.books.append((movement.tran_id, movement.status)),
        )

    def move(self, amount: int = 10, kind: TransferType = TO_FUTURES) -> Movement:
        return self.wallet.transfer(kind, Decimal(amount), Origin.WALLET)

    @property
    def balances(self) -> tuple[int, int]:
        spot, futures = (self.wallet.balance(account) for account in Account)
        return int(spot), int(futures)


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def test_a_movement_is_executed_and_booked_at_once(exchange: Exchange) -> None:
    moved = exchange.move(30)

    assert moved.status is Status.CONFIRMED
    assert exchange.balances == (70, 130)
    assert exchange.books == [(moved.tran_id, Status.CONFIRMED)]


def test_the_same_again_happens_again(exchange: Exchange) -> None:
    first, second = exchange.move(30), exchange.move(30)

    assert first.tran_id != second.tran_id
    assert exchange.balances == (40, 160)


def test_what_is_not_there_cannot_be_moved(exchange: Exchange) -> None:
    with pytest.raises(InsufficientBalanceError):
        exchange.move(101)

    assert (exchange.balances, exchange.wallet.movements()) == ((100, 100), [])


def test_what_waits_is_in_no_history_and_moves_when_its_time_comes(exchange: Exchange) -> None:
    exchange.wallet.behaviour = Behaviour(execution_delay_ms=1000)
    moved = exchange.move()

    exchange.ms += 999
    assert (exchange.balances, exchange.wallet.history()) == ((100, 100), [])
    exchange.ms += 5000
    assert exchange.balances == (90, 110)
    assert exchange.wallet.history() == [moved]
    assert moved.executed_ms == moved.accepted_ms + 1000


def test_of_two_that_wait_for_the_same_money_the_later_fails(exchange: Exchange) -> None:
    exchange.wallet.behaviour = Behaviour(execution_delay_ms=1000)
    first, second = exchange.move(60), exchange.move(60)
    exchange.ms += 1000

    assert exchange.balances == (40, 160)
    assert (first.status, second.status) == (Status.CONFIRMED, Status.FAILED)
    assert exchange.books == [(first.tran_id, Status.CONFIRMED)]


@pytest.mark.parametrize(
    ("ends", "kind", "balances", "income"),
    [
        (Status.CONFIRMED, TO_FUTURES, [(90, 100), (90, 110)], [10]),
        (Status.FAILED, TO_FUTURES, [(90, 100), (100, 100)], []),
        (Status.CONFIRMED, TO_SPOT, [(100, 90), (110, 90)], [-10]),
        (Status.FAILED, TO_SPOT, [(100, 90), (100, 100)], [-10, 10]),
    ],
)
def test_what_is_pending_is_in_transit_and_then_arrives_or_comes_back(
    exchange: Exchange,
    ends: Status,
    kind: TransferType,
    balances: list[tuple[int, int]],
    income: list[int],
) -> None:
    exchange.wallet.behaviour = Behaviour(pending_ms=1000, pending_ends=ends)
    moved = exchange.move(kind=kind)

    meanwhile = exchange.balances
    assert (moved.status, int(exchange.wallet.in_transit())) == (Status.PENDING, 10)
    exchange.ms += 1000
    assert [meanwhile, exchange.balances] == balances
    assert (moved.status, int(exchange.wallet.in_transit())) == (ends, 0)
    assert [each.amount for each in exchange.wallet.income()] == income
    booked = [(moved.tran_id, Status.PENDING), (moved.tran_id, Status.FAILED)]
    assert exchange.books == booked[: 2 if ends is Status.FAILED else 1]


def test_histories_lag_and_can_be_told_to_catch_up(exchange: Exchange) -> None:
    wallet = exchange.wallet
    wallet.behaviour = Behaviour(history_lag_ms=1000, income_lag_ms=2000)
    moved = exchange.move()

    assert (exchange.balances, wallet.history(), wallet.income()) == ((90, 110), [], [])
    exchange.ms += 1000
    assert (wallet.history(), wallet.income()) == ([moved], [])
    wallet.behaviour = Behaviour()
    assert len(wallet.income()) == 1


def test_a_human_is_not_slowed_down(exchange: Exchange) -> None:
    exchange.wallet.behaviour = Behaviour(execution_delay_ms=1000, pending_ms=1000)

    moved = exchange.wallet.transfer(TO_SPOT, Decimal(5), Origin.WEB)

    assert (moved.status, exchange.balances) == (Status.CONFIRMED, (105, 95))


MOVES = st.lists(
    st.tuples(
        st.sampled_from(TransferType),
        st.integers(1, 150),
        st.integers(0, 3000),
        st.builds(
            Behaviour,
            execution_delay_ms=st.integers(0, 2000),
            pending_ms=st.integers(0, 2000),
            pending_ends=st.sampled_from([Status.CONFIRMED, Status.FAILED]),
        ),
    ),
    max_size=30,
)


@given(MOVES)
def test_the_sum_is_always_the_same(moves: list[tuple[TransferType, int, int, Behaviour]]) -> None:
    exchange = Exchange()
    wallet = exchange.wallet
    for kind, amount, later_ms, behaviour in moves:
        wallet.behaviour = behaviour
        try:
            exchange.move(amount, kind)
        except InsufficientBalanceError:
            assert amount > wallet.balance(kind.source)
        exchange.ms += later_ms
        assert min(exchange.balances) >= 0
        assert sum(exchange.balances) + wallet.in_transit() == 2 * START
    exchange.ms += 10_000

    assert wallet.in_transit() == 0
    confirmed = [each for each in wallet.movements() if each.status is Status.CONFIRMED]
    change = sum(m.amount if m.type is TO_FUTURES else -m.amount for m in confirmed)
    assert exchange.balances[1] == START + change
    wallet.behaviour = Behaviour()
    assert sum(each.amount for each in wallet.income()) == change
