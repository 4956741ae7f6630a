"""Which instance does a job. A lease saves duplicate work; correctness never depends on it."""

import logging

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.lease_store import LeaseStore

LEASE_MS = 10_000
RENEW_INTERVAL_MS = 3_000.0

_log = logging.getLogger(__name__)


class JobLease:
    """One instance's claim to the job *name*; *owner* identifies the instance."""

    def __init__(self, name: str, leases: LeaseStore, owner: str, clock: Clock) -> None:
        self._name = name
        self._leases = leases
        self._owner = owner
        self._clock = clock
        self._renewed_ms: float | None = None

    async def acquire_or_renew(self) -> bool:
        """Whether this instance holds the lease now.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        now_ms = self._clock.monotonic_ms()
        if self._renewed_ms is not None and now_ms - self._renewed_ms < RENEW_INTERVAL_MS:
            return True
        held = await self._leases.acquire(self._name, self._owner, LEASE_MS)
        self._renewed_ms = now_ms if held else None
        return held

    async def release(self) -> None:
        """Free the lease for another instance; where the store does not answer, it expires."""
        if self._renewed_ms is None:
            return
        self._renewed_ms = None
        try:
            await self._leases.release(self._name, self._owner)
        except StoreUnavailableError as error:
            _log.warning("cannot release lease %s: %s; it will expire", self._name, error)
