"""A scenario is parsed completely or refused with the wrong step, and played in order."""

from collections.abc import AsyncIterator

import anyio
import pytest

from chimera_s1.adapters.simulator.faults.registry import FAULTS_MAX, FaultRegistry
from chimera_s1.adapters.simulator.faults.scenario import Scenario, Step, parse_scenario
from chimera_s1.adapters.simulator.faults.scenario_player import ScenarioPlayer
from chimera_s1.domain.errors import InvalidValueError
from tests.fakes.manual_clock import ManualClock, settle

MORNING = """
name = "a bad morning"

[[step]]
at_s = 0.02
on = "ws:perp"
do = "close:1012"

[[step]]
on = "ws:spot"
do = "stall"
for_s = 10
times = 3
"""


def test_steps_are_sorted_by_time() -> None:
    scenario = parse_scenario(MORNING)

    assert scenario.name == "a bad morning"
    assert scenario.step == (
        Step(on="ws:spot", do="stall", for_s=10, times=3),
        Step(on="ws:perp", do="close:1012", at_s=0.02),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[[step]", "scenario: "),
        ("", "missing required field `step`"),
        ("step = []", "[[step]] with at_s = 5"),
        ('[[step]]\non = "ws:spot"', "missing required field `do`"),
        ('[[step]]\non = "ws:spot"\ndo = "stall"\nat = 5', "at"),
        ('[[step]]\non = "ws:spot"\ndo = "stall"\nat_s = -1', "at_s"),
        (MORNING.replace("stall", "explode"), "step 2: do: 'explode' cannot act on"),
        (MORNING.replace("ws:perp", "ws:dex"), "step 1: on: 'ws:dex' is not a target"),
    ],
)
def test_an_invalid_scenario_is_refused_with_the_reason(text: str, named: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_scenario(text)

    assert named in str(caught.value)


class Played:
    """A player on a clock that the test moves, and the faults it armed."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.faults = FaultRegistry(self.clock.monotonic_ms, self.clock.now_ms)
        self.player = ScenarioPlayer(self.faults, self.clock)

    @property
    def armed(self) -> list[str]:
        return [fault.do for fault, _ in self.faults.list_faults()]


@pytest.fixture
async def played() -> AsyncIterator[Played]:
    one = Played()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.player.run)
        yield one
        tasks.cancel_scope.cancel()


async def test_each_step_is_armed_at_its_time(played: Played) -> None:
    run = played.player.start(parse_scenario(MORNING))

    await played.clock.wait_for_sleeper()
    assert (played.armed, run.finished) == (["stall"], False)
    await played.clock.advance(20)
    await settle()
    assert (played.armed, run.finished) == (["stall", "close:1012"], True)
    assert run.faults == [1, 2]


async def test_a_scenario_can_start_only_after_the_previous_one_finished(played: Played) -> None:
    played.player.start(parse_scenario(MORNING))
    with pytest.raises(InvalidValueError, match="DELETE /sim/scenario"):
        played.player.start(parse_scenario(MORNING))

    await played.clock.wait_for_sleeper()
    await played.clock.advance(20)
    await settle()
    played.player.start(parse_scenario(MORNING))


async def test_stopping_a_scenario_skips_its_remaining_steps(played: Played) -> None:
    run = played.player.start(parse_scenario(MORNING))
    await played.clock.wait_for_sleeper()

    assert played.player.stop() == 1
    await played.clock.advance(20)
    await settle()

    assert played.armed == ["stall"]
    assert run.finished
    assert played.player.stop() == 0


async def test_a_step_that_cannot_be_armed_is_logged_and_skipped(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(FAULTS_MAX):
        played.faults.arm("ws:spot", "gap")

    run = played.player.start(Scenario((Step(on="ws:spot", do="stall"),)))
    await settle()

    assert (run.faults, run.finished) == ([None], True)
    assert "DELETE /sim/faults first" in caplog.text


async def test_the_configured_scenario_starts_with_the_first_subscription(played: Played) -> None:
    subscribed = anyio.Event()
    async with anyio.create_task_group() as tasks:
        start = played.player.start_on_first_subscription
        tasks.start_soon(start, parse_scenario(MORNING), subscribed)
        await settle()
        assert played.armed == []
        subscribed.set()
    await played.clock.wait_for_sleeper()
    assert played.armed == ["stall"]
