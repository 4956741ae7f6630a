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
    ("name", "broken"),
    [
        pytest.param("spot_holding", _ordered, id="the ordered instead of the filled quantity"),
        pytest.param("spot_holding", _before_commission, id="the quantity before commission"),
        pytest.param("is_awaited", lambda *_: False, id="placed again without a lookup"),
        pytest.param("needs_guard", _on_ambiguity, id="an ambiguous list taken as refused"),
        pytest.param("surplus_lists", lambda *_: (), id="a late list is left"),
        pytest.param("cancel_from_ms", lambda _: None, id="a list without its stop is left"),
    ],
)
def test_runs_find_a_wrong_decision(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(spot_entry, name, broken)

    with pytest.raises(AssertionError):
        run_until_one_fails()


def _clear_as_if_arming(decision: Any) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spot_entry, "is_exiting", lambda _: False)
        return is_clear(decision)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda _: True, id="at any time"),
        pytest.param(_clear_as_if_arming, id="beside an ambiguous list"),
    ],
)
def test_runs_find_an_exit_that_is_placed_too_early(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(spot_entry._Decision, "_is_clear", broken)

    with pytest.raises(AssertionError):
        run_until_one_fails()
