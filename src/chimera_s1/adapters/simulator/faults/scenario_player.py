"""Plays scenarios: arms each step's fault when its time has come."""

import logging

import anyio
from msgspec import Struct

from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.scenario import Scenario
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.ports.clock import Clock

_log = logging.getLogger(__name__)


class ScenarioRun(Struct):
    """A scenario that was started.

    Attributes:
        faults: Ids of the faults armed so far, step by step; None for one that could not be.
    """

    scenario: Scenario
    started_ms: int
    faults: list[int | None]
    stopped: bool = False

    @property
    def finished(self) -> bool:
        """Whether no step is to come."""
        return self.stopped or len(self.faults) == len(self.scenario.step)


class ScenarioPlayer:
    """One scenario at a time.

    Attributes:
        run: The last one started.
    """

    def __init__(self, faults: FaultRegistry, clock: Clock) -> None:
        self.current: ScenarioRun | None = None
        self._faults = faults
        self._clock = clock
        self._changed = anyio.Event()
        self._scope = anyio.CancelScope()

    def start(self, scenario: Scenario) -> ScenarioRun:
        """Play *scenario* from now on.

        Raises:
            InvalidValueError: Another one has steps to come.
        """
        if self.current is not None and not self.current.finished:
            raise InvalidValueError("a scenario is playing; DELETE /sim/scenario first")
        self.current = ScenarioRun(scenario, self._clock.now_ms(), [])
        self._changed.set()
        return self.current

    def stop(self) -> int:
        """Play no further; how many steps that leaves out. What is armed stays armed."""
        run = self.current
        if run is None or run.finished:
            return 0
        run.stopped = True
        self._scope.cancel()
        return len(run.scenario.step) - len(run.faults)

    async def run(self) -> None:
        """Play what is started, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            if self.current is not None and not self.current.finished:
                with anyio.CancelScope() as self._scope:
                    await self._play(self.current)

    async def start_on_first_subscription(
        self, scenario: Scenario, subscribed: anyio.Event
    ) -> None:
        """Start *scenario* once somebody listens: nothing is done to nobody."""
        await subscribed.wait()
        self.start(scenario)

    async def _play(self, run: ScenarioRun) -> None:
        start_ms = self._clock.monotonic_ms()
        for step in run.scenario.step:
            due_ms = start_ms + step.at_s * 1000
            await self._clock.sleep_ms(due_ms - self._clock.monotonic_ms())
            try:
                fault = self._faults.arm(step.on, step.do, step.times, round(step.for_s * 1000))
            except InvalidValueError as error:
                _log.error("step %d of the scenario: %s", len(run.faults) + 1, error)
                run.faults.append(None)
            else:
                run.faults.append(fault.id)
