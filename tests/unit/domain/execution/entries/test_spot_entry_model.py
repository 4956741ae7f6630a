"""Spot entries through seeded faults, and wrong decisions that these runs must find."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from chimera_s1.domain.execution.entries import spot_entry
from chimera_s1.domain.execution.entries.attempts import is_unresolved
from chimera_s1.domain.execution.entries.specs import BaseQty
from chimera_s1.domain.execution.entries.spot_guard import needs_guard
from chimera_s1.domain.execution.entries.spot_holding import spot_holding
from tests.unit.domain.execution.entries.spot_desk import buy, sell
from tests.unit.domain.execution.entries.spot_run import SpotRun

SEEDS = 150
BROKEN_SEEDS = 150


def run(seed: int) -> SpotRun:
    made = SpotRun(seed, sell() if seed % 3 == 0 else buy())
    made.run()
    return made


def run_until_one_fails() -> None:
    for seed in range(BROKEN_SEEDS):
        run(seed)


def test_every_run_ends_protected_or_ended_and_no_order_ends_more_than_is_held() -> None:
    faults = set().union(*(run(seed).faults for seed in range(SEEDS)))

    assert {"refused", "not sent", "reply lost", "request lost", "late", "restart"} <= faults
    assert {"cancel lost", "partial stop", "partial profit", "limit passed"} <= faults


def _ordered(situation: Any, spec: Any) -> Any:
    holding = spot_holding(situation, spec)
    if not holding.filled or not isinstance(spec.amount, BaseQty):
        return holding
    return replace(holding, exposed=spec.amount.qty - holding.closed - holding.covered)


def _before_commission(situation: Any, spec: Any) -> Any:
    holding = spot_holding(situation, spec)
    return replace(holding, exposed=holding.exposed + holding.commission + holding.dust)


def _on_ambiguity(lists: Any, *, covered: bool) -> bool:
    return needs_guard(lists, covered=covered) or is_unresolved(lists[-1])


is_clear = spot_entry._Decision._is_clear


@pytest.mark.parametrize(
    ("name", "broken", "found"),
    [
        pytest.param(
            "spot_holding", _ordered, "more than (held|filled)", id="the ordered quantity"
        ),
        pytest.param(
            "spot_holding",
            _before_commission,
            "more than held",
            id="the quantity before commission",
        ),
        pytest.param(
            "is_awaited", lambda *_: False, "not looked up", id="placed again without a lookup"
        ),
        pytest.param(
            "needs_guard", _on_ambiguity, "no refusal", id="an ambiguous list taken as refused"
        ),
        pytest.param("surplus_lists", lambda *_: (), "not needed", id="a late list is left"),
        pytest.param(
            "cancel_from_ms",
            lambda _: None,
            "more than held|not needed",
            id="a list without its stop is left",
        ),
    ],
)
def test_runs_find_a_wrong_decision(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., Any], found: str
) -> None:
    monkeypatch.setattr(spot_entry, name, broken)

    with pytest.raises(AssertionError, match=found):
        run_until_one_fails()


def _clear_as_if_arming(decision: Any) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spot_entry, "is_exiting", lambda _: False)
        return is_clear(decision)


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        pytest.param(lambda _: True, "not looked up|may still trade|may be there", id="always"),
        pytest.param(_clear_as_if_arming, "may be there", id="beside an ambiguous list"),
    ],
)
def test_runs_find_an_exit_that_is_placed_too_early(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[..., Any], found: str
) -> None:
    monkeypatch.setattr(spot_entry._Decision, "_is_clear", broken)

    with pytest.raises(AssertionError, match=found):
        run_until_one_fails()
