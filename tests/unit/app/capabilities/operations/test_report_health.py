"""Health: the level of each report, the time of its last change, and a sentence with advice."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.app.capabilities.operations.report_health import CHECK_INTERVAL_MS, ReportHealth
from chimera_s1.domain.market.health import FeedReport, MarketReport, StreamStoreReport
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.operations.health import HealthReport, HealthSource, Level
from chimera_s1.domain.operations.level_grace import GraceLimit
from chimera_s1.domain.operations.reports import ClockReport, LoopReport
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.treasury.account_claim import Own
from chimera_s1.domain.treasury.health import TreasuryReport
from tests.account_verdicts import VERDICTS
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

WELL = StreamStoreReport(reachable=True, pending=0, merging_windows=False, cause="")
UNREACHABLE = StreamStoreReport(
    reachable=False, pending=3, merging_windows=False, cause="connection refused"
)
FEED = FeedReport(instruments=300, unlisted=(), connections=2, delivering=2, fatal=False)
FATAL = FeedReport(instruments=300, unlisted=(), connections=2, delivering=1, fatal=True)

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

AT_ONCE = GraceLimit(0)

ADVICE = (
    "check",
    "S1_",
    "synchronise",
    "correct",
    "do not trade",
    "runbook",
    "check the exchange's history, then resolve",
    "reconciliation continues",
    "run chimera-s1 ",
    "the exchange key: ",
)

counts = st.integers(0, 2000)
errors = st.sampled_from(["", "timed out"])
reports = st.one_of(
    st.builds(
        FeedReport,
        instruments=st.none() | counts,
        unlisted=st.lists(st.sampled_from(["spot/FOO", "perp/BAR"])).map(tuple),
        connections=counts,
        delivering=counts,
        fatal=st.booleans(),
    ),
    st.builds(
        StreamStoreReport,
        reachable=st.booleans(),
        pending=counts,
        merging_windows=st.booleans(),
        cause=st.sampled_from(["", "timed out"]),
    ),
    st.builds(
        ClockReport,
        offset=st.none() | st.builds(ClockOffset, st.floats(-5000, 5000), st.floats(0, 5000)),
        p_up=st.floats(0, 1),
    ),
    st.builds(LoopReport, lag_ms=st.floats(0, 10_000)),
    st.builds(MarketReport, counts, counts, counts, counts),
    st.builds(
        TreasuryReport,
        *[errors] * 3,
        st.sampled_from(VERDICTS),
        *[errors] * 2,
        st.booleans(),
        errors,
        counts,
        counts,
        st.integers(0, 200_000),
        counts,
    ),
)


@dataclass
class Store:
    """A component whose state the test sets."""

    now: HealthReport

    def report(self) -> HealthReport:
        return self.now


def treasury(**facts: str | bool | int) -> TreasuryReport:
    return structs.replace(SOUND, **facts)


def health(clock: ManualClock, grace: GraceLimit = AT_ONCE) -> ReportHealth:
    return ReportHealth(
        clock, shard="0/2", version="1.2.3", mode=lambda: TradingMode.NORMAL, grace=grace
    )


@asynccontextmanager
async def checking(
    clock: ManualClock, store: "Store", grace: GraceLimit = AT_ONCE
) -> AsyncIterator[tuple[ReportHealth, list[EventDetail]]]:
    """The worker of a service with *store* as its only component, and what it records."""
    service, recorded = health(clock, grace), list[EventDetail]()
    service.register(HealthSource("redis", store.report, required=True))
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, lambda _kind, detail: recorded.append(detail))
            await clock.wait_for_sleeper()
            yield service, recorded
            tasks.cancel_scope.cancel()


def levels(recorded: list[EventDetail]) -> list[str]:
    return [f"{detail['from']} {detail['to']}" for detail in recorded]


async def test_since_is_when_the_level_changed() -> None:
    clock, store = ManualClock(1_000_000), Store(WELL)
    service = health(clock)
    service.register(HealthSource("redis", store.report, required=True))

    since = [service.snapshot().components[0].since]
    await clock.advance(10_000)
    since.append(service.snapshot().components[0].since)
    store.now = UNREACHABLE
    since.append(service.snapshot().components[0].since)
    await clock.advance(500)
    since.append(service.snapshot().components[0].since)

    assert since == [1_000_000, 1_000_000, 1_010_000, 1_010_000]


async def test_level_change_is_logged_without_a_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The worker records the fall and the recovery; a request a minute later shows their times."""
    caplog.set_level(logging.INFO)
    clock, store = ManualClock(0), Store(WELL)
    async with checking(clock, store) as (service, recorded):
        store.now = UNREACHABLE
        await clock.advance(CHECK_INTERVAL_MS)
        store.now = WELL
        await clock.advance(60_000)

    assert service.snapshot().components[0].since == 2 * CHECK_INTERVAL_MS
    assert levels(recorded) == ["GREEN RED", "RED GREEN"]
    fall, recovery = caplog.records
    assert (fall.levelno, recovery.levelno) == (logging.WARNING, logging.INFO)
    assert fall.message.startswith("redis is RED: ")
    assert recovery.message == "redis is GREEN after 0.0 s of RED: every write is acknowledged"


