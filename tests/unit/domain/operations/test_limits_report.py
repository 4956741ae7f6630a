"""The health of a venue's limits, at every level."""

from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.reports import EmbeddedRedisReport, VenueLimitsReport
from chimera_s1.domain.operations.venue_hold import Hold, HoldScope


def test_dials_that_are_left_are_green() -> None:
    report = VenueLimitsReport(dials=3, dials_max=120)
    assert (report.level, report.sentence) == (Level.GREEN, "3 of 120 dials used in 5 minutes")
    assert report.dials_left == 117


def test_a_budget_that_is_used_up_says_when_the_next_dial_is_allowed() -> None:
    """Private streams may dial beyond what market data may."""
    report = VenueLimitsReport(dials=125, dials_max=120, dial_wait_ms=42_000)
    assert report.level is Level.YELLOW
    assert report.sentence.startswith(
        "125 of 120 dials used in 5 minutes, the next one is allowed in 42 s"
    )
    assert report.dials_left == 0


def test_a_hold_says_what_is_held_for_how_long_and_why() -> None:
    for scope, held in (
        (HoldScope.ALL, "no requests and no dials"),
        (HoldScope.DIALS, "no dials"),
        (HoldScope.REQUESTS, "no requests"),
    ):
        report = VenueLimitsReport(1, 120, hold=Hold(scope, 9_000, "418 banned"), held_ms=8_400)
        assert report.level is Level.ORANGE
        assert report.sentence.startswith(f"{held} for another 8 s: 418 banned; it ends by itself")


def test_an_embedded_redis_of_real_quotes_is_yellow() -> None:
    assert EmbeddedRedisReport().level is Level.YELLOW
    assert "S1_REDIS_ADDRESSES" in EmbeddedRedisReport().sentence
