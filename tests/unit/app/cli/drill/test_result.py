"""A missed target, a fault that did not fire or a wrong number is a MISS."""

from typing import Any

import pytest
from msgspec.structs import replace

from chimera_s1.app.cli.drill.drill import Drill, DrillThresholds
from chimera_s1.app.cli.drill.result import Measurements, evaluate
from chimera_s1.app.cli.drill.signs import OperationsSign, QuotesSign

DRILL = Drill(
    "cut",
    "sockets cut",
    (),
    noticed_signs=((OperationsSign("spot", "ws.lost"),),),
    over_signs=((QuotesSign(),),),
    targets=DrillThresholds(noticed_s=1, over_s=3, missing=2, lost=1, late_ms=50),
)
GOOD = Measurements(
    fired=(1, 3),
    noticed_s=1.0,
    noticed_by="ops:events ws.lost",
    over_s=3.0,
    missing=2,
    wrong=(),
    mistimed=0,
    lost=1,
    late_ms=50,
)


def test_a_drill_that_reaches_every_target_passes() -> None:
    assert evaluate(DRILL, GOOD).passed


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"fired": (1, 0)}, "1 of 2 faults did not fire"),
        ({"noticed_s": 1.1}, "noticed after 1.1 s, not 1"),
        ({"noticed_s": None}, "never noticed"),
        ({"over_s": 3.2}, "over after 3.2 s, not 3"),
        ({"over_s": None}, "never over"),
        ({"missing": 3}, "3 windows missing, at most 2 allowed"),
        ({"mistimed": 1}, "1 quotes of an instrument mistimed, at most 0 allowed"),
        ({"lost": 2}, "2 connections lost, at most 1 allowed"),
        ({"late_ms": 50.5}, "50.5 ms late, at most 50 allowed"),
        ({"wrong": ("spot/BTCUSDT: published twice", "x")}, "2 wrong: spot/BTCUSDT: published"),
    ],
)
def test_each_missed_target_is_named(change: dict[str, Any], missed: str) -> None:
    row = evaluate(DRILL, replace(GOOD, **change))

    assert not row.passed
    (text,) = row.missed
    assert text.startswith(missed)


def test_without_targets_a_fault_must_still_be_noticed_and_end() -> None:
    free = replace(DRILL, targets=DrillThresholds())

    assert evaluate(free, replace(GOOD, noticed_s=99.0, over_s=99.0, missing=99)).passed
    assert evaluate(free, replace(GOOD, noticed_s=None)).missed == ("never noticed",)
    assert evaluate(free, replace(GOOD, over_s=None)).missed == ("not over in time",)
