"""Holds of a venue: they only grow, and what one path hears holds for the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.operations.venue_hold import (
    POLICY_CALM_MS,
    POLICY_HOLD_MAX_MS,
    POLICY_HOLD_MS,
    HoldScope,
    VenueHold,
)

scopes = st.sampled_from(HoldScope)


@given(st.lists(st.tuples(scopes, st.floats(0, 1e9), st.floats(0, 1e6)), min_size=1))
def test_a_hold_is_never_shortened(told: list[tuple[HoldScope, float, float]]) -> None:
    """By any later one, of any scope."""
    hold, now_ms, dials_until, requests_until = VenueHold(), 0.0, 0.0, 0.0
    for scope, duration_ms, pause_ms in told:
        now_ms += pause_ms
        hold.hold(scope, duration_ms, "cause", now_ms)
        if scope is not HoldScope.REQUESTS:
            dials_until = max(dials_until, now_ms + duration_ms)
        if scope is not HoldScope.DIALS:
            requests_until = max(requests_until, now_ms + duration_ms)

        assert hold.dials_wait_ms(now_ms) == max(0.0, dials_until - now_ms)
        assert hold.requests_wait_ms(now_ms) == max(0.0, requests_until - now_ms)
        current = hold.current(now_ms)
        assert (current is None) == (max(dials_until, requests_until) <= now_ms)


@pytest.mark.parametrize(
    ("scope", "dials", "requests"),
    [
        (HoldScope.DIALS, True, False),
        (HoldScope.REQUESTS, False, True),
        (HoldScope.ALL, True, True),
    ],
)
def test_the_scope_says_what_is_held(scope: HoldScope, *, dials: bool, requests: bool) -> None:
    hold = VenueHold()
    hold.hold(scope, 10, "429", 0)

    assert (hold.dials_wait_ms(0) > 0, hold.requests_wait_ms(0) > 0) == (dials, requests)
    current = hold.current(9)
    assert current is not None
    assert (current.scope, current.cause) == (scope, "429")
    assert hold.current(10) is None


def test_two_holds_together_hold_everything() -> None:
    """Until the longer one ends, with its cause."""
    hold = VenueHold()
    hold.hold(HoldScope.DIALS, 10, "1008", 0)
    hold.hold(HoldScope.REQUESTS, 20, "503", 0)

    both, later = hold.current(5), hold.current(15)
    assert both is not None
    assert later is not None
    assert (both.scope, both.cause) == (HoldScope.ALL, "503")
    assert later.scope is HoldScope.REQUESTS
    assert hold.count == 1, "the second began while the first was in force"


def policy_holds(times: int, calm_ms: float = 0.0) -> list[float]:
    """Durations when a limit is broken again *calm_ms* after each hold has ended."""
    hold, now_ms, durations = VenueHold(), 1_000.0, list[float]()
    for _ in range(times):
        hold.hold_for_policy(HoldScope.DIALS, "1008", now_ms)
        durations.append(hold.dials_wait_ms(now_ms))
        now_ms += durations[-1] + calm_ms
    return durations


def test_a_hold_without_a_named_time_doubles_from_60_s_to_15_min() -> None:
    """Data in between changes nothing: a socket that delivers for a minute is no proof."""
    minute = POLICY_HOLD_MS

    assert policy_holds(6, calm_ms=45_000) == [
        minute, 2 * minute, 4 * minute, 8 * minute, POLICY_HOLD_MAX_MS, POLICY_HOLD_MAX_MS,
    ]  # fmt: skip
    assert policy_holds(40)[-1] == POLICY_HOLD_MAX_MS


def test_after_a_quarter_of_an_hour_of_calm_the_next_hold_is_a_first_one() -> None:
    assert policy_holds(3, calm_ms=POLICY_CALM_MS) == [POLICY_HOLD_MS] * 3
    assert policy_holds(2, calm_ms=POLICY_CALM_MS - 1) == [POLICY_HOLD_MS, 2 * POLICY_HOLD_MS]


def test_sockets_that_are_closed_together_are_one_hold() -> None:
    """Ten closes at one moment must not hold the venue for 15 minutes."""
    hold = VenueHold()
    for number in range(10):
        hold.hold_for_policy(HoldScope.DIALS, f"close {number}", 1_000.0 + number)

    assert hold.dials_wait_ms(1_000.0) == POLICY_HOLD_MS
    assert hold.count == 1
