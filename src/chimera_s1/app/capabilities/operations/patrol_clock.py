"""Clock patrol: measure the offset of a venue's clock at regular intervals."""

import logging

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.clock_skew import ClockSample, ClockSkew, SkewWindow
from chimera_s1.domain.operations.reports import ClockReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation

FIRST_ANSWER_RETRY_MS = 1_000
"""Wait after an unanswered request while no offset is known."""

STEP_CHECK_INTERVAL_MS = 500
STEP_MS = 100
"""How often to check for a step of the wall clock, and the smallest step that counts."""

REFRESH_PAUSE_MS = 5_000
"""Shortest time between requested refreshes: an exchange that sends late looks like one whose clock
is wrong.
"""

_log = logging.getLogger(__name__)


class PatrolClock:
    def __init__(
        self, venue: Venue, exchange: ExchangeInformation, clock: Clock, interval_ms: int
    ) -> None:
        self._venue = venue
        self._exchange = exchange
        self._clock = clock
        self._interval_ms = interval_ms
        self._window = SkewWindow()
        self._offset_ms: float | None = None
        self._measured_shift_ms = 0.0
        self._reachable: bool | None = None
        self._refresh_requested = False
        self._next_refresh_ms = 0.0

    @property
    def venue(self) -> Venue:
        return self._venue

    def read_skew(self) -> ClockSkew:
        return self._window.skew

    def offset_ms(self) -> float:
        """Exchange minus local clock, corrected for local clock steps since; 0 before the first
        answer.
        """
        if self._offset_ms is None:
            return 0.0
        stepped_ms = self._shift_ms() - self._measured_shift_ms
        # Smaller differences are rounding and would only add jitter.
        return self._offset_ms - stepped_ms if abs(stepped_ms) > STEP_MS else self._offset_ms

    def request_refresh(self) -> None:
        """Measure soon: the exchange's clock may have stepped, event times do not match."""
        self._refresh_requested = True

    def report(self) -> ClockReport:
        skew = self._window.skew
        return ClockReport(offset_ms=skew.offset_ms, p_up=skew.p_up)

    async def run(self) -> None:
        """Measure at regular intervals until cancelled."""
        while True:
            await self.measure()
            known = self._offset_ms is not None
            await self._wait_for_next(self._interval_ms if known else FIRST_ANSWER_RETRY_MS)

    async def _wait_for_next(self, duration_ms: float) -> None:
        """Wait *duration_ms*, or until the wall clock steps or a refresh is due."""
        until_ms = self._clock.monotonic_ms() + duration_ms
        shift_ms = self._shift_ms()
        while (left_ms := until_ms - self._clock.monotonic_ms()) > 0:
            await self._clock.sleep_ms(min(left_ms, STEP_CHECK_INTERVAL_MS))
            stepped_ms = self._shift_ms() - shift_ms
            if abs(stepped_ms) > STEP_MS:
                _log.warning(
                    "the local clock stepped by %.0f ms; measuring the offset again", stepped_ms
                )
                return
            now_ms = self._clock.monotonic_ms()
            if self._refresh_requested and now_ms >= self._next_refresh_ms:
                self._next_refresh_ms = now_ms + REFRESH_PAUSE_MS
                return

    async def measure(self) -> None:
        """Send one time request."""
        started_ms = self._clock.monotonic_ms()
        self._refresh_requested = False
        try:
            server_ms = await self._exchange.server_time_ms(self._venue)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            self._window.record_miss()
            if self._reachable is not False:
                # Logged once per outage: it is retried every second.
                _log.warning("time request to %s failed; retrying: %s", self._venue, error)
            self._reachable = False
            return
        if self._reachable is False:
            _log.info("time requests to %s are answered again", self._venue)
        self._reachable = True
        # The round trip by the monotonic clock, counted back from the answer: if the wall clock
        # stepped meanwhile, the offset is that of the clock after the step.
        rtt_ms = round(self._clock.monotonic_ms() - started_ms)
        received_ms = self._clock.now_ms()
        sample = ClockSample(received_ms - rtt_ms, received_ms, server_ms)
        self._window.record_answer(sample)
        self._offset_ms = sample.offset_ms
        self._measured_shift_ms = self._shift_ms()

    def _shift_ms(self) -> float:
        """Wall clock minus monotonic clock, ms; changes only when the wall clock steps."""
        return self._clock.now_ms() - self._clock.monotonic_ms()
