"""Heartbeats in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.heartbeat import HeartbeatRecord


class MemoryHeartbeat:
    """Implements `domain.ports.heartbeat.Heartbeat`; every call raises while `available` is False.

    Nothing expires: a test removes what it wants to be gone.
    """

    def __init__(self) -> None:
        self.shown: dict[str, HeartbeatRecord] = {}
        self.available = True

    async def beat(self, record: HeartbeatRecord) -> None:
        await self._check()
        self.shown[record.instance] = record

    async def count_others(self, environment: str, instance: str) -> int:
        await self._check()
        others = (each for each in self.shown.values() if each.instance != instance)
        return sum(each.environment == environment for each in others)

    async def end(self, instance: str) -> None:
        await self._check()
        self.shown.pop(instance, None)

    async def _check(self) -> None:
        await checkpoint()
        if not self.available:
            raise PublisherUnavailableError("no heartbeat can be written")
