"""Which instance does a job: so that several do not do the same work, never so that it is right."""

import logging

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.lease_store import LeaseStore

LEASE_MS = 10_000
RENEW_INTERVAL_MS = 3_000.0

_log = logging.getLogger(__name__)


class JobLease:
    """Args:
    name: Of the job.

    leases: Where it is kept.

    owner: This instance.

    clock: Says when it is due to be renewed.
    """

    def __init__(self, name: str, leases: LeaseStore, owner: str, clock: Clock) -> None:
        self._name = name
        self._leases = leases
        self._owner = owner
        self._clock = clock
        self._renewed_ms: float | None = None

    async def acquire_or_renew(self) -> bool:
        """Take or renew the lease, and say whether it is ours.

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
        """Let another have it at once, where the store can be told."""
        if self._renewed_ms is None:
            return
        self._renewed_ms = None
        try:
            await self._leases.release(self._name, self._owner)
        except StoreUnavailableError as error:
            _log.warning("the lease %s expires by itself: %s", self._name, error)
