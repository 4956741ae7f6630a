"""Ask the store every few seconds whether it works, and keep the answer in memory."""

import logging
from typing import Final

from chimera_s1.domain.errors import (
    ConfigurationError,
    LedgerDamagedError,
    StoreUnavailableError,
)
from chimera_s1.domain.operations.store_report import StoreReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.store_probe import StoreProbe

CHECK_INTERVAL_MS: Final = 5_000.0

_log = logging.getLogger(__name__)


class WatchStore:
    """Attributes:
    failures: How many checks have failed since the start.

    duration_ms: Of the last check that succeeded; None before the first.
    """

    def __init__(self, probe: StoreProbe, clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self._report = StoreReport(probe.place, checked=False)
        self.failures = 0
        self.duration_ms: float | None = None

    def report(self) -> StoreReport:
        return self._report

    async def check(self) -> None:
        began_ms = self._clock.monotonic_ms()
        try:
            await self._probe.check()
        except StoreUnavailableError as error:
            self._fail(error, waits=True)
        except (ConfigurationError, LedgerDamagedError) as error:
            self._fail(error, waits=False)
        else:
            if self._report.error:
                _log.info("the store works again: %s", self._probe.place)
            self.duration_ms = self._clock.monotonic_ms() - began_ms
            self._report = StoreReport(self._probe.place, checked=True)

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.check()
            await self._clock.sleep_ms(CHECK_INTERVAL_MS)

    def _fail(self, error: Exception, *, waits: bool) -> None:
        if not self._report.error:
            _log.warning("the store does not work: %s", error)
        self.failures += 1
        self._report = StoreReport(self._probe.place, checked=True, error=str(error), waits=waits)
