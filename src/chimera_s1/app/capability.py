"""What a capability contributes to the service.

Its `wiring.py` returns one. Container, runtime, health, metrics and web loop over capabilities and
name none of their parts.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram
from chimera_s1.app.supervisor import Worker
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.metrics import MetricSource
from chimera_s1.domain.ports.clock import Clock


class Job(Struct, frozen=True):
    """Work that is done at the start and then again and again.

    Attributes:
        run: Does it once; returns how long to wait until the next time, ms.
    """

    name: str
    run: Callable[[], Awaitable[float]]

    async def repeat(self, clock: Clock) -> None:
        """Run until cancelled."""
        while True:
            await clock.sleep_ms(await self.run())


class PendingWrites(Struct, frozen=True):
    """What waits for a store and is written at shutdown, if the store takes it.

    Attributes:
        name: For the log: `quotes`.
        count: How many wait now.
    """

    name: str
    flush: Callable[[], Awaitable[None]]
    count: Callable[[], int]


class Capability(Struct, frozen=True, kw_only=True):
    """Everything that one capability adds to the process; settings are a class of their own.

    Attributes:
        health: In the order of `/health`.
        pending_writes: Flushed in this order.
    """

    name: str
    workers: tuple[Worker, ...] = ()
    jobs: tuple[Job, ...] = ()
    health: tuple[HealthSource, ...] = ()
    metrics: tuple[MetricSource, ...] = ()
    histograms: tuple[LatencyHistogram, ...] = ()
    web: WebPart = WebPart()
    pending_writes: tuple[PendingWrites, ...] = ()
