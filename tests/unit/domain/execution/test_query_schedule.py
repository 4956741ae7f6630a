"""Working orders are queried at their interval, fairly, and within the budget."""

import math

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.execution.query_schedule import (
    TRUSTED_INTERVAL_MS,
    UNPROVEN_INTERVAL_MS,
    QuerySchedule,
)

SECOND_MS = 1_000


def test_order_is_queried_at_the_interval_of_its_stream() -> None:
    schedule = QuerySchedule(limit=10)
    intervals = {"proven": TRUSTED_INTERVAL_MS, "unproven": UNPROVEN_INTERVAL_MS}
    asked = [schedule.next_round(intervals, n * SECOND_MS).due for n in range(7)]

    assert [names.count("unproven") for names in asked] == [0, 1, 1, 1, 1, 1, 1]
    assert [names.count("proven") for names in asked] == [0, 0, 0, 0, 0, 1, 0]


def test_order_that_is_closed_and_opened_again_starts_with_its_interval() -> None:
    schedule = QuerySchedule(limit=10)
    schedule.next_round({"a": 1_000}, 0)
    schedule.next_round({}, 1_000)

    assert schedule.next_round({"a": 1_000}, 10_000).due == ()


@given(orders=st.integers(1, 60), limit=st.integers(1, 20), rounds=st.integers(1, 40))
def test_every_order_gets_its_turn_within_the_limit(orders: int, limit: int, rounds: int) -> None:
    schedule = QuerySchedule(limit)
    intervals = {str(n): float(UNPROVEN_INTERVAL_MS) for n in range(orders)}
    schedule.next_round(intervals, 0)
    last_turn = dict.fromkeys(intervals, 0)
    for n in range(1, rounds + 1):
        chosen = schedule.next_round(intervals, n * SECOND_MS)
        assert len(chosen.due) == min(limit, orders)
        assert chosen.late == orders - len(chosen.due)
        last_turn.update(dict.fromkeys(chosen.due, n))
        assert n - min(last_turn.values()) < math.ceil(orders / limit)


def test_an_order_with_more_requests_takes_more_of_a_round() -> None:
    """A list with its legs is 3: a round has one, and the others wait their turn."""
    schedule = QuerySchedule(limit=3)
    requests = {"list": 3, "algo": 2, "large": 4}
    intervals = dict.fromkeys(("list", "order", "algo", "other", "large"), float(SECOND_MS))
    schedule.next_round(intervals, 0, requests)

    rounds = [schedule.next_round(intervals, SECOND_MS, requests) for _ in range(4)]
    assert [each.due for each in rounds] == [("list",), ("order", "algo"), ("other",), ("large",)]
    assert [each.late for each in rounds] == [4, 2, 1, 0]
