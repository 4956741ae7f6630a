"""Sessions of TradFi markets."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.market.trading_hours import UNDERLYING_TYPES, TradingHours

DAY_MS = 86_400_000
SATURDAY_MS = 1_796_428_800_000  # 2026-12-05 00:00 UTC


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(UNDERLYING_TYPES), st.booleans())
def test_sessions_follow_each_other_and_contain_the_current_one(
    now_ms: int, kind: str, fixed: bool
) -> None:
    hours = TradingHours()
    if fixed:
        hours.fixed[kind] = "AUCTION"
    sessions = hours.sessions(kind, now_ms)
    current = hours.current(kind, now_ms)

    assert sessions[-1].end_ms - sessions[0].start_ms == 7 * DAY_MS
    assert all(a.end_ms == b.start_ms for a, b in pairwise(sessions))
    assert current in sessions
    assert current.start_ms <= now_ms < current.end_ms
    assert not fixed or {session.kind for session in sessions} == {"AUCTION"}


def test_weekends_have_no_trading() -> None:
    hours = TradingHours()
    for kind in UNDERLYING_TYPES:
        days = [hours.sessions(kind, SATURDAY_MS + DAY_MS + n * DAY_MS)[0] for n in range(2)]
        assert [(day.kind, day.end_ms - day.start_ms) for day in days] == [
            ("NO_TRADING", DAY_MS),
            ("NO_TRADING", DAY_MS),
        ]
