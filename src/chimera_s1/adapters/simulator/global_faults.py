"""Applies faults to what both venues share: the exchange's clock and the rate of book updates."""

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.streams.book_updater import BookUpdater


class GlobalFaults:
    """`apply` starts and ends the faults; it has to be repeated."""

    def __init__(self, clock: ScaledClock, updater: BookUpdater, faults: FaultRegistry) -> None:
        self._clock = clock
        self._updater = updater
        self._faults = faults

    def apply(self) -> None:
        offsets, drifts = self._numbers(FaultKind.OFFSET), self._numbers(FaultKind.DRIFT)
        self._clock.set_error(offset_ms=sum(offsets), drift_ms_per_s=sum(drifts))
        self._updater.storm_rate = max(self._numbers(FaultKind.STORM), default=None)

    def _numbers(self, kind: FaultKind) -> list[int]:
        return [self._faults.fire(fault).number for fault in self._faults.live_faults({kind})]
