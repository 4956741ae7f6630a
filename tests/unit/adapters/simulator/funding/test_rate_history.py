"""The history of funding: pages, lags, and what was ordered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.rate_history import RateHistory, RowChange, RowKey
from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.settlements import LATE_MAX_MS, Settlement
from chimera_s1.adapters.simulator.market.symbols import build_symbols

NOW_MS = 1_796_601_600_000  # 2026-12-07 00:00 UTC
DAY_MS = 24 * HOUR_MS


class SetTime:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def time() -> SetTime:
    return SetTime()


@pytest.fixture
def history(time: SetTime) -> RateHistory:
    return history_at(time)


def history_at(time: SetTime) -> RateHistory:
    return RateHistory(Market(build_symbols(20), 1, NOW_MS), ScaledClock(time))


def times(rows: list[Settlement]) -> list[int]:
    return [row.time_ms for row in rows]


@settings(max_examples=40)
@given(
    st.integers(min_value=2 * DAY_MS, max_value=3 * DAY_MS),
    st.integers(min_value=DAY_MS, max_value=2 * DAY_MS),
    st.integers(min_value=28, max_value=70),
)
def test_inclusive_pages_join_to_the_whole_window(back_ms: int, length_ms: int, limit: int) -> None:
    """Each page is a part of it; the last rows are its end."""
    history = history_at(SetTime())
    start_ms = NOW_MS - back_ms
    end_ms = start_ms + length_ms
    whole = history.first_rows(start_ms, end_ms, 10_000)
    page = history.first_rows(start_ms, end_ms, limit)
    assert len(page) == limit
    found = dict.fromkeys(page)
    while len(page) == limit:
        page = history.first_rows(page[-1].time_ms, end_ms, limit)
        found |= dict.fromkeys(page)

    assert list(found) == whole
    assert times(whole) == sorted(times(whole))
    assert all(start_ms <= row.time_ms <= end_ms for row in whole)
    tail = history.last_rows(end_ms, limit)
    assert tail[-len(whole) :] == whole[-limit:] or not whole


def test_each_row_appears_after_a_lag_of_its_own(history: RateHistory, time: SetTime) -> None:
    """Pending until then; the same rows for whoever asks when."""
    shortest, longest = history.lag_ms
    counts = []
    for time.now_ms in range(NOW_MS, NOW_MS + longest + LATE_MAX_MS + 1, 100):
        published = history.first_rows(NOW_MS, time.now_ms, 1_000)
        counts.append((len(published), len(history.pending())))
    rows = [published for published, _ in counts]

    assert rows[shortest // 100 - 1] == 0
    assert rows == sorted(rows)
    assert len(set(rows)) > 5
    assert counts[-1] == (rows[-1], 0)
    assert {sum(each) for each in counts[1:]} == {rows[-1]}


def test_a_withheld_row_is_neither_published_nor_pending(
    history: RateHistory, time: SetTime
) -> None:
    before = history.first_rows(NOW_MS - DAY_MS, NOW_MS - HOUR_MS, 1_000)
    row = before[7]
    history.withheld.add(RowKey(row.symbol, row.due_ms, row.rate_type))

    assert history.first_rows(NOW_MS - DAY_MS, NOW_MS - HOUR_MS, 1_000) == [
        *before[:7],
        *before[8:],
    ]
    time.now_ms = row.time_ms
    assert row not in history.pending()


def test_a_special_row_is_published_once_at_its_own_time(history: RateHistory) -> None:
    """Another one in the same hour takes its place, also where nothing else is settled."""
    (market,) = [
        each
        for each in history._market.perps_ever_listed()
        if each.spec.contract_type == "CURRENT_QUARTER"
    ]
    history.add_special(market, NOW_MS - HOUR_MS + 5, "0.1")
    kept = history.add_special(market, NOW_MS - HOUR_MS + 1_234_567, "0.2")

    assert history.first_rows(0, NOW_MS, 10, market) == [kept]
    assert kept in history.last_rows(NOW_MS, 100)
    assert list(history.specials()) == [kept]


def test_a_change_says_what_it_names_only(history: RateHistory) -> None:
    row = history.last_rows(NOW_MS - HOUR_MS, 1)[0]
    history.changes[RowKey(row.symbol, row.due_ms, row.rate_type)] = RowChange(mark_price="1.5")
    changed = history.last_rows(NOW_MS - HOUR_MS, 1)[0]

    assert (changed.rate, changed.mark_price) == (row.rate, "1.5")
