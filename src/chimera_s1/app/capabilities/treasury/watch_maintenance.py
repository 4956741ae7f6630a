"""Watch the exchange's status: during a maintenance no transfer is accepted or sent."""

import logging
from collections.abc import Sequence

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.operations.job_state import JobOutcome, JobState
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_status import ExchangeStatusReader
from chimera_s1.domain.treasury.events import (
    OutcomeUnknown,
    SubmissionNotExecuted,
    TreasuryEvent,
)

CHECK_INTERVAL_MS = 3_600_000.0
RETRY_INTERVAL_MS = 60_000.0
DEBOUNCE_MS = 1_000.0

_log = logging.getLogger(__name__)


class WatchMaintenance:
    """Reads the status at the start and once an hour; once a minute during a maintenance or while
    it cannot be read; and after a transfer that was not executed or has an unknown outcome.

    Attributes:
        maintenance: The exchange's words; empty outside of a maintenance.
        problem: Why the status is not known; then transfers go on, and the exchange decides.
        has_checked: The first read has ended, however.
    """

    def __init__(self, reader: ExchangeStatusReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._recheck = ChangeSignal()
        self.maintenance = ""
        self.problem = ""
        self.has_checked = False
        self.job_state = JobState(name="treasury.maintenance", next_at=clock.now_ms())

    async def run(self) -> None:
        while True:
            version = self._recheck.version
            began_ms = self._clock.now_ms()
            wait_ms = await self.check()
            self._note_run(began_ms, wait_ms)
            await self._recheck.wait_after(
                self._clock, wait_ms, version=version, debounce_ms=DEBOUNCE_MS
            )

    def recheck(self) -> None:
        """Read the status soon."""
        self._recheck.notify()

    def _note_run(self, began_ms: int, wait_ms: float) -> None:
        begun, now_ms = self.job_state.begin("", began_ms), self._clock.now_ms()
        if self.problem:
            self.job_state = begun.fail(JobOutcome.FAILED, self.problem, now_ms, wait_ms)
        else:
            sentence = self.maintenance or "no maintenance"
            self.job_state = begun.succeed(sentence, now_ms, now_ms + round(wait_ms))

    def recheck_after(self, events: Sequence[TreasuryEvent], _: object = None) -> None:
        """A listener of the ledger: read the status again if a maintenance may have begun."""
        if any(isinstance(event, OutcomeUnknown | SubmissionNotExecuted) for event in events):
            self._recheck.notify()

    async def check(self) -> float:
        """Read the status once; returns when to read it again, ms."""
        before = self.maintenance
        try:
            status = await self._reader.exchange_status()
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            self.problem = str(error)
        else:
            self.maintenance = status.message if status.maintenance else ""
            self.problem = f"{status.message} is not documented" if status.unknown else ""
        self.has_checked = True
        if bool(before) != bool(self.maintenance):
            _log_change(self.maintenance)
        return RETRY_INTERVAL_MS if self.maintenance or self.problem else CHECK_INTERVAL_MS


def _log_change(maintenance: str) -> None:
    if maintenance:
        _log.warning(
            "the exchange is in maintenance (%s): no transfer is accepted or sent", maintenance
        )
    else:
        _log.info("the exchange's maintenance has ended: transfers are accepted and sent again")
