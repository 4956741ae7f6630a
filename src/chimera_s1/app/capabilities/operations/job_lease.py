"""Which instance does a job. A lease saves duplicate work; correctness never depends on it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.lease_store import LeaseStore

LEASE_MS = 10_000
RENEW_INTERVAL_MS = 3_000.0
"""Of a lease of `LEASE_MS`; the same part of another duration."""

RELEASE_LIMIT_S = 1.0
"""A shutdown waits so long for the store; then the lease expires."""

_log = logging.getLogger(__name__)


class JobLease:
    """One instance's claim to the job *name*; *owner* identifies the instance."""

    def __init__(
        self,
        name: str,
        leases: LeaseStore,
        owner: str,
        clock: Clock,
        *,
        duration_ms: int = LEASE_MS,
    ) -> None:
        self._name = name
        self._leases = leases
        self._owner = owner
        self._clock = clock
        self._duration_ms = duration_ms
        self.renew_interval_ms = RENEW_INTERVAL_MS * duration_ms / LEASE_MS
        self._renewed_ms: float | None = None

    def left_ms(self) -> float:
        """How long no other instance can take the lease; 0 or less once one can.

        Both clocks measure durations only: this one from before the request was sent, that of the
        other instance from when it first saw the renewal.
        """
        if self._renewed_ms is None:
            return 0.0
        return self._renewed_ms + self._duration_ms - self._clock.monotonic_ms()

    async def acquire_or_renew(self) -> bool:
        """Whether this instance holds the lease now.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        now_ms = self._clock.monotonic_ms()
        if self._renewed_ms is not None and now_ms - self._renewed_ms < self.renew_interval_ms:
            return True
        held = await self._leases.acquire(self._name, self._owner, self._duration_ms)
        self._renewed_ms = now_ms if held else None
        return held

    @asynccontextmanager
    async def released_at_end(self) -> AsyncIterator[None]:
        """Free the lease when the block ends, also by cancellation: a stopping service lets another
        instance take over at once.
        """
        try:
            yield
        finally:
            with anyio.move_on_after(RELEASE_LIMIT_S, shield=True):
                await self.release()

    async def release(self) -> None:
        """Free the lease for another instance; where the store does not answer, it expires."""
        if self._renewed_ms is None:
            return
        self._renewed_ms = None
        try:
            await self._leases.release(self._name, self._owner)
        except StoreUnavailableError as error:
            _log.warning("cannot release lease %s: %s; it will expire", self._name, error)
