"""Plays scenarios: arms the fault of each step at its time."""

import logging

import anyio
from msgspec import Struct

from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.scenario import Scenario, Step
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.ports.clock import Clock

_log = logging.getLogger(__name__)


class ScenarioRun(Struct):
    """A started scenario.

    Attributes:
        faults: Ids of the faults armed so far, by step; None for a step that failed to arm.
    """

    scenario: Scenario
    started_ms: int
    faults: list[int | None]
    stopped: bool = False

    @property
    def finished(self) -> bool:
        return self.stopped or len(self.faults) == len(self.scenario.step)


class ScenarioPlayer:
    """Plays one scenario at a time.

    Attributes:
        current: The run started last, finished or not.
    """

    def __init__(self, faults: FaultRegistry, clock: Clock) -> None:
        self.current: ScenarioRun | None = None
        self._faults = faults
        self._clock = clock
        self._started = anyio.Event()
        self._scope = anyio.CancelScope()

    def start(self, scenario: Scenario) -> ScenarioRun:
        """Play *scenario* from now on.

        Raises:
            InvalidValueError: Another scenario has not finished.
        """
        if self.current is not None and not self.current.finished:
            raise InvalidValueError("a scenario is playing; DELETE /sim/scenario first")
        self.current = ScenarioRun(scenario, self._clock.now_ms(), [])
        self._started.set()
        return self.current

    def stop(self) -> int:
        """Skip the remaining steps; how many there were. Armed faults stay armed."""
        run = self.current
        if run is None or run.finished:
            return 0
        run.stopped = True
        self._scope.cancel()
        return len(run.scenario.step) - len(run.faults)

    async def run(self) -> None:
        """Play each started scenario, until cancelled."""
        while True:
            await self._started.wait()
            self._started = anyio.Event()
            if self.current is not None and not self.current.finished:
                with anyio.CancelScope() as self._scope:
                    await self._play(self.current)

    async def start_on_first_subscription(
        self, scenario: Scenario, subscribed: anyio.Event
    ) -> None:
        await subscribed.wait()
        self.start(scenario)

    async def _play(self, run: ScenarioRun) -> None:
        start_ms = self._clock.monotonic_ms()
        for step in run.scenario.step:
            due_ms = start_ms + step.at_s * 1000
            await self._clock.sleep_ms(due_ms - self._clock.monotonic_ms())
            run.faults.append(self._arm(step, number=len(run.faults) + 1))

    def _arm(self, step: Step, number: int) -> int | None:
        try:
            return self._faults.arm(step.on, step.do, step.times, round(step.for_s * 1000)).id
        except InvalidValueError as error:
            _log.error("scenario: step %d not armed: %s", number, error)
            return None
