"""What the health of the funding history says, and when it calls a person."""

from typing import Any

import pytest
from msgspec import structs

from chimera_s1.domain.funding.health import BEHIND_MS, FundingReport
from chimera_s1.domain.operations.health import Level

COMPLETE = FundingReport(behind_ms=900_000, gaps=0)


def test_a_complete_history_is_green() -> None:
    assert COMPLETE.level is Level.GREEN
    assert COMPLETE.sentence == "settlements are complete until 15 min ago"


def test_settlements_that_are_not_published_yet_and_old_disputes_are_no_problem() -> None:
    report = structs.replace(COMPLETE, waiting=3, disputes=2)
    assert report.level is Level.GREEN
    assert "3 settlements not published yet" in report.sentence


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"behind_ms": None}, "no funding history yet"),
        ({"behind_ms": BEHIND_MS + 1}, "chimera-s1 jobs list"),
        ({"missing_days": 60}, "60 days left to read"),
        ({"gaps": 2}, "2 gaps: chimera-s1 funding gaps"),
        ({"amounts_problem": "-2015 no permission"}, "amounts: -2015 no permission"),
        ({"store_problem": "connection refused"}, "cannot be read: connection refused"),
        ({"relay_problem": "no node"}, "do not reach their streams: no node"),
    ],
)
def test_what_heals_itself_or_is_incomplete_is_yellow(changed: dict[str, Any], said: str) -> None:
    report = structs.replace(COMPLETE, **changed)
    assert report.level is Level.YELLOW
    assert said in report.sentence


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"new_disputes": 1, "disputes": 4}, "1 new dispute, 4 in all"),
        ({"refused": 1}, "the store refuses 1 record"),
    ],
)
def test_what_a_person_must_look_at_is_orange_at_once(changed: dict[str, Any], said: str) -> None:
    report = structs.replace(COMPLETE, **changed)
    assert (report.level, report.grace_ms) == (Level.ORANGE, 0)
    assert said in report.sentence
