"""What the estimates of a contract say, and when one is due."""

from itertools import pairwise

import pytest

from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.funding.estimates import (
    EARLY_MS,
    KEPT_SETTLEMENTS,
    OVERLAP_MS,
    REPEAT_MS,
    ContractEstimates,
    PublishedEstimates,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

BTC = Symbol("BTCUSDT")
T = 1_772_496_000_000


def estimate(event_time: int, funding_time: int = T, rate: str = "0.0001") -> FundingEstimate:
    return FundingEstimate(BTC, rate, funding_time, event_time)


def taken(*estimates: FundingEstimate) -> list[list[int]]:
    """The times of the settlements that each shows."""
    contract = ContractEstimates()
    return [[settled.funding_time for settled in contract.take(each)] for each in estimates]


@pytest.mark.parametrize("late_ms", [-EARLY_MS, 0, 1, 3 * HOUR_MS])
@pytest.mark.parametrize("interval_h", [1, 2, 4, 8])
def test_a_time_that_moves_on_is_a_settlement(late_ms: int, interval_h: int) -> None:
    """Also where it is seen late, after an outage."""
    after = estimate(T + late_ms, T + interval_h * HOUR_MS)

    assert taken(estimate(T - 2_000), after) == [[], [T]]


def test_a_shorter_or_longer_interval_is_no_settlement() -> None:
    """The exchange moves the next settlement long before its time, in either direction."""
    moved = [T, T - 4 * HOUR_MS, T]
    early = [estimate(T - 5 * HOUR_MS + at, time) for at, time in enumerate(moved)]

    assert taken(*early) == [[], [], []]


@pytest.mark.parametrize(
    ("hours", "event_hour", "next_hour", "expected"),
    [
        ([0, 1], 4, 5, [1, 4]),  # the last of them is not published yet, perhaps
        ([0, 1], 2.5, 3, [1, 2]),
        ([0, 1], 1.5, 2, [1]),
        ([0, 8], 15, 16, [8]),
        ([0, 8], 24, 32, [8, 24]),
        ([0, 1], 4, 8, [1]),  # the interval has become 4 h: none at 7
        ([0, 4], 6, 7, [4]),  # it has become 1 h
        ([0], 3, 4, [0]),  # not known: the first settlement since the start
    ],
)
def test_an_outage_over_several_settlements_shows_the_first_and_the_last(
    hours: list[int], event_hour: float, next_hour: int, expected: list[int]
) -> None:
    contract = ContractEstimates()
    for before, hour in pairwise([-1, *hours]):
        contract.take(estimate(T + before * HOUR_MS + 1_000, T + hour * HOUR_MS))
    back = estimate(T + round(event_hour * HOUR_MS) + 1_000, T + next_hour * HOUR_MS)
    shown = contract.take(back)

    assert [(each.funding_time - T) / HOUR_MS for each in shown] == expected
    assert all(each.symbol == BTC for each in shown)


def test_each_settlement_is_told_apart_while_seconds_pass() -> None:
    rows = [estimate(T + at * 1_000, T if at < 0 else T + HOUR_MS) for at in range(-3, 4)]

    assert taken(*rows) == [[], [], [], [T], [], [], []]


def test_a_row_that_comes_again_or_late_is_stale() -> None:
    """At a renewal both sockets deliver; far back means that the exchange's clock was set back."""
    contract = ContractEstimates()
    assert not contract.is_stale(estimate(T))
    contract.take(estimate(T))

    verdicts = {
        behind: contract.is_stale(estimate(T - behind))
        for behind in (-1, 0, 1, OVERLAP_MS, OVERLAP_MS + 1)
    }
    assert verdicts == {-1: False, 0: True, 1: True, OVERLAP_MS: True, OVERLAP_MS + 1: False}


def test_the_last_estimate_of_each_settlement_is_kept() -> None:
    """Of the coming one and the last ones; realised times may be some ms off the full hour."""
    contract = ContractEstimates()
    for hour in range(KEPT_SETTLEMENTS + 5):
        for second, rate in enumerate(("0.1", f"0.{hour + 10}")):
            time = T + hour * HOUR_MS
            contract.take(estimate(time - 5_000 + second, time, rate))
    last = KEPT_SETTLEMENTS + 4
    kept = [contract.rate(T + hour * HOUR_MS + 18) for hour in range(last + 2)]

    assert kept == ["", "", "", "", "", *(f"0.{hour + 10}" for hour in range(5, last + 1)), ""]


def test_an_estimate_is_due_on_change_and_when_the_last_one_is_old() -> None:
    published = PublishedEstimates()
    first = estimate(1)
    assert published.is_due(first, 0.0)
    published.record(first, 0.0)

    assert not published.is_due(estimate(2), REPEAT_MS - 1)
    assert published.is_due(estimate(2), REPEAT_MS)
    assert published.is_due(estimate(2, rate="0.0002"), 1.0)
    assert published.is_due(estimate(2, T + HOUR_MS), 1.0)
    published.forget([BTC])
    assert published.is_due(estimate(2), 1.0)
