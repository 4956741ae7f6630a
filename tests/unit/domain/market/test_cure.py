"""A cure that does not help is repeated less and less often."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.market.cure import CureBackoff, CurePace

PACE = CurePace(60_000, 3_600_000)


def test_the_wait_doubles_up_to_its_limit() -> None:
    backoff, now_ms, waits = CureBackoff(PACE), 0.0, []
    for _ in range(9):
        backoff.record("perp-0", now_ms)
        wait_ms = next(
            w for w in range(0, 10_000_000, 60_000) if backoff.is_due("perp-0", now_ms + w)
        )
        waits.append(wait_ms // 60_000)
        now_ms += wait_ms
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_places_have_a_pace_of_their_own() -> None:
    backoff = CureBackoff(PACE)
    backoff.record("perp-0", 0)
    assert backoff.is_due("perp-1", 0)
    assert not backoff.is_due("perp-0", 59_999)
    backoff.reset("perp-0")
    assert backoff.is_due("perp-0", 1)
    assert not backoff.has_attempts


@given(st.integers(1, 10_000))
def test_any_number_of_attempts_has_a_finite_wait(attempts: int) -> None:
    backoff = CureBackoff(PACE)
    for _ in range(attempts):
        backoff.record("perp-0", 0)
    assert backoff.is_due("perp-0", PACE.max_ms)
