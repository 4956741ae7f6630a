"""Clock patrol: measure the offset of a venue's clock at regular intervals.

The offset is kept against the monotonic clock, so that a step of the wall clock needs no new
measurement: local times are converted with the wall clock's own distance from it, read each time.
"""

import logging

import anyio

from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.clock_skew import (
    SAMPLES,
    ClockOffset,
    ClockSample,
    ClockSkew,
    OffsetEstimate,
    RequestWindow,
)
from chimera_s1.domain.operations.job_state import JobOutcome, JobState
from chimera_s1.domain.operations.reports import ClockReport
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation

UNSURE_RETRY_MS = 1_000
"""Wait between measurements while no usable offset is known, or the last sample contradicts it."""

CHECK_INTERVAL_MS = 500
STEP_MS = 100
"""How often to check for a requested refresh and for a step of the wall clock, and the smallest
step that counts: where the machine slept, the monotonic clock has stood still too.
"""

REFRESH_PAUSE_MS = 5_000
"""Shortest time between requested refreshes. It doubles with each one that finds no step: an
exchange that sends late looks like one whose clock is wrong.
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
        self._window = RequestWindow()
        self._estimate = OffsetEstimate()
        self._reachable: bool | None = None
        self._refresh_requested = False
        self._refresh_pause_ms = REFRESH_PAUSE_MS
        self._next_refresh_ms = 0.0
        self._measured_once = anyio.Event()
        self.job_state = JobState(name=f"clock.{venue.value}", next_at=clock.now_ms())

    @property
    def venue(self) -> Venue:
        return self._venue

    @property
    def interval_ms(self) -> int:
        return self._interval_ms

    def read_skew(self) -> ClockSkew:
        return self._window.skew(self._measured())

    def offset(self) -> ClockOffset | None:
        """Exchange minus local clock; None while it is not known well enough to be used."""
        measured = self._measured()
        return measured if measured is not None and measured.usable else None

    def earliest_exchange_ms(self) -> float:
        """The exchange's clock is not behind this, epoch ms; 0 before the first sample."""
        measured = self._estimate.at(self._clock.monotonic_ms())
        if measured is None:
            return 0.0
        return self._clock.monotonic_ms() + measured.offset_ms - measured.bound_ms

    def exchange_ms(self) -> float:
        """The exchange's clock now, epoch ms, to sign with.

        Raises:
            ClockUncertainError: It is not known well enough.
        """
        measured = self._estimate.at(self._clock.monotonic_ms())
        if measured is None or not measured.usable:
            known = f"known to {measured.bound_ms:.0f} ms only" if measured else "not measured yet"
            raise ClockUncertainError(
                f"the clock of {self._venue} is {known}, so nothing is signed for it; it is "
                "measured every second: check the network to the exchange"
            )
        return self._clock.monotonic_ms() + measured.offset_ms

    def request_refresh(self) -> None:
        """Measure soon: the exchange's clock may have stepped, event times do not match."""
        self._refresh_requested = True

    def report(self) -> ClockReport:
        skew = self.read_skew()
        return ClockReport(offset=skew.offset, p_up=skew.p_up)

    async def run(self) -> None:
        """Measure at regular intervals until cancelled."""
        while True:
            began_ms = self._clock.now_ms()
            await self.measure()
            self._measured_once.set()
            known = self._estimate.proven and self.offset() is not None
            wait_ms = self._interval_ms if known else UNSURE_RETRY_MS
            self._note_run(began_ms, wait_ms)
            await self._wait_for_next(wait_ms)

    async def wait_measured_once(self) -> None:
        """Until the first measurement has ended, with or without a result."""
        await self._measured_once.wait()

    def _note_run(self, began_ms: int, wait_ms: int) -> None:
        begun, now_ms = self.job_state.begin("", began_ms), self._clock.now_ms()
        if self._reachable:
            sentence = self.report().sentence
            self.job_state = begun.succeed(sentence, now_ms, now_ms + wait_ms)
        else:
            failed = JobOutcome.FAILED
            self.job_state = begun.fail(failed, "no time request was answered", now_ms, wait_ms)

    async def _wait_for_next(self, duration_ms: float) -> None:
        """Wait *duration_ms*, or until the wall clock steps or a refresh is due."""
        until_ms = self._clock.monotonic_ms() + duration_ms
        shift_ms, _ = self._shift()
        while (left_ms := until_ms - self._clock.monotonic_ms()) > 0:
            await self._clock.sleep_ms(min(left_ms, CHECK_INTERVAL_MS))
            stepped_ms = self._shift()[0] - shift_ms
            if abs(stepped_ms) > STEP_MS:
                _log.warning(
                    "the local clock stepped by %.0f ms; measuring the offset again", stepped_ms
                )
                return
            now_ms = self._clock.monotonic_ms()
            if self._refresh_requested and now_ms >= self._next_refresh_ms:
                self._next_refresh_ms = now_ms + self._refresh_pause_ms
                self._refresh_pause_ms = min(2 * self._refresh_pause_ms, self._interval_ms)
                return

    async def measure(self) -> None:
        """Send a time request, and up to three more while they are likely to improve the offset:
        the first one often includes the time to connect.
        """
        self._refresh_requested = False
        for _ in range(SAMPLES + 1):
            if not await self._sample() or self._estimate.settled:
                return

    async def _sample(self) -> bool:
        """Send one time request; False if it was not answered."""
        sent_ms = self._clock.monotonic_ms()
        try:
            server_ms = await self._exchange.server_time_ms(self._venue)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            self._window.record_miss()
            if self._reachable is not False:
                # Logged once per outage: it is retried every second.
                _log.warning("time request to %s failed; retrying: %s", self._venue, error)
            self._reachable = False
            return False
        if self._reachable is False:
            _log.info("time requests to %s are answered again", self._venue)
        self._reachable = True
        sample = ClockSample(sent_ms, self._clock.monotonic_ms(), server_ms)
        self._window.record_answer(sample.rtt_ms)
        if self._estimate.add(sample):
            self._refresh_pause_ms = REFRESH_PAUSE_MS
            _log.warning("the clock of %s has stepped: %d samples agree", self._venue, SAMPLES)
        return True

    def _measured(self) -> ClockOffset | None:
        measured = self._estimate.at(self._clock.monotonic_ms())
        if measured is None:
            return None
        shift_ms, error_ms = self._shift()
        return ClockOffset(measured.offset_ms - shift_ms, measured.bound_ms + error_ms)

    def _shift(self) -> tuple[float, float]:
        """Wall clock minus monotonic clock, ms, and the largest error of this reading."""
        before_ms = self._clock.monotonic_ms()
        wall_ms = self._clock.now_ms()
        after_ms = self._clock.monotonic_ms()
        return wall_ms - (before_ms + after_ms) / 2, (after_ms - before_ms) / 2
