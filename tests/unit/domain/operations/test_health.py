"""Levels of every report, and that worse facts never give a better level."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.market.health import FeedReport, MarketReport, StreamStoreReport
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.operations.health import (
    HealthComponent,
    HealthReport,
    Level,
    is_ready,
    overall_level,
)
from chimera_s1.domain.operations.reports import (
    SKEW_GREEN_MS,
    ClockReport,
    LoopReport,
    skew_level,
)
from chimera_s1.domain.treasury.account_claim import AccountVerdict, Own, Unchecked
from chimera_s1.domain.treasury.health import TreasuryReport
from tests.account_verdicts import HELD_BY_OTHER, VERDICTS

GREEN, YELLOW, ORANGE, RED = Level
levels = st.sampled_from(Level)
bounds = st.one_of(st.floats(0, 300), st.floats(0, 1e6))


def feed(
    instruments: int | None = 4,
    unknown: tuple[str, ...] = (),
    connections: int = 2,
    delivering: int = 2,
    *,
    fatal: bool = False,
) -> FeedReport:
    return FeedReport(instruments, unknown, connections, delivering, fatal)


def streams(*, reachable: bool = True, waiting: int = 0, merged: bool = False) -> StreamStoreReport:
    return StreamStoreReport(reachable, waiting, merged, cause="" if reachable else "refused")


SOUND = TreasuryReport(
    ledger_damage="",
    store_error="",
    relay_error="",
    account=Own(),
    account_error="",
    key_problem="",
    clock_problem="",
    maintenance="",
    status_problem="",
    waiting=0,
    unresolved=0,
    oldest_unresolved_ms=0,
    in_review=0,
)


def treasury(**facts: str | bool | int | AccountVerdict) -> TreasuryReport:
    return replace(SOUND, **facts)


def component(level: Level, *, required: bool = True, ready: bool = True) -> HealthComponent:
    return HealthComponent("redis", level, since=0, detail="", required=required, ready=ready)


@pytest.mark.parametrize(
    ("report", "level"),
    [
        (feed(), GREEN),
        (feed(instruments=0, connections=0, delivering=0), GREEN),
        (feed(unknown=("NOPEUSDT",)), YELLOW),
        (feed(delivering=1), ORANGE),
        (feed(delivering=1, unknown=("NOPEUSDT",)), ORANGE),
        (feed(delivering=0), RED),
        (feed(fatal=True), RED),
        (feed(instruments=None, connections=0, delivering=0), RED),
        (replace(feed(instruments=0, connections=0, delivering=0), chosen=False), RED),
        (streams(), GREEN),
        (streams(merged=True), YELLOW),
        (streams(waiting=1), ORANGE),
        (streams(waiting=1, merged=True), ORANGE),
        (streams(reachable=False), RED),
        (ClockReport(ClockOffset(0.0, 0.0), 1.0), GREEN),
        (ClockReport(ClockOffset(250.0, 0.0), 0.95), GREEN),
        (ClockReport(None, 1.0), YELLOW),
        (ClockReport(ClockOffset(-250.5, 0.0), 1.0), YELLOW),
        (ClockReport(ClockOffset(500.0, 0.0), 1.0), YELLOW),
        (ClockReport(ClockOffset(0.0, 0.0), 0.94), YELLOW),
        (ClockReport(ClockOffset(0.0, 0.0), 0.5), YELLOW),
        (ClockReport(ClockOffset(500.5, 0.0), 1.0), ORANGE),
        (ClockReport(ClockOffset(-1000.0, 0.0), 1.0), ORANGE),
        (ClockReport(ClockOffset(0.0, 0.0), 0.49), ORANGE),
        (ClockReport(None, 0.0), ORANGE),
        (ClockReport(ClockOffset(1000.5, 0.0), 1.0), RED),
        (ClockReport(ClockOffset(-1000.5, 0.0), 0.0), RED),
        (ClockReport(ClockOffset(-2_500.0, 2_500.0), 1.0), YELLOW),
        (ClockReport(ClockOffset(0.0, 250.5), 1.0), YELLOW),
        (ClockReport(ClockOffset(450.0, 200.0), 1.0), GREEN),
        (ClockReport(ClockOffset(1_200.0, 199.0), 1.0), RED),
        (ClockReport(ClockOffset(-1_200.0, 200.0), 1.0), ORANGE),
        (LoopReport(100.0), GREEN),
        (LoopReport(100.5), YELLOW),
        (LoopReport(500.0), YELLOW),
        (LoopReport(500.5), ORANGE),
        (LoopReport(2000.0), ORANGE),
        (LoopReport(2000.5), RED),
        (MarketReport(0, 0, 0, 0), GREEN),
        (MarketReport(5, 1, 0, 0), GREEN),
        (MarketReport(5, 0, 1, 0), ORANGE),
        (MarketReport(0, 1, 0, 1), ORANGE),
        (MarketReport(0, 0, 1, 1), RED),
        (MarketReport(5, 0, 0, 0, late=1), ORANGE),
        (MarketReport(0, 0, 0, 0, late=6), ORANGE),
        (MarketReport(5, 0, 0, 0, degraded=1), ORANGE),
        (MarketReport(0, 0, 0, 0, degraded=6), RED),
        (MarketReport(5, 0, 0, 0, gone=("OLDUSDT",)), YELLOW),
        (MarketReport(5, 0, 1, 0, gone=("OLDUSDT",)), ORANGE),
        (SOUND, GREEN),
        (treasury(waiting=9, unresolved=9, oldest_unresolved_ms=60_000), GREEN),
        (treasury(clock_problem="not measured yet"), YELLOW),
        (treasury(unresolved=1, oldest_unresolved_ms=60_001), ORANGE),
        (treasury(in_review=1), ORANGE),
        (treasury(relay_error="gone"), ORANGE),
        (treasury(key_problem="it may withdraw"), ORANGE),
        (treasury(key_problem="it may withdraw", clock_problem="not measured"), ORANGE),
        (treasury(account_error="gone"), YELLOW),
        (treasury(account=Unchecked()), YELLOW),
        (treasury(account=Unchecked("gone"), clock_problem="not measured"), RED),
        (treasury(account=HELD_BY_OTHER, in_review=1), RED),
        (treasury(maintenance="status 1"), ORANGE),
        (treasury(maintenance="status 1", clock_problem="not measured"), ORANGE),
        (treasury(status_problem="404"), YELLOW),
        (treasury(store_error="gone"), RED),
        (treasury(ledger_damage="commit 3 was changed"), RED),
        (treasury(ledger_damage="commit 3 was changed", in_review=1), RED),
    ],
)
def test_each_report_has_the_level_of_the_table(report: HealthReport, level: Level) -> None:
    assert report.level is level


@given(st.floats(-1e7, 1e7), st.floats(0, 1e7), bounds)
def test_larger_offset_is_never_a_better_level(
    offset_ms: float, further_ms: float, bound_ms: float
) -> None:
    further = abs(offset_ms) + further_ms

    level = skew_level(ClockOffset(further, bound_ms))
    assert skew_level(ClockOffset(offset_ms, bound_ms)) <= level
    assert skew_level(ClockOffset(-further, bound_ms)) is level


@given(st.floats(-1e4, 1e4), bounds, st.floats(-1, 1))
def test_no_clock_level_is_worse_than_the_true_offset_may_be(
    offset_ms: float, bound_ms: float, share: float
) -> None:
    """Wherever the true offset is within the error bound; and GREEN is not said without knowing."""
    true_ms = offset_ms + share * bound_ms
    level = skew_level(ClockOffset(offset_ms, bound_ms))

    assert level <= max(YELLOW, skew_level(ClockOffset(true_ms, 0.0)))
    assert bound_ms <= SKEW_GREEN_MS or level is not GREEN


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.one_of(st.none(), st.builds(ClockOffset, st.floats(-1e4, 1e4), bounds)),
)
def test_lower_availability_is_never_a_better_level(
    one: float, other: float, offset: ClockOffset | None
) -> None:
    low, high = sorted((one, other))

    assert ClockReport(offset, low).level >= ClockReport(offset, high).level


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_larger_lag_is_never_a_better_level(one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert LoopReport(low).level <= LoopReport(high).level


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.booleans())
def test_fewer_delivering_connections_are_never_a_better_level(
    connections: int, one: int, other: int, fatal: bool
) -> None:
    low, high = sorted((min(one, connections), min(other, connections)))

    worse = feed(connections=connections, delivering=low, fatal=fatal).level
    assert worse >= feed(connections=connections, delivering=high, fatal=fatal).level


errors = st.sampled_from(["", "x"])
treasuries = st.builds(
    TreasuryReport,
    *[errors] * 3,
    st.sampled_from(VERDICTS),
    *[errors] * 3,
    st.booleans(),
    errors,
    *[st.integers(0, 3)] * 2,
    st.integers(0, 120_000),
    st.integers(0, 3),
)


@given(treasuries, st.sampled_from(TreasuryReport.__struct_fields__))
def test_treasury_with_one_problem_less_is_never_worse(report: TreasuryReport, name: str) -> None:
    better = replace(report, **{name: getattr(SOUND, name)})

    assert better.level <= report.level


@given(st.lists(levels), levels)
def test_overall_level_is_the_worst_level(parts: list[Level], further: Level) -> None:
    before = overall_level(map(component, parts))
    after = overall_level(map(component, [*parts, further]))

    assert before == max(parts, default=GREEN)
    assert after == max(before, further)


@given(st.lists(st.builds(component, levels, required=st.booleans(), ready=st.booleans())))
def test_only_a_required_component_ends_readiness(parts: list[HealthComponent]) -> None:
    broken = [part for part in parts if part.required and not part.ready]

    assert is_ready(parts) is not bool(broken)
