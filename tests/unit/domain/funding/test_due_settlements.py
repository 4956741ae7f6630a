"""Which settlements are waited for, and when the exchange is asked next."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.funding.due_settlements import (
    GIVE_UP_MS,
    POLLS,
    DueSettlement,
    DueSettlements,
)
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

AT = 1_772_510_400_000
A, B = Symbol("AUSDT"), Symbol("BUSDT")


def key(symbol: Symbol, time: int) -> SettlementKey:
    return SettlementKey(time, symbol, REGULAR)


def test_the_first_read_comes_soon_and_the_next_ones_ever_later() -> None:
    due = DueSettlements()
    due.notice(A, AT, 1_000, 0)
    assert due.wait_ms(1_000) == POLLS.base_ms
    now_ms, waits = 1_000.0, []
    for _ in range(10):
        now_ms += due.wait_ms(now_ms)
        due.polled(now_ms, 0)
        waits.append(due.wait_ms(now_ms))
    assert all(shorter <= longer for shorter, longer in pairwise(waits))
    assert waits[0] == 2 * POLLS.base_ms
    assert waits[-1] == POLLS.max_wait_ms


def test_others_of_the_same_hour_do_not_hasten_the_next_read_but_a_new_hour_does() -> None:
    due = DueSettlements()
    due.notice(A, AT, 0, 0)
    for _ in range(6):
        due.polled(0, 0)
    slow_ms = due.wait_ms(0)
    due.notice(B, AT, 0, 0)
    due.notice(A, AT, 0, 0)
    assert due.wait_ms(0) == slow_ms

    due.notice(A, AT + HOUR_MS, 0, 0)
    assert due.wait_ms(0) == POLLS.base_ms
    assert (len(due), due.earliest) == (3, AT)


@given(st.integers(-60_000, 60_000))
def test_a_settlement_some_ms_off_its_hour_is_the_one_that_waits(off_ms: int) -> None:
    due = DueSettlements()
    due.notice(A, AT, 0, 0)
    due.notice(B, AT, 0, 0)
    found = due.take_stored([key(A, AT + off_ms), key(B, AT - HOUR_MS)])
    assert found == (DueSettlement(A, AT),)
    assert len(due) == 1


def test_what_is_never_published_is_given_up() -> None:
    due = DueSettlements()
    due.notice(A, AT, 0, 0)
    due.notice(B, AT + HOUR_MS, 1, 0)
    assert due.give_up(GIVE_UP_MS - 1) == ()
    assert due.give_up(GIVE_UP_MS) == (DueSettlement(A, AT),)
    assert due.earliest == AT + HOUR_MS
    due.give_up(GIVE_UP_MS + 1)
    assert len(due) == 0

    due.notice(A, AT + 2 * HOUR_MS, GIVE_UP_MS, 0)
    assert due.wait_ms(GIVE_UP_MS) == POLLS.base_ms
