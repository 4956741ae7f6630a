"""A publisher lease in memory."""

from collections.abc import Awaitable, Callable

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.publisher_lease import LeaseHolder

STANDBY_MS = 1_000


class MemoryPublisherLease:
    """Implements `domain.ports.publisher_lease.PublisherLease`; calls raise while `unavailable`.

    Attributes:
        before_failure: What happens while such a call waits.
        endless: Whether the lease of another owner never expires: written by hand.
    """

    def __init__(self, clock: Clock, name: str = "publisher") -> None:
        self.unavailable = False
        self.before_failure: Callable[[], Awaitable[None]] | None = None
        self.endless = False
        self.owner = ""
        self._standby, self._standby_until_ms = "", 0.0
        self._name = name
        self._clock = clock
        self._until_ms = 0.0

    @property
    def name(self) -> str:
        return self._name

    async def acquire(self, owner: str, duration_ms: int) -> LeaseHolder:
        await self._check_available()
        now_ms = self._clock.monotonic_ms()
        if self.endless and self.owner != owner:
            return LeaseHolder(self.owner, -1)
        if self.owner not in {"", owner} and now_ms < self._until_ms:
            self._standby, self._standby_until_ms = owner, now_ms + STANDBY_MS
            return LeaseHolder(self.owner, round(self._until_ms - now_ms), owner)
        if owner != self.owner:
            self._standby = ""
        self.owner, self._until_ms = owner, now_ms + duration_ms
        waits = now_ms < self._standby_until_ms
        return LeaseHolder(owner, duration_ms, self._standby if waits else "")

    async def release(self, owner: str) -> None:
        await self._check_available()
        if self.owner == owner:
            self.owner = ""

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            if self.before_failure is not None:
                await self.before_failure()
            raise PublisherUnavailableError("the lease cannot be read")
