"""Leases in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.ports.clock import Clock


class MemoryLeaseStore:
    """Implements `domain.ports.lease_store.LeaseStore`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, tuple[str, float]] = {}

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        await checkpoint()
        now_ms = self._clock.monotonic_ms()
        holder, until_ms = self._leases.get(name, (owner, now_ms))
        if holder != owner and now_ms < until_ms:
            return False
        self._leases[name] = owner, now_ms + duration_ms
        return True

    async def release(self, name: str, owner: str) -> None:
        await checkpoint()
        holder, _ = self._leases.get(name, ("", 0.0))
        if holder == owner:
            del self._leases[name]
