"""A level waits for what heals itself, comes at once where waiting costs money, and never flaps."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.domain.market.health import FeedReport, MarketReport, StreamStoreReport
from chimera_s1.domain.market.publisher_report import PublisherReport
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.operations.health import HealthReport, Level
from chimera_s1.domain.operations.level_grace import (
    GRACE_MAX_MS,
    SETTLE_MS,
    GraceLimit,
    SeenState,
    SettledLevel,
    describe_waiting,
)
from chimera_s1.domain.operations.reports import (
    ClockReport,
    EmbeddedRedisReport,
    LoopReport,
    VenueLimitsReport,
)
from chimera_s1.domain.operations.venue_hold import Hold, HoldScope
from chimera_s1.domain.treasury.account_claim import Own, Unchecked
from chimera_s1.domain.treasury.health import TreasuryReport

RUNBOOK = Path(__file__).parents[4] / "docs" / "runbook.md"
GREEN, YELLOW, ORANGE, RED = Level
AS_STATED = GraceLimit()
AT_ONCE = GraceLimit(0)

FEED = FeedReport(instruments=3, unlisted=(), connections=2, delivering=0, fatal=False)
STORE = StreamStoreReport(reachable=False, pending=0, merging_windows=False, cause="refused")
LEASE = PublisherReport(publishing=False, lease="a", cause="timed out")
OFFSET = ClockOffset(0.0, 20.0)
HOLD = Hold(until_ms=0.0, scope=HoldScope.DIALS, cause="429")
TREASURY = TreasuryReport(
    ledger_damage="",
    store_error="",
    relay_error="refused",
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

STATED: tuple[tuple[str, HealthReport, float], ...] = (
    ("`feed.*`: no or not every connection delivers", FEED, 10),
    ("`feed.*`: no or not every connection delivers", structs.replace(FEED, delivering=1), 10),
    ("`feed.*`: no listing, or no symbols of S10", structs.replace(FEED, instruments=None), 30),
    ("`feed.*`: FATAL", structs.replace(FEED, fatal=True), 0),
    ("`market.*`", MarketReport(0, 0, 0, blind=3), 10),
    ("`market.*`", MarketReport(2, 0, 0, 0, late=1), 10),
    ("`redis`: no write is acknowledged", STORE, 10),
    ("`redis`: one node", structs.replace(STORE, reachable=True, failing_nodes=1), 30),
    ("`publisher`: the lease cannot be read", LEASE, 10),
    ("`publisher`: the lease never expires", structs.replace(LEASE, endless=True), 0),
    ("`limits.*`: a hold that ends within 10 s", VenueLimitsReport(0, 9, 0, HOLD, 2_000), 10),
    ("`limits.*`: a longer hold", VenueLimitsReport(0, 9, 0, HOLD, 60_000), 0),
    ("`clock.*`: skew", ClockReport(ClockOffset(2_000.0, 20.0), 1.0), 0),
    ("`clock.*`: skew", ClockReport(ClockOffset(2_000.0, 20.0), 0.0), 0),
    ("`clock.*`: unanswered time requests", ClockReport(OFFSET, 0.2), 30),
    ("`clock.*`: unanswered time requests", ClockReport(None, 0.0), 30),
    ("`loop`", LoopReport(3_000.0), 10),
    ("`treasury`: events do not reach `ops:events`", TREASURY, 10),
    ("`treasury`: everything else", structs.replace(TREASURY, ledger_damage="x"), 0),
    ("`treasury`: everything else", structs.replace(TREASURY, store_error="x"), 0),
    ("`treasury`: everything else", structs.replace(TREASURY, account=Unchecked("x")), 0),
    ("`treasury`: everything else", structs.replace(TREASURY, in_review=1), 0),
    ("`treasury`: everything else", structs.replace(TREASURY, key_problem="x"), 0),
    ("`treasury`: everything else", structs.replace(TREASURY, maintenance="x"), 0),
    ("`treasury`: everything else", structs.replace(TREASURY, oldest_unresolved_ms=61_000), 0),
)


def shown(
    states: Iterable[tuple[float, Level]], grace_ms: float = 10_000, limit: GraceLimit = AS_STATED
) -> list[SettledLevel]:
    """The levels shown for *states*, each seen at a time in seconds."""
    settled, levels = SettledLevel(), []
    for at_s, level in states:
        settled = settled.after(SeenState(level, grace_ms, at_s * 1000), limit)
        levels.append(settled)
    return levels


def levels(*states: tuple[float, Level]) -> list[Level]:
    return [settled.level for settled in shown(states)]


def row(cells: str) -> list[str]:
    return [cell.strip() for cell in cells.strip("|\n").split("|")]


@pytest.mark.parametrize(("state", "report", "grace_s"), STATED)
def test_the_runbook_states_the_grace_of_each_report(
    state: str, report: HealthReport, grace_s: float
) -> None:
    text = RUNBOOK.read_text(encoding="utf-8").partition("### How long a level waits")[2]
    text = text.partition("S1_HEALTH_GRACE_MAX_MS")[0]
    graces = {cells[0]: cells[1] for line in text.splitlines() if len(cells := row(line)) == 3}

    assert report.level >= ORANGE
    assert report.grace_ms == grace_s * 1000
    assert graces[state] == (f"{grace_s} s" if grace_s else "none")


def test_no_stated_grace_is_cut_by_default() -> None:
    assert max(report.grace_ms for _, report, _ in STATED) <= GRACE_MAX_MS
    assert EmbeddedRedisReport().level is YELLOW, "YELLOW does not wait"


def test_half_a_second_is_yellow_only() -> None:
    assert levels((0, GREEN), (1, RED), (1.5, GREEN)) == [GREEN, YELLOW, GREEN]


def test_a_level_counts_at_the_end_of_its_grace() -> None:
    assert levels((0, RED), (9.9, RED), (10, RED)) == [YELLOW, YELLOW, RED]


def test_a_good_moment_does_not_grant_the_grace_again() -> None:
    """A connection that comes back for less than the settle time is still the same loss."""
    comes_and_goes = levels((0, GREEN), (1, RED), (5, GREEN), (9, RED), (11, RED))

    assert comes_and_goes == [GREEN, YELLOW, GREEN, YELLOW, RED]


def test_a_level_is_lowered_when_the_state_has_been_better_for_the_settle_time() -> None:
    states = [(0, RED), (10, RED), (11, GREEN), (14.9, GREEN), (15, GREEN)]

    assert levels(*states) == [YELLOW, RED, RED, RED, GREEN]


def test_a_level_does_not_flap() -> None:
    """Lost for 3 s, back for 3 s, for a minute: one change to RED, none back."""
    shown_each_second = levels(*((s, RED if s % 6 >= 3 else GREEN) for s in range(60)))

    assert RED not in shown_each_second[:15]
    assert set(shown_each_second[15:]) == {RED}


def test_red_after_a_long_orange_has_a_grace_of_its_own() -> None:
    assert levels((0, ORANGE), (10, ORANGE), (11, RED), (21, RED)) == [YELLOW, ORANGE, ORANGE, RED]


def test_orange_counts_from_when_the_state_was_at_least_so_bad() -> None:
    worse = levels((0, GREEN), (1, RED), (6, ORANGE), (11, ORANGE))

    assert worse == [GREEN, YELLOW, YELLOW, ORANGE]


def test_a_cause_without_grace_counts_at_once() -> None:
    """A loss that becomes FATAL."""
    lost = SettledLevel().after(SeenState(RED, 10_000, 0), AS_STATED)

    assert lost.level is YELLOW
    assert lost.after(SeenState(RED, 0, 1_000), AS_STATED).level is RED


def test_another_cause_has_its_own_grace_and_does_not_extend_the_first() -> None:
    """A start that reads its listing after 12 s is RED after 10 s more, not at once."""
    steps = [(0, 30_000), (12, 10_000), (21, 10_000), (22, 10_000)]
    settled, start = SettledLevel(), []
    for at_s, grace_ms in steps:
        settled = settled.after(SeenState(RED, grace_ms, at_s * 1000), AS_STATED)
        start.append(settled.level)
    lost = SettledLevel().after(SeenState(RED, 10_000, 0), AS_STATED)

    assert start == [YELLOW, YELLOW, YELLOW, RED]
    assert lost.after(SeenState(RED, 30_000, 10_000), AS_STATED).level is RED


def test_a_start_that_succeeded_is_no_part_of_the_next_loss() -> None:
    assert levels((0, RED), (9, GREEN), (11, RED), (20, RED), (21, RED)) == [
        *(YELLOW, GREEN, YELLOW, YELLOW, RED)
    ]


def test_ready_waits_for_the_first_success_and_for_red() -> None:
    """Not ready while it starts; ready within a grace; not ready until a recovery has lasted."""
    states = [(0, RED), (1, RED), (2, GREEN), (3, RED), (9, RED), (13, RED), (14, GREEN)]
    ready = [settled.ready for settled in shown([*states, (18, GREEN)])]

    assert ready == [False, False, True, True, True, False, False, True]


def test_how_long_a_state_lasted_is_without_grace_and_settle_time() -> None:
    *_, red, better, over = shown([(0, RED), (10, RED), (12, RED), (13, GREEN), (17, GREEN)])

    assert (red.lasted_ms, better.lasted_ms, over.lasted_ms) == (12_000, 12_000, 0)


def test_what_a_level_waits_for_is_said() -> None:
    lost, back = SeenState(RED, 10_000, 0), SeenState(GREEN, 0, 11_000)
    waiting = SettledLevel().after(lost, AS_STATED)
    counted = waiting.after(structs.replace(lost, at_ms=10_000), AS_STATED)

    assert describe_waiting(waiting, lost, AS_STATED) == "RED if it lasts 10 s"
    assert describe_waiting(counted, lost, AS_STATED) == ""
    held = counted.after(back, AS_STATED)
    assert describe_waiting(held, back, AS_STATED) == "RED until it has been better for 5 s"


seen_states = st.lists(
    st.tuples(st.integers(0, 20_000), st.sampled_from(Level), st.sampled_from([0, 10_000, 30_000]))
)


@given(seen_states)
def test_without_grace_the_level_is_that_of_the_state(
    steps: list[tuple[int, Level, int]],
) -> None:
    settled, at_ms = SettledLevel(), 0
    for wait_ms, level, grace_ms in steps:
        at_ms += wait_ms
        settled = settled.after(SeenState(level, grace_ms, at_ms), AT_ONCE)
        assert settled.level is level


@given(seen_states, st.integers(0, SETTLE_MS))
def test_a_bad_state_that_stays_counts_and_a_good_one_ends_it(
    steps: list[tuple[int, Level, int]], early_ms: int
) -> None:
    """From any history: nothing is hidden for ever, and nothing stays for ever."""
    settled, at_ms = SettledLevel(), 0
    for wait_ms, level, grace_ms in steps:
        at_ms += wait_ms
        settled = settled.after(SeenState(level, grace_ms, at_ms), AS_STATED)
        assert settled.level >= min(level, YELLOW)

    bad = settled
    for at in (at_ms, at_ms + 30_000):
        bad = bad.after(SeenState(RED, 30_000, at), AS_STATED)
    good = settled
    for at in (at_ms, at_ms + early_ms, at_ms + 2 * SETTLE_MS):
        good = good.after(SeenState(GREEN, 0, at), AS_STATED)

    assert bad.level is RED
    assert good.level is GREEN
