"""Watch the permissions of the exchange key: reading, transfers, futures, and no withdrawals."""

import logging

from chimera_s1.app.capability import JobResult
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
)
from chimera_s1.domain.ports.key_permissions import KeyPermissionsReader

UNSIGNED_RETRY_MS = 500.0
"""Nothing was sent: at the start the exchange's clock is measured first."""

_log = logging.getLogger(__name__)


class WatchKey:
    """Reads the permissions at the start, once an hour, because they can change, and when the key
    was replaced.
    """

    def __init__(self, reader: KeyPermissionsReader) -> None:
        self._reader = reader
        self.replaced = ChangeSignal()
        self.problem = ""
        """What is wrong with the key; empty while nothing is known."""

    def key_replaced(self) -> None:
        """What is known, or being read, is of the key before."""
        self.problem = ""
        self.replaced.notify()

    async def check(self) -> JobResult:
        """Read the permissions once.

        Raises:
            ExchangeUnavailableError: No answer; what was known stays.
        """
        key = self.replaced.version
        try:
            problem = "; ".join((await self._reader.key_permissions()).problems)
        except ClockUncertainError as error:
            return JobResult(str(error), UNSIGNED_RETRY_MS)
        except ExchangeRefusedError as error:
            problem = f"the exchange does not accept it: {error}"
        if key != self.replaced.version:
            return JobResult("the key was replaced meanwhile", 0)
        self._report(problem)
        return JobResult(
            problem or "the key may read, transfer and use futures, and may not withdraw"
        )

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.error("the exchange key: %s", problem)
        self.problem = problem
