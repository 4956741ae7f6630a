"""No limit is divided by fewer instances than share it."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.operations.instance_count import (
    ASSUMED_MIN,
    SETTLE_MS,
    InstanceCount,
    InstanceShares,
)


def test_before_the_first_count_the_worst_that_is_sensible_is_assumed() -> None:
    """Every shard with a standby; and it says so."""
    assert InstanceCount(shards=1).shares(0.0) == InstanceShares(ASSUMED_MIN, ASSUMED_MIN)
    assert InstanceCount(shards=5).shares(0.0) == InstanceShares(10, 10)
    assert InstanceCount(shards=1).sentence(0.0) == (
        "limits are divided by 4 instances, an assumption: their heartbeats are not read yet"
    )


def test_without_redis_the_assumption_stays_and_says_why() -> None:
    count = InstanceCount(shards=1)
    count.fail("connection refused")

    assert count.shares(9 * SETTLE_MS).requests == ASSUMED_MIN
    assert count.sentence(0.0).endswith("an assumption: connection refused")


def test_one_share_of_the_requests_is_left_to_an_instance_that_starts() -> None:
    count = InstanceCount(shards=1)
    count.add(2, 0.0)
    assert count.shares(SETTLE_MS - 1.0) == InstanceShares(ASSUMED_MIN, 2), "it knows, but not yet"
    assert count.shares(SETTLE_MS) == InstanceShares(3, 2)
    assert count.sentence(SETTLE_MS) == ("2 instances in the last 5 minutes, requests divided by 3")


def test_more_instances_count_at_once_and_fewer_after_the_longest_window() -> None:
    count = InstanceCount(shards=1)
    for now_ms, live in ((0.0, 1), (400_000.0, 6), (401_000.0, 1)):
        count.add(live, now_ms)
    assert count.shares(401_000.0) == InstanceShares(7, 6)

    count.add(1, 400_000.0 + SETTLE_MS)
    assert count.shares(400_000.0 + SETTLE_MS).dials == 6
    count.add(1, 400_001.0 + SETTLE_MS)
    assert count.shares(400_001.0 + SETTLE_MS) == InstanceShares(2, 1)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 400_000)), min_size=1))
def test_a_limit_is_divided_by_all_that_were_counted_in_its_window(
    counts: list[tuple[int, int]],
) -> None:
    count, now_ms, seen = InstanceCount(shards=1), 0.0, list[tuple[float, int]]()
    for live, pause_ms in counts:
        now_ms += pause_ms
        count.add(live, now_ms)
        seen.append((now_ms, live))
        most = max(live for at_ms, live in seen if at_ms >= now_ms - SETTLE_MS)

        shares = count.shares(now_ms)
        assert shares.requests > most
        assert shares.dials == most


def test_a_failed_count_leaves_what_was_known() -> None:
    count = InstanceCount(shards=1)
    count.add(3, 0.0)
    count.fail("timed out")

    assert count.shares(SETTLE_MS) == InstanceShares(4, 3)
    assert count.sentence(SETTLE_MS).endswith("divided by 4, not counted now: timed out")
