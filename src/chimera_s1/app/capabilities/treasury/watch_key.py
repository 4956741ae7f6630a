"""Watch the permissions of the exchange key: transfers and reading, but no withdrawals."""

import logging

from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.key_permissions import KeyPermissions, KeyPermissionsReader

CHECK_INTERVAL_MS = 3_600_000.0
RETRY_INTERVAL_MS = 60_000.0
UNSIGNED_RETRY_MS = 500.0
"""Nothing was sent: at the start the exchange's clock is measured first."""

LOOK_INTERVAL_MS = 2_000.0
"""How soon a replaced key is noticed."""

_log = logging.getLogger(__name__)


class WatchKey:
    """Reads the permissions at the start, once an hour, because they can change, and when the key
    was replaced.
    """

    def __init__(self, reader: KeyPermissionsReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._due_ms = 0.0
        self._keys_replaced = 0
        self.problem = ""
        """What is wrong with the key; empty while nothing is known."""

    def key_replaced(self) -> None:
        """What is known, or being read, is of the key before."""
        self.problem = ""
        self._due_ms = 0.0
        self._keys_replaced += 1

    async def check(self) -> float:
        """Read the permissions if that is due; returns when to check again, ms."""
        if self._clock.monotonic_ms() >= self._due_ms:
            key = self._keys_replaced
            wait_ms, problem = await self._read()
            if key == self._keys_replaced:
                self._due_ms = self._clock.monotonic_ms() + wait_ms
                self._report(problem)
        return min(LOOK_INTERVAL_MS, max(0.0, self._due_ms - self._clock.monotonic_ms()))

    async def _read(self) -> tuple[float, str]:
        """When to read again, ms, and what is wrong now."""
        try:
            permissions = await self._reader.key_permissions()
        except ClockUncertainError:
            return UNSIGNED_RETRY_MS, self.problem
        except ExchangeUnavailableError:
            return RETRY_INTERVAL_MS, self.problem
        except ExchangeRefusedError as error:
            return CHECK_INTERVAL_MS, f"the exchange does not accept it: {error}"
        return CHECK_INTERVAL_MS, _permission_problem(permissions)

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.error("the exchange key: %s", problem)
        self.problem = problem


def _permission_problem(key: KeyPermissions) -> str:
    if key.may_withdraw:
        return "it may withdraw from the exchange; remove that permission"
    if not key.may_transfer:
        return "it may not transfer between wallets; enable Permits Universal Transfer"
    if not key.may_read:
        return "it may not read histories, so unknown outcomes cannot be reconciled; enable reading"
    return ""
