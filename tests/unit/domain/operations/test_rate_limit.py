import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.rate_limit import Allowance, Exceeded, RateLimit

LIMITS = st.builds(RateLimit, per_s=st.integers(1, 1_000), burst=st.integers(1, 100))
PAUSES_MS = st.lists(st.floats(0, 5_000), max_size=80)


def admitted_at(limit: RateLimit, pauses_ms: list[float]) -> list[float]:
    """When requests were let through that came after *pauses_ms*."""
    now_ms, admitted = 0.0, []
    allowance = limit.initial_allowance(now_ms)
    for pause_ms in pauses_ms:
        now_ms += pause_ms
        after = limit.take(allowance, now_ms)
        if isinstance(after, Allowance):
            allowance = after
            admitted.append(now_ms)
    return admitted


@given(limit=LIMITS, pauses_ms=PAUSES_MS)
def test_no_interval_exceeds_burst_plus_rate(limit: RateLimit, pauses_ms: list[float]) -> None:
    times = admitted_at(limit, pauses_ms)

    for first, start_ms in enumerate(times):
        for last, end_ms in enumerate(times[first:], start=first):
            allowed = limit.burst + limit.per_s * (end_ms - start_ms) / 1000
            assert last - first + 1 <= allowed + 1e-6


@given(limit=LIMITS, pauses_ms=PAUSES_MS)
def test_request_after_the_given_wait_is_allowed(limit: RateLimit, pauses_ms: list[float]) -> None:
    """Not much earlier, and certainly then; being refused costs nothing."""
    now_ms = 0.0
    allowance = limit.initial_allowance(now_ms)
    for pause_ms in pauses_ms:
        now_ms += pause_ms
        after = limit.take(allowance, now_ms)
        if isinstance(after, Exceeded):
            assert isinstance(limit.take(allowance, now_ms + after.wait_ms * 0.9), Exceeded)
            now_ms += after.wait_ms + 1e-3
            after = limit.take(allowance, now_ms)
        assert isinstance(after, Allowance)
        allowance = after


def test_pause_refills_exactly_the_burst() -> None:
    limit = RateLimit(per_s=20, burst=40)

    assert len(admitted_at(limit, [0.0] * 100)) == 40
    assert len(admitted_at(limit, [0.0] * 40 + [3_600_000.0] + [0.0] * 100)) == 80


def test_stopped_clock_refills_nothing() -> None:
    limit = RateLimit(per_s=1_000, burst=1)

    assert limit.take(Allowance(0.0, at_ms=500.0), 400.0) == Exceeded(wait_ms=1.0)


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_limit_below_one_is_refused(per_s: int, burst: int) -> None:
    with pytest.raises(InvalidValueError, match="at least 1"):
        RateLimit(per_s, burst)
