from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.ports.market_feed import FeedCounters


@given(st.lists(st.sampled_from(["crossed", "malformed", "empty"])))
def test_drops_are_counted_by_reason(reasons: list[str]) -> None:
    counters, untouched = FeedCounters(), FeedCounters()
    for reason in reasons:
        counters.drop(reason)

    assert counters.dropped == {reason: reasons.count(reason) for reason in set(reasons)}
    assert untouched.dropped == {}
