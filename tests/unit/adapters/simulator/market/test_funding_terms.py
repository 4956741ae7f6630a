"""When contracts settle funding: what is announced is what happens."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS, FundingTerms
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec, build_symbol
from chimera_s1.domain.identifiers import Venue

START_MS = 1_796_601_600_000  # 2026-12-07 00:00 UTC
WEEKS_5_MS = 5 * 7 * 24 * HOUR_MS
PERPETUAL = structs.replace(build_symbol(Venue.PERP, "ABCUSDT", "USDT"), onboard_ms=START_MS)

changes = st.lists(
    st.tuples(
        st.one_of(
            st.integers(min_value=1, max_value=48 * HOUR_MS),
            st.integers(min_value=1, max_value=48).map(lambda hours: hours * HOUR_MS),
        ),
        st.sampled_from([1, 2, 4, 8]),
        st.booleans(),
    ),
    max_size=6,
)


def spec(hours: int, *, hourly_weeks: bool = False) -> SymbolSpec:
    return structs.replace(PERPETUAL, funding_hours=hours, hourly_weeks=hourly_weeks)


def announced(terms: FundingTerms, start_ms: int, end_ms: int) -> list[int]:
    """The settlements that follow one another in `T`, seen from *start_ms*."""
    times, now_ms = [], start_ms
    while (next_ms := terms.next_ms(now_ms)) and next_ms <= end_ms:
        times.append(next_ms)
        now_ms = next_ms
    return times


def happened(terms: FundingTerms, start_ms: int, end_ms: int) -> list[int]:
    hours = range(start_ms // HOUR_MS * HOUR_MS + HOUR_MS, end_ms + 1, HOUR_MS)
    return [hour_ms for hour_ms in hours if terms.settles_at(hour_ms)]


@given(changes, st.booleans())
def test_each_settlement_is_announced_and_each_announced_one_happens(
    steps: list[tuple[int, int, bool]], hourly_weeks: bool
) -> None:
    """Over changes of the interval, delistings and listings; the past stays as it was."""
    terms = FundingTerms(spec(8, hourly_weeks=hourly_weeks))
    now_ms, seen = START_MS, []
    for after_ms, hours, delisted in steps:
        seen += announced(terms, now_ms, now_ms + after_ms)
        now_ms += after_ms
        terms.change(spec(hours, hourly_weeks=hourly_weeks), now_ms, delisted=delisted)
        assert happened(terms, START_MS, now_ms) == seen
    end_ms = now_ms + 24 * HOUR_MS
    assert happened(terms, START_MS, end_ms) == seen + announced(terms, now_ms, end_ms)


def test_one_week_of_five_is_hourly() -> None:
    terms = FundingTerms(spec(8, hourly_weeks=True))
    per_week = [
        len(happened(terms, start_ms, start_ms + WEEKS_5_MS // 5))
        for start_ms in range(START_MS, START_MS + WEEKS_5_MS, WEEKS_5_MS // 5)
    ]

    assert START_MS % (24 * HOUR_MS) == 0
    assert sum(per_week) == 4 * 21 + 7 * 24


def test_what_does_not_trade_does_not_settle() -> None:
    dated = structs.replace(PERPETUAL, contract_type="CURRENT_QUARTER")
    pending = structs.replace(PERPETUAL, status="PENDING_TRADING")
    ended_ms = START_MS + 24 * HOUR_MS
    settling = structs.replace(PERPETUAL, status="SETTLING", delivery_ms=ended_ms)

    for each in (dated, pending):
        assert happened(FundingTerms(each), 0, START_MS) == []
        assert FundingTerms(each).next_ms(START_MS) == 0
    assert happened(FundingTerms(settling), START_MS, ended_ms + 48 * HOUR_MS) == [
        START_MS + hours * HOUR_MS for hours in (8, 16, 24)
    ]


def test_a_clock_that_was_set_back_takes_changes_back() -> None:
    terms = FundingTerms(spec(8))
    terms.change(spec(1), START_MS + 100 * HOUR_MS, delisted=False)
    terms.change(spec(4), START_MS + 50 * HOUR_MS, delisted=False)

    assert terms.spans == [(START_MS, 8), (START_MS + 50 * HOUR_MS, 4)]
