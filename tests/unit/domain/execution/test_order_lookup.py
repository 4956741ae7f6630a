"""An unknown outcome is looked up until the order is found or proven absent."""

from hypothesis import example, given
from hypothesis import strategies as st

from chimera_s1.domain.execution.order_lookup import (
    KEPT_MS,
    LOOKUPS_MIN,
    QUERY_LAG_MS,
    SETTLING_MS,
    OrderLookup,
)

SIGNED_MS = 1_796_000_000_000
WINDOW_MS = 2_000


def _lookup(not_found: int = 0, failures: int = 0) -> OrderLookup:
    return OrderLookup(
        signed_at_ms=SIGNED_MS, recv_window_ms=WINDOW_MS, not_found=not_found, failures=failures
    )


def test_absence_needs_three_lookups_and_the_last_one_late_enough() -> None:
    decisive_ms = _lookup().decisive_from_ms

    assert decisive_ms >= SIGNED_MS + WINDOW_MS + SETTLING_MS
    assert not _lookup(LOOKUPS_MIN - 1).proves_absence(decisive_ms)
    assert not _lookup(LOOKUPS_MIN).proves_absence(decisive_ms - 1)
    assert _lookup(LOOKUPS_MIN).proves_absence(decisive_ms)


def test_lookup_without_the_exchange_clock_proves_nothing() -> None:
    assert not _lookup(100).proves_absence(None)


def test_order_that_the_exchange_may_have_forgotten_is_never_called_absent() -> None:
    late_ms = SIGNED_MS + KEPT_MS + 1

    assert not _lookup(100).proves_absence(late_ms)
    assert _lookup(100).too_old_to_prove(late_ms)
    assert not _lookup(100).too_old_to_prove(late_ms - 1)


def test_lookup_that_fails_is_not_one_that_did_not_find_the_order() -> None:
    lookup = _lookup(LOOKUPS_MIN - 1).after_failure()

    assert not lookup.proves_absence(lookup.decisive_from_ms)
    assert lookup.after_not_found().proves_absence(lookup.decisive_from_ms)


@given(
    failing=st.lists(st.booleans(), max_size=12),
    reply_ms=st.floats(0, 3_000),
    draw=st.floats(0, 1, exclude_max=True),
)
@example(failing=[], reply_ms=875.0, draw=0.0)
def test_schedule_ends_with_absence_soon_after_it_can_be_proven(
    failing: list[bool], reply_ms: float, draw: float
) -> None:
    lookup, now_ms, waits = _lookup(), float(SIGNED_MS), list[float]()
    for fails in (*failing, *(False for _ in range(40))):
        begun_ms = now_ms
        lookup = lookup.after_failure() if fails else lookup.after_not_found()
        if lookup.proves_absence(begun_ms):
            break
        now_ms += reply_ms
        waits.append(lookup.wait_ms(now_ms, draw))
        now_ms += waits[-1]

    assert lookup.not_found >= LOOKUPS_MIN
    assert begun_ms >= SIGNED_MS + WINDOW_MS + SETTLING_MS
    assert all(wait > 0 for wait in waits)
    if not failing:
        latest = WINDOW_MS + QUERY_LAG_MS + 3 * reply_ms + 1_000
        assert begun_ms - SIGNED_MS <= latest
