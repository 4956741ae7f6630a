"""Clock patrol: ask each venue for its time, again and again, and keep what the answers say."""

import logging

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.clock_skew import ClockSample, ClockSkew, SkewWindow
from chimera_s1.domain.operations.reports import ClockReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation

FIRST_ANSWER_RETRY_MS = 1_000
"""Pause after an unanswered question while no offset is known at all."""

STEP_CHECK_INTERVAL_MS = 500
STEP_MS = 100
"""How often a step of the wall clock is looked for, and how far it must be."""

REFRESH_PAUSE_MS = 5_000
"""However much the offset is doubted, doubts ask for it no more often: an exchange that is slow to
send looks like one whose clock is wrong.
"""

_log = logging.getLogger(__name__)


class PatrolClock:
    """One venue's clock against ours."""

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
        """Whose clock is watched."""
        return self._venue

    def read_skew(self) -> ClockSkew:
        """What the last questions say."""
        return self._window.skew

    def offset_ms(self) -> float:
        """Exchange minus local clock, ms: as last measured, less what our clock has stepped since;
        0 before the first answer.
        """
        if self._offset_ms is None:
            return 0.0
        stepped_ms = self._shift_ms() - self._measured_shift_ms
        # Below that it is rounding, and not worth a jitter in every time.
        return self._offset_ms - stepped_ms if abs(stepped_ms) > STEP_MS else self._offset_ms

    def request_refresh(self) -> None:
        """Event times do not fit the offset: ask again soon, the exchange's clock may
        have stepped.
        """
        self._refresh_requested = True

    def report(self) -> ClockReport:
        """The skew as a health report."""
        skew = self._window.skew
        return ClockReport(offset_ms=skew.offset_ms, p_up=skew.p_up)

    async def run(self) -> None:
        """Patrol until cancelled."""
        while True:
            await self.measure()
            known = self._offset_ms is not None
            await self._wait_for_next(self._interval_ms if known else FIRST_ANSWER_RETRY_MS)

    async def _wait_for_next(self, duration_ms: float) -> None:
        """Wait for the next question; a wall clock that steps meanwhile asks it at once, and so
        does a doubt, because only an answer shows by how much the offset is wrong now.
        """
        until_ms = self._clock.monotonic_ms() + duration_ms
        shift_ms = self._shift_ms()
        while (left_ms := until_ms - self._clock.monotonic_ms()) > 0:
            await self._clock.sleep_ms(min(left_ms, STEP_CHECK_INTERVAL_MS))
            stepped_ms = self._shift_ms() - shift_ms
            if abs(stepped_ms) > STEP_MS:
                _log.warning("this machine's clock stepped by %.0f ms", stepped_ms)
                return
            now_ms = self._clock.monotonic_ms()
            if self._refresh_requested and now_ms >= self._next_refresh_ms:
                self._next_refresh_ms = now_ms + REFRESH_PAUSE_MS
                return

    async def measure(self) -> None:
        """Ask once."""
        started_ms = self._clock.monotonic_ms()
        self._refresh_requested = False
        try:
            server_ms = await self._exchange.server_time_ms(self._venue)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            self._window.record_miss()
            if self._reachable is not False:
                # Said once: it is asked every second until it answers.
                _log.warning("the clock of %s does not answer: %s", self._venue, error)
            self._reachable = False
            return
        if self._reachable is False:
            _log.info("the clock of %s answers again", self._venue)
        self._reachable = True
        # The round trip by the monotonic clock, counted back from the answer: where the wall clock
        # steps meanwhile, the offset is that of the clock in force from now on.
        rtt_ms = round(self._clock.monotonic_ms() - started_ms)
        received_ms = self._clock.now_ms()
        probe = ClockSample(received_ms - rtt_ms, received_ms, server_ms)
        self._window.record_answer(probe)
        self._offset_ms = probe.offset_ms
        self._measured_shift_ms = self._shift_ms()

    def _shift_ms(self) -> float:
        """Our wall clock minus our monotonic clock, ms: constant but for steps."""
        return self._clock.now_ms() - self._clock.monotonic_ms()
