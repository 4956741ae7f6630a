import pytest

from chimera_s1.domain.operations.active_configuration import (
    Refusal,
    RefusalReason,
    Snapshot,
    Thresholds,
)
from chimera_s1.domain.operations.configuration_report import ConfigurationReport
from chimera_s1.domain.operations.health import Level

REV_12 = Snapshot(12, Thresholds(), ())
REFUSED = Refusal(RefusalReason.OLDER, 11, "rev 11 is older than rev 12, which is in force")
GOOD = {"in_force": REV_12, "in_force_ms": 61_000.0, "confirmed_ago_ms": 4_000.0}


def report(**changes: object) -> ConfigurationReport:
    return ConfigurationReport(**{**GOOD, **changes})  # type: ignore[arg-type]  # (of any field)


def test_a_confirmed_revision_is_green_with_its_age() -> None:
    assert report().level is Level.GREEN
    assert report(announced=12).level is Level.GREEN
    assert report().sentence == (
        "rev 12 (0 instruments) in force for 61 s, confirmed by S10 4 s ago"
    )


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"unavailable": "replied 503: busy"}, Level.ORANGE, "S10 does not answer: replied 503"),
        ({"refusal": REFUSED}, Level.ORANGE, "refused: rev 11 is older than rev 12"),
        ({"announced": 13}, Level.ORANGE, "cfg:active_rev says 13, which S10 does not serve yet"),
        ({"unannounced": "Redis 10.0.0.5:6379: timed out"}, Level.YELLOW, "S10 is asked regularly"),
        ({"not_kept": "No space left on device"}, Level.YELLOW, "No space left on device"),
        ({"in_force": None}, Level.YELLOW, "no configuration yet"),
        ({"in_force": None, "unavailable": "refused"}, Level.ORANGE, "there are no thresholds"),
    ],
)
def test_each_problem_has_its_level_and_words(
    changes: dict[str, object], level: Level, words: str
) -> None:
    assert report(**changes).level is level
    assert words in report(**changes).sentence


def test_a_kept_revision_says_that_s10_has_not_confirmed_it() -> None:
    kept = report(in_force_ms=None, confirmed_ago_ms=None, unavailable="connection refused")

    assert kept.level is Level.ORANGE
    assert kept.sentence == (
        "rev 12 (0 instruments) in force, kept from an earlier run, not confirmed by S10 since "
        "the start; S10 does not answer: connection refused"
    )


def test_only_a_refusal_is_shown_at_once() -> None:
    assert report(refusal=REFUSED).grace_ms == 0
    assert report(unavailable="timed out").grace_ms > 0
    assert report(announced=13).grace_ms > 0
