"""Watch the permissions of the exchange key: transfers and reading, but no withdrawals."""

import logging

from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.ports.key_permissions import KeyPermissions, KeyPermissionsReader

CHECK_INTERVAL_MS = 3_600_000.0
RETRY_INTERVAL_MS = 60_000.0
UNSIGNED_RETRY_MS = 500.0
"""Nothing was sent: at the start the exchange's clock is measured first."""

_log = logging.getLogger(__name__)


class WatchKey:
    """Reads the permissions at the start and once an hour, because they can change."""

    def __init__(self, reader: KeyPermissionsReader) -> None:
        self._reader = reader
        self.problem = ""
        """What is wrong with the key; empty while nothing is known."""

    async def check(self) -> float:
        """Read the permissions once; returns when to read them again, ms."""
        before = self.problem
        try:
            self.problem = _permission_problem(await self._reader.key_permissions())
        except ClockUncertainError:
            return UNSIGNED_RETRY_MS
        except ExchangeUnavailableError:
            return RETRY_INTERVAL_MS
        except ExchangeRefusedError as error:
            self.problem = f"the exchange does not accept it: {error}"
        if self.problem and self.problem != before:
            _log.error("the exchange key: %s", self.problem)
        return CHECK_INTERVAL_MS


def _permission_problem(key: KeyPermissions) -> str:
    if key.may_withdraw:
        return "it may withdraw from the exchange; remove that permission"
    if not key.may_transfer:
        return "it may not transfer between wallets; enable Permits Universal Transfer"
    if not key.may_read:
        return "it may not read histories, so unknown outcomes cannot be reconciled; enable reading"
    return ""
