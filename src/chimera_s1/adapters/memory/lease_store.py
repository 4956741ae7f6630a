"""Leases in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ports.clock import Clock


class MemoryLeaseStore:
    """Implements `domain.ports.lease_store.LeaseStore`; `unavailable` makes it unreachable until it
    is set back.
    """

    def __init__(self, clock: Clock) -> None:
        """Args: clock: Its monotonic side tells when a lease ends."""
        self.unavailable = False
        self._clock = clock
        self._leases: dict[str, tuple[str, float]] = {}

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        """Take, or keep, the lease *name*."""
        await self._check_available()
        now_ms = self._clock.monotonic_ms()
        holder, until_ms = self._leases.get(name, (owner, now_ms))
        if holder != owner and now_ms < until_ms:
            return False
        self._leases[name] = owner, now_ms + duration_ms
        return True

    async def release(self, name: str, owner: str) -> None:
        """Give it up, if it is still *owner*'s."""
        await self._check_available()
        holder, _ = self._leases.get(name, ("", 0.0))
        if holder == owner:
            del self._leases[name]

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise StoreUnavailableError("the leases' store is gone")
