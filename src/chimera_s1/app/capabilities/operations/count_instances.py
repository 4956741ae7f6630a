"""Count the instances that share our address, and divide the exchange's limits by them."""

from collections.abc import Callable

from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.domain.operations.instance_count import InstanceCount, InstanceShares
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.heartbeat import Heartbeat

COUNT_INTERVAL_MS = 5_000


class CountInstances:
    """Args:
    instance: This one.
    environment: Instances of another one do not use the same hosts.
    apply: Told the shares after each attempt to count.
    """

    def __init__(  # noqa: PLR0917 (parts by position)
        self,
        heartbeat: Heartbeat,
        instance: str,
        environment: str,
        count: InstanceCount,
        apply: Callable[[InstanceShares], None],
        clock: Clock,
    ) -> None:
        self._heartbeat = heartbeat
        self._instance = instance
        self._environment = environment
        self._count = count
        self._apply = apply
        self._clock = clock

    def shares(self) -> InstanceShares:
        return self._count.shares(self._clock.monotonic_ms())

    def sentence(self) -> str:
        return self._count.sentence(self._clock.monotonic_ms())

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            await self.check()
            await self._clock.sleep_ms(COUNT_INTERVAL_MS)

    async def check(self) -> None:
        """Count once; without Redis what was known stays in force."""
        try:
            others = await self._heartbeat.count_others(self._environment, self._instance)
        except REDIS_ERRORS as error:
            self._count.fail(str(error) or "Redis did not answer")
        else:
            self._count.add(others + 1, self._clock.monotonic_ms())
        self._apply(self.shares())