async def test_half_a_second_without_redis_is_no_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is shown as YELLOW with what it waits for, and the service stays ready."""
    caplog.set_level(logging.INFO)
    clock, store = ManualClock(0), Store(WELL)
    async with checking(clock, store, GraceLimit()) as (service, recorded):
        store.now = UNREACHABLE
        await clock.advance(CHECK_INTERVAL_MS)
        during = service.snapshot()
        store.now = WELL
        await clock.advance(60_000)

    assert (during.status, during.ready) == (Level.YELLOW, True)
    assert during.components[0].detail.endswith("; RED if it lasts 10 s")
    assert levels(recorded) == ["GREEN YELLOW", "YELLOW GREEN"]
    assert not caplog.records


async def test_a_longer_outage_is_one_line_and_its_end_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock, store = ManualClock(0), Store(WELL)
    async with checking(clock, store, GraceLimit()) as (service, recorded):
        store.now = UNREACHABLE
        await clock.advance(30_000)
        during = service.snapshot()
        store.now = WELL
        await clock.advance(1_000)
        better = service.snapshot()
        await clock.advance(60_000)
        after = service.snapshot()

    assert [each.ready for each in (during, better, after)] == [False, False, True]
    assert better.components[0].detail.endswith("; RED until it has been better for 5 s")
    assert levels(recorded) == ["GREEN YELLOW", "YELLOW RED", "RED GREEN"]
    assert recorded[-1]["lasted_ms"] == 29_500
    fall, recovery = (record.message for record in caplog.records)
    assert fall.startswith("redis is RED: ")
    assert recovery == "redis is GREEN after 29.5 s of RED: every write is acknowledged"


async def test_a_service_that_starts_is_yellow_and_not_ready() -> None:
    clock, store = ManualClock(0), Store(UNREACHABLE)
    service = health(clock, GraceLimit())
    service.register(HealthSource("redis", store.report, required=True))
    starting = service.snapshot()
    store.now = WELL
    started = service.snapshot()

    assert (starting.status, starting.ready) == (Level.YELLOW, False)
    assert (started.status, started.ready) == (Level.GREEN, True)


async def test_snapshot_describes_the_service() -> None:
    clock = ManualClock()
    service = health(clock)
    service.register(HealthSource("feed.spot", Store(FEED).report, required=True))
    service.register(
        HealthSource(
            "clock.spot", Store(ClockReport(ClockOffset(600.0, 40.4), 1.0)).report, required=False
        )
    )
    await clock.advance(61_999)

    snapshot = service.snapshot()

    assert (snapshot.shard, snapshot.version, snapshot.uptime_s) == ("0/2", "1.2.3", 61)
    assert [(each.name, each.level) for each in snapshot.components] == [
        ("feed.spot", Level.GREEN),
        ("clock.spot", Level.ORANGE),
    ]
    assert snapshot.status is Level.ORANGE
    assert snapshot.mode is TradingMode.NORMAL


@pytest.mark.parametrize(("required", "ready"), [(True, False), (False, True)])
async def test_only_required_components_end_readiness(*, required: bool, ready: bool) -> None:
    service = health(ManualClock())
    service.register(HealthSource("redis", Store(UNREACHABLE).report, required=required))

    assert service.snapshot().status is Level.RED
    assert service.snapshot().ready is ready


async def test_a_component_is_described_by_its_report() -> None:
    """The report computes its level and sentence; health depends on no kind of report."""

    class Report:
        level = Level.ORANGE
        grace_ms = 0
        sentence = "half of it works"

    service = health(ManualClock())
    service.register(HealthSource("part", Report, required=True))
    component = service.snapshot().components[0]

    assert (component.level, component.detail) == (Level.ORANGE, "half of it works")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (FEED, "300 instruments on 2 connections"),
        (FeedReport(0, (), 0, 0, fatal=False), "no instrument of this venue is chosen"),
        (FeedReport(0, (), 0, 0, fatal=False, chosen=False), "S10 has not named the symbols"),
        (FeedReport(None, (), 0, 0, fatal=False), "list of instruments was not read yet"),
        (
            FeedReport(None, (), 0, 0, fatal=False, listing_error="proxy http://p:1: 407"),
            "not read yet (proxy http://p:1: 407); if this lasts",
        ),
        (
            FeedReport(3, (), 2, 1, fatal=False, dial_wait_ms=58_000),
            "1 of 2 connections deliver; the venue's limits allow the next dial in 58 s",
        ),
        (
            FeedReport(9, ("spot/FOO",), 1, 1, fatal=False),
            "does not list spot/FOO: correct the name in S1_SYMBOLS, or at S10",
        ),
        (FeedReport(9, tuple("abcdefg"), 1, 1, fatal=False), "a, b, c, d, e and 2 more"),
        (FeedReport(9, (), 2, 1, fatal=False), "1 of 2 connections deliver"),
        (FATAL, "out of retries"),
        (WELL, "every write is acknowledged"),
        (UNREACHABLE, "(connection refused)"),
        (
            StreamStoreReport(reachable=False, pending=0, merging_windows=False, cause=""),
            "not connected yet",
        ),
        (
            StreamStoreReport(reachable=True, pending=1, merging_windows=False, cause=""),
            "1 quote not acknowledged yet",
        ),
        (
            StreamStoreReport(reachable=True, pending=0, merging_windows=True, cause=""),
            "windows are merged",
        ),
        (
            ClockReport(ClockOffset(12.4, 40.4), 1.0),
            "this clock is 12 ms behind the exchange's, within 40 ms",
        ),
        (
            ClockReport(ClockOffset(-300.0, 40.4), 1.0),
            "300 ms ahead of the exchange's, within 40 ms; synch",
        ),
        (
            ClockReport(ClockOffset(-2_500.0, 2_500.4), 1.0),
            "known to 2500 ms only, so ts is the receive time and nothing is signed",
        ),
        (ClockReport(None, 1.0), "not measured yet"),
        (ClockReport(ClockOffset(0.0, 40.4), 0.4), "only 40% of the time requests are answered"),
        (LoopReport(12.0), "at most 12 ms late"),
        (LoopReport(700.0), "wakes up 700 ms late"),
        (MarketReport(5, 1, 0, 0), "5 LIVE, 1 QUIET, 0 STALE, 0 BLIND"),
        (MarketReport(5, 1, 2, 0), "do not trade on these quotes"),
        (
            MarketReport(0, 0, 0, 0, late=6, troubles=("perp-0: quotes arrive 7.0 s late",)),
            "6 LATE; perp-0: quotes arrive 7.0 s late; their ts is right, the quotes are old",
        ),
        (MarketReport(0, 0, 0, 0, degraded=6), "6 DEGRADED; mkt:status says which"),
        (MarketReport(5, 0, 0, 0, gone=("OLDUSDT",)), "does not trade OLDUSDT any more"),
        (SOUND, "0 waiting, 0 unresolved"),
        (
            treasury(ledger_damage="commit 3 was changed"),
            "commit 3 was changed; nothing is written",
        ),
        (treasury(store_error="locked"), "store cannot be used: locked; transfers wait: check"),
        (treasury(waiting=2, unresolved=1), "2 waiting, 1 unresolved"),
        (treasury(clock_problem="not measured yet: check"), "transfers wait: not measured yet"),
        (treasury(in_review=1), "1 transfer in review: check the exchange's history, then resolve"),
        (treasury(oldest_unresolved_ms=60_000), "0 waiting, 0 unresolved"),
        (treasury(oldest_unresolved_ms=61_999), "unknown for 61 s: reconciliation continues"),
        (treasury(key_problem="it may withdraw"), "the exchange key: it may withdraw"),
        (treasury(relay_error="gone"), "events do not reach ops:events (gone): check Redis"),
    ],
)
def test_report_has_its_sentence(report: HealthReport, said: str) -> None:
    assert said in report.sentence


@given(reports)
def test_report_that_is_not_green_says_what_to_do(report: HealthReport) -> None:
    """One line for every report, and advice with every level an operator is called for."""
    text = report.sentence

    assert text
    assert "\n" not in text
    if report.level > Level.YELLOW:
        assert any(word in text for word in ADVICE)
