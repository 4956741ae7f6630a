"""The seeded model of the treasury finds no violation, and detects each deliberate mistake."""

import os
from collections import Counter

import pytest

from tests.load.model_exchange import ModelFault
from tests.load.treasury_model import Variant, violations

SEEDS = 200
"""`make soak-model` runs many more."""

SLICES = 5
MUTANT_SEEDS = 40


@pytest.mark.parametrize("part", range(SLICES))
def test_model_invariants_hold_for_each_seed(part: int) -> None:
    """No transfer moves money twice, none that moved is FAILED, none that did not is
    DONE, all end; and each fault of the model happened.
    """
    size = SEEDS // SLICES
    first = int(os.environ.get("MODEL_FIRST_SEED", "0")) + part * size
    faults: Counter[ModelFault] = Counter()
    found = {seed: violations(seed, faults=faults) for seed in range(first, first + size)}

    assert not {seed: wrong for seed, wrong in found.items() if wrong}
    assert min(faults[fault] for fault in ModelFault) > 0


@pytest.mark.parametrize("variant", [each for each in Variant if each is not Variant.OURS])
def test_model_detects_each_deliberate_mistake(variant: Variant) -> None:
    """A model that a broken treasury passes would prove nothing."""
    assert any(violations(seed, variant) for seed in range(MUTANT_SEEDS))
