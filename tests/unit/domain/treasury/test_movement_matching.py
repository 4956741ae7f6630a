"""Assignment of movements to several transfers that each of them could belong to."""

from decimal import Decimal
from itertools import product
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.movement_matching import MovementIndex, assign_movements
from chimera_s1.domain.treasury.reconciliation import (
    Movement,
    MovementStatus,
    ReconciliationTiming,
    execution_window,
)
from chimera_s1.domain.treasury.transfer import Phase, Transfer
from tests.transfer_events import AT, TERMS

TIMING = ReconciliationTiming(execution_ms=10_000)


def transfer(name: str, after_ms: int = 0, amount: int = 10) -> Transfer:
    return Transfer(
        transfer_id=TransferId(name),
        direction=Direction.SPOT_TO_FUT,
        amount=Decimal(amount),
        reason="",
        fingerprint="",
        mode=TreasuryMode.WALLET,
        limits=TERMS.limits,
        day=TERMS.day,
        accepted_at=AT,
        phase=Phase.UNKNOWN,
        attempt=1,
        signed_at=AT + after_ms,
        recv_window_ms=5_000,
    )


def movement(
    tran_id: str,
    after_ms: int = 0,
    amount: int = 10,
    status: MovementStatus = MovementStatus.CONFIRMED,
) -> Movement:
    return Movement(tran_id, Direction.SPOT_TO_FUT, Decimal(amount), status, AT + after_ms)


def assigned(transfers: list[Transfer], movements: list[Movement]) -> dict[str, str]:
    index = MovementIndex(movements)
    found = assign_movements({t.transfer_id: index.candidates(t, TIMING) for t in transfers})
    return {key: each.tran_id for key, each in found.items()}


def test_the_nearest_movement_goes_to_each_transfer() -> None:
    transfers = [transfer("a"), transfer("b", 5_000)]

    rows = [movement("2", 5_100), movement("1", 200)]
    assert assigned(transfers, rows) == {"a": "1", "b": "2"}


def test_a_transfer_leaves_the_only_movement_of_another() -> None:
    """b was signed at 3 s: movement 1 is nearer to it, but a has no other."""
    transfers = [transfer("b", 3_000), transfer("a")]

    rows = [movement("1", 2_000), movement("2", 18_000)]
    assert assigned(transfers, rows) == {"a": "1", "b": "2"}


def test_one_movement_completes_the_first_transfer_only() -> None:
    assert assigned([transfer("a"), transfer("b", 100)], [movement("1", 90)]) == {"a": "1"}


def test_a_movement_of_another_amount_or_that_failed_goes_to_no_transfer() -> None:
    failed = movement("2", status=MovementStatus.FAILED)

    assert not assigned([transfer("a")], [movement("1", amount=11), failed])


def test_movements_in_one_millisecond_are_assigned_by_their_number() -> None:
    rows = [movement("3"), movement("1"), movement("2")]

    assert assigned([transfer("a"), transfer("b")], rows) == {"a": "1", "b": "2"}


transfers = st.lists(st.tuples(st.integers(0, 30_000), st.sampled_from([10, 11])), max_size=5).map(
    lambda drawn: [transfer(str(n), *each) for n, each in enumerate(drawn)]
)
movements = st.lists(
    st.tuples(
        st.integers(-3_000, 50_000), st.sampled_from([10, 11]), st.sampled_from(MovementStatus)
    ),
    max_size=5,
).map(lambda drawn: [movement(str(n), *each) for n, each in enumerate(drawn)])


@given(transfers, movements, st.randoms())
def test_as_many_transfers_as_possible_get_a_movement_of_their_own(
    transfers: list[Transfer], movements: list[Movement], random: Random
) -> None:
    found = assigned(transfers, movements)

    assert len(set(found.values())) == len(found), "each movement once"
    by_id = {each.transfer_id: each for each in transfers}
    rows = {each.tran_id: each for each in movements}
    assert all(_fits(by_id[TransferId(key)], rows[value]) for key, value in found.items())
    assert len(found) == _most(transfers, movements)
    random.shuffle(movements)
    assert assigned(transfers, movements) == found, "the order of the rows decides nothing"


def _fits(transfer: Transfer, row: Movement) -> bool:
    window = execution_window(transfer, TIMING)
    return (
        row.amount == transfer.amount
        and window.start <= row.moved_at <= window.end
        and row.status is not MovementStatus.FAILED
    )


def _most(transfers: list[Transfer], movements: list[Movement]) -> int:
    """By trying every assignment."""
    options = [
        [None, *(row.tran_id for row in movements if _fits(each, row))] for each in transfers
    ]
    counts = [0]
    for choice in product(*options):
        taken = [each for each in choice if each is not None]
        if len(set(taken)) == len(taken):
            counts.append(len(taken))
    return max(counts)


def test_in_subaccount_mode_amount_and_time_decide_nothing() -> None:
    own = replace(transfer("a"), mode=TreasuryMode.SUBACCOUNT)

    assert not assigned([own], [movement("1")])
