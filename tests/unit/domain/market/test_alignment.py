"""Alignment converts exchange time to local time, rounded to a millisecond."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.market.alignment import to_local_ms
from chimera_s1.domain.operations.clock_skew import ClockSample
from tests.unit.domain.strategies import epoch_ms

offsets = st.floats(min_value=-3_600_000, max_value=3_600_000)


@given(epoch_ms, offsets)
def test_local_time_is_rounded_to_the_nearest_millisecond(
    exchange_ms: int, offset_ms: float
) -> None:
    assert abs(to_local_ms(exchange_ms, offset_ms) - (exchange_ms - offset_ms)) <= 0.5


@given(epoch_ms, epoch_ms, offsets)
def test_alignment_preserves_order(one: int, other: int, offset_ms: float) -> None:
    low, high = sorted((one, other))

    assert to_local_ms(low, offset_ms) <= to_local_ms(high, offset_ms)


@given(epoch_ms, st.integers(-5000, 5000), st.integers(0, 400).map(lambda half: 2 * half))
def test_measured_offset_recovers_local_time(sent_ms: int, ahead_ms: int, rtt_ms: int) -> None:
    """With equal paths, a probe of a clock that is *ahead_ms* ahead undoes exactly that."""
    midpoint = sent_ms + rtt_ms // 2
    probe = ClockSample(sent_ms, sent_ms + rtt_ms, server_ms=midpoint + ahead_ms)

    assert to_local_ms(midpoint + ahead_ms, probe.offset_ms) == midpoint
