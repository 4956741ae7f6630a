"""Watch the key: may it do what it is here for, and no more."""

import logging

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.ports.key_permissions import KeyPermissions, KeyPermissionsReader

CHECK_INTERVAL_MS = 3_600_000.0
RETRY_INTERVAL_MS = 60_000.0

_log = logging.getLogger(__name__)


class WatchKey:
    """Reads the permissions at the start and once an hour: they can be changed at any time."""

    def __init__(self, reader: KeyPermissionsReader) -> None:
        self._reader = reader
        self.problem = ""
        """What is wrong with the key; empty while nothing is known to be."""

    async def check(self) -> float:
        """Read once; returns when to read again, ms."""
        before = self.problem
        try:
            self.problem = _permission_problem(await self._reader.key_permissions())
        except ExchangeUnavailableError:
            return RETRY_INTERVAL_MS
        except ExchangeRefusedError as error:
            self.problem = f"the exchange does not accept it: {error}"
        if self.problem and self.problem != before:
            _log.error("the exchange key: %s", self.problem)
        return CHECK_INTERVAL_MS


def _permission_problem(may: KeyPermissions) -> str:
    if may.may_withdraw:
        return "it may withdraw from the exchange; take that permission away"
    if not may.may_transfer:
        return "it may not transfer between wallets; give it Permits Universal Transfer"
    if not may.may_read:
        return "it may not read histories, so no unknown outcome can be found out; let it read"
    return ""
