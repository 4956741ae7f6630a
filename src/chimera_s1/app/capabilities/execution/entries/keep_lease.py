"""Hold the lease of the instance that drives the entries."""

from typing import Final

from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ports.clock import Clock

ATTEMPT_INTERVAL_MS: Final = 500.0


class KeepLease:
    """A task of its own: a store that is slow must not delay a stop.

    Attributes:
        last_error: Why the lease cannot be renewed; empty while it can.
    """

    def __init__(self, lease: JobLease, clock: Clock) -> None:
        self._lease = lease
        self._clock = clock
        self.last_error = ""

    def is_held(self) -> bool:
        return self._lease.left_ms() > 0

    async def run(self) -> None:
        """Acquire and renew until cancelled; the lease is free then."""
        async with self._lease.released_at_end():
            while True:
                await self._attempt()
                await self._clock.sleep_ms(ATTEMPT_INTERVAL_MS)

    async def _attempt(self) -> None:
        try:
            await self._lease.acquire_or_renew()
        except StoreUnavailableError as error:
            self.last_error = str(error)
        else:
            self.last_error = ""
