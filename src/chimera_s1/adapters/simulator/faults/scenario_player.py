"""
Plays scenarios: arms each step's fault when its time has come.
"""

import logging

import anyio
from msgspec import Struct

from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.scenario import Scenario
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.ports.clock import Clock

_log = logging.getLogger(__name__)


class Playing(Struct):
    """
    A scenario that was started.

    Attributes:
        faults: Ids of the faults armed so far, step by step; None for one that could not be.
    """

    scenario: Scenario
    started_ms: int
    faults: list[int | None]
    stopped: bool = False

    @property
    def over(self) -> bool:
        """
        Whether no step is to come.
        """
        return self.stopped or len(self.faults) == len(self.scenario.step)


class ScenarioPlayer:
    """
    One scenario at a time.

    Attributes:
        playing: The last one started.
    """

    def __init__(self, faults: FaultRegistry, clock: Clock) -> None:
        self.playing: Playing | None = None
        self._faults = faults
        self._clock = clock
        self._changed = anyio.Event()
        self._turn = anyio.CancelScope()

    def start(self, scenario: Scenario) -> Playing:
        """
        Play *scenario* from now on.

        Raises:
            InvalidValueError: Another one has steps to come.
        """
        if self.playing is not None and not self.playing.over:
            raise InvalidValueError("a scenario is playing; DELETE /sim/scenario first")
        self.playing = Playing(scenario, self._clock.now_ms(), [])
        self._changed.set()
        return self.playing

    def stop(self) -> int:
        """
        Play no further; how many steps that leaves out. What is armed stays armed.
        """
        playing = self.playing
        if playing is None or playing.over:
            return 0
        playing.stopped = True
        self._turn.cancel()
        return len(playing.scenario.step) - len(playing.faults)

    async def run(self) -> None:
        """
        Play what is started, until cancelled.
        """
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            if self.playing is not None and not self.playing.over:
                with anyio.CancelScope() as self._turn:
                    await self._play(self.playing)

    async def start_with_the_first_listener(
        self, scenario: Scenario, subscribed: anyio.Event
    ) -> None:
        """
        Start *scenario* once somebody listens: nothing is done to nobody.
        """
        await subscribed.wait()
        self.start(scenario)

    async def _play(self, playing: Playing) -> None:
        start_ms = self._clock.monotonic_ms()
        for step in playing.scenario.step:
            due_ms = start_ms + step.at_s * 1000
            await self._clock.sleep_ms(due_ms - self._clock.monotonic_ms())
            try:
                fault = self._faults.arm(step.on, step.do, step.times, round(step.for_s * 1000))
            except InvalidValueError as error:
                _log.error("step %d of the scenario: %s", len(playing.faults) + 1, error)
                playing.faults.append(None)
            else:
                playing.faults.append(fault.id)
