"""Back-off grows up to its cap; jitter adds at most its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.backoff import Backoff
from tests.unit.domain.strategies import draws

retry_counts = st.integers(0, 10_000)


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    base = draw(st.integers(1, 60_000))
    return Backoff(
        base_ms=base,
        max_wait_ms=draw(st.integers(base, 3_600_000)),
        jitter_ms=draw(st.integers(0, 60_000)),
    )


@given(backoffs(), retry_counts, draws)
def test_wait_follows_the_formula(backoff: Backoff, retry_count: int, draw: float) -> None:
    """`min(max_wait, base * 2^n) + U * jitter`, computed here without the shortcut for large n."""
    steady = min(backoff.max_wait_ms, backoff.base_ms * 2**retry_count)

    assert backoff.wait_ms(retry_count, draw) == steady + draw * backoff.jitter_ms


@given(backoffs(), retry_counts, draws)
def test_a_wait_stays_between_base_and_cap_plus_jitter(
    backoff: Backoff, retry_count: int, draw: float
) -> None:
    wait = backoff.wait_ms(retry_count, draw)

    assert backoff.base_ms <= wait <= backoff.max_wait_ms + backoff.jitter_ms


@given(backoffs(), retry_counts, draws)
def test_waits_never_decrease(backoff: Backoff, retry_count: int, draw: float) -> None:
    assert backoff.wait_ms(retry_count, draw) <= backoff.wait_ms(retry_count + 1, draw)


def test_the_defaults_double_from_half_a_second_to_half_a_minute() -> None:
    waits = [Backoff().wait_ms(retry_count, 0.0) for retry_count in range(8)]

    assert waits == [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]


@pytest.mark.parametrize(
    ("base_ms", "max_wait_ms", "jitter_ms"),
    [(0, 1000, 0), (-1, 1000, 0), (500, 499, 0), (1, 1, -1)],
)
def test_contradictory_limits_are_refused(base_ms: int, max_wait_ms: int, jitter_ms: int) -> None:
    with pytest.raises(InvalidValueError, match="0 < base <= max wait"):
        Backoff(base_ms, max_wait_ms, jitter_ms)
