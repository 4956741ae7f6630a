"""The simulator can run the built-in drills, and their names are unique."""

import pytest

from chimera_s1.adapters.simulator.faults.actions import parse_action
from chimera_s1.adapters.simulator.faults.targets import parse_target
from chimera_s1.app.cli.drill.drill import Drill, SimulatedFault
from chimera_s1.app.cli.drill.scenarios import DRILLS, choose
from chimera_s1.domain.errors import InvalidValueError

by_name = pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)


@by_name
def test_every_fault_is_one_the_simulator_knows(drill: Drill) -> None:
    for fault in drill.faults:
        if isinstance(fault, SimulatedFault):
            parse_action(fault.do, parse_target(fault.on))


@by_name
def test_every_drill_has_a_target_and_an_end(drill: Drill) -> None:
    assert drill.faults
    assert drill.over_signs
    assert any(getattr(drill.targets, name) is not None for name in drill.targets.__struct_fields__)


def test_names_are_unique_and_without_names_all_are_chosen() -> None:
    assert len({drill.name for drill in DRILLS}) == len(DRILLS)
    assert choose(()) == DRILLS


def test_named_drills_run_in_the_order_they_were_named() -> None:
    names = ("storm", "disconnect")

    assert tuple(drill.name for drill in choose(names)) == names


def test_an_unknown_name_is_an_error_that_lists_the_drills() -> None:
    with pytest.raises(InvalidValueError, match=r"'typhoon'; there are: silent-socket, .*storm"):
        choose(("disconnect", "typhoon"))
