"""The dial budget: never more than its share in any window, and room for private streams."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.dial_budget import (
    DIAL_SPACING_MS,
    VENUE_DIALS,
    WINDOW_MS,
    DialBudget,
    DialLimit,
    dial_limit,
)

LIMIT = DialLimit(dials=10, reserved=2, window_ms=1_000, spacing_ms=10)


def dial_when_allowed(budget: DialBudget, now_ms: float, *, private: bool = False) -> float:
    """When the dial was made."""
    now_ms += budget.wait_ms(now_ms, private=private)
    assert budget.wait_ms(now_ms, private=private) == 0
    budget.take(now_ms)
    return now_ms


@given(st.lists(st.tuples(st.integers(0, 500), st.booleans()), max_size=60))
def test_no_window_holds_more_dials_than_the_limit(wishes: list[tuple[int, bool]]) -> None:
    """Whatever the pauses between the attempts, and whoever dials."""
    budget, now_ms, dialled = DialBudget(LIMIT), 0.0, list[tuple[float, bool]]()
    for pause_ms, private in wishes:
        now_ms = dial_when_allowed(budget, now_ms + pause_ms, private=private)
        dialled.append((now_ms, private))

    for start_ms, _ in dialled:
        window = [each for each in dialled if start_ms <= each[0] < start_ms + LIMIT.window_ms]
        assert len(window) <= LIMIT.dials
        if not any(private for _, private in window):
            assert len(window) <= LIMIT.public
    times = [at_ms for at_ms, _ in dialled]
    assert all(b - a >= LIMIT.spacing_ms for a, b in pairwise(times))
    assert budget.total == len(wishes)


def test_market_data_leaves_room_for_private_streams() -> None:
    """A storm of reconnects does not keep the stream of our own orders from being dialled."""
    budget, now_ms = DialBudget(LIMIT), 0.0
    for _ in range(LIMIT.public):
        now_ms = dial_when_allowed(budget, now_ms)

    assert budget.wait_ms(now_ms) == LIMIT.window_ms - now_ms
    for _ in range(LIMIT.reserved):
        now_ms = dial_when_allowed(budget, now_ms, private=True)
    assert budget.wait_ms(now_ms, private=True) == LIMIT.window_ms - now_ms


@pytest.mark.parametrize("instances", [1, 2, 4, 7, 150, 1000])
def test_the_instances_of_one_address_share_half_of_what_the_venue_allows(instances: int) -> None:
    """As long as each can have one dial."""
    limit = dial_limit(instances)

    assert limit.window_ms == WINDOW_MS
    assert limit.spacing_ms == DIAL_SPACING_MS
    assert limit.dials >= 1
    if instances <= VENUE_DIALS // 2:
        assert limit.dials * instances <= VENUE_DIALS // 2
    assert limit.reserved == limit.dials // 5


def test_one_instance_may_dial_120_public_sockets_in_five_minutes() -> None:
    assert (dial_limit(1).dials, dial_limit(1).public) == (150, 120)


@pytest.mark.parametrize(("dials", "reserved"), [(0, 0), (3, 3), (3, -1)])
def test_a_limit_without_public_dials_is_refused(dials: int, reserved: int) -> None:
    with pytest.raises(InvalidValueError, match="dial limit"):
        DialLimit(dials, reserved)
