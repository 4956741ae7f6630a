"""Faults on a timeline, written as TOML.

    name = "a bad morning"

    [[step]]
    at_s = 5
    on = "ws:perp"
    do = "stall"
    for_s = 10

`on`, `do` and `times` are those of `POST /sim/faults`; `at_s` counts from the scenario's start.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from chimera_s1.adapters.simulator.faults.actions import parse_action
from chimera_s1.adapters.simulator.faults.registry import FAULTS_MAX
from chimera_s1.adapters.simulator.faults.targets import parse_target
from chimera_s1.domain.errors import InvalidValueError

_DAY_S = 86_400
_HELP = (
    '[[step]] with at_s = 5, on = "ws:perp", do = "stall", and for_s = 10 or times = 3; '
    "a name is optional"
)

Seconds = Annotated[float, Meta(ge=0, le=_DAY_S)]


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a scenario.

    Attributes:
        at_s: When it is armed, seconds from the start.
        for_s: How long it may fire; 0 means no limit.
        times: How often it fires; None means once, or without limit during *for_s*.
    """

    on: str
    do: str
    at_s: Seconds = 0.0
    for_s: Seconds = 0.0
    times: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """Steps in the order of their times."""

    step: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=FAULTS_MAX)]
    name: str = ""


def parse_scenario(text: str | bytes) -> Scenario:
    """Parse TOML.

    Raises:
        InvalidValueError: It is not TOML, or a step is wrong; the text says which.
    """
    try:
        scenario = msgspec.toml.decode(text, type=Scenario)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValueError(f"scenario: {error} (write {_HELP})") from error
    for number, step in enumerate(scenario.step, start=1):
        try:
            parse_action(step.do, parse_target(step.on))
        except InvalidValueError as error:
            raise InvalidValueError(f"scenario: step {number}: {error}") from error
    in_order = sorted(scenario.step, key=lambda step: step.at_s)
    return Scenario(tuple(in_order), scenario.name)
