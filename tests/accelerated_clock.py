"""A clock that is faster than the system's, shared by a simulator and a service in two processes.

pace = await accelerate(sim, 6)
clock = AcceleratedClock(pace)  # of each process that gets this pace

Both count from the same moment of the system's clock, so they show the same time. What waits for
the operating system (sockets, Redis, the disk) keeps its timeouts, which are longer by *rate* on
this clock. Only tests can make one: no setting of the service chooses its clock.
"""

import time

import anyio
from msgspec import Struct

from tests.simulator_client import SimulatorClient


class Pace(Struct, frozen=True, kw_only=True):
    """Attributes:
    system_ms, clock_ms: The same moment on the system's clock and on this one, epoch ms.
    rate: Milliseconds of this clock in one of the system's.
    """

    system_ms: int
    clock_ms: int
    rate: float


class AcceleratedClock:
    """Implements `domain.ports.clock.Clock`."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def now_ms(self) -> int:
        pace = self._pace
        return pace.clock_ms + int((time.time_ns() / 1e6 - pace.system_ms) * pace.rate)

    def monotonic_ms(self) -> float:
        return time.monotonic_ns() / 1e6 * self._pace.rate

    async def sleep_ms(self, duration_ms: float) -> None:
        await anyio.sleep(max(0.0, duration_ms) / self._pace.rate / 1000)


async def accelerate(sim: SimulatorClient, rate: float) -> Pace:
    """Make the exchange's clock run at *rate* from now on, and return its pace."""
    status, view = await sim.control("POST", "/sim/clock", {"rate": rate})
    assert status == 200, view
    system_ms = view["now_ms"] - view["offset_ms"]
    return Pace(system_ms=system_ms, clock_ms=view["now_ms"], rate=rate)
