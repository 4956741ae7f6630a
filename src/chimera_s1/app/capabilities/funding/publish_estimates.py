"""Publish the running funding estimates to `mkt:events:funding:<SYMBOL>`.

Windows are those of the quotes. At the end of each, the newest estimate of every contract that this
instance serves is published if its rate or settlement has changed, and at least every 60 s. While
Redis is away, or the kill switch holds it back, the newest estimate of each contract waits.

Only the instance that publishes quotes publishes estimates. One that takes over publishes every
estimate with the next message: what another instance has published is not known to it, and
consumers drop events that they have by `event_id`.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.app.capabilities.operations.publication_gate import PublicationGate
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.funding.estimates import PublishedEstimates
from chimera_s1.domain.funding.estimates_report import EstimatesReport
from chimera_s1.domain.funding.settlement import REGULAR
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.market.conflation import WINDOW_MS_MAX, WindowMs, window_end
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.funding_events import FundingEvent, FundingEvents
from chimera_s1.domain.ports.instrument_reader import InstrumentReader
from chimera_s1.domain.ports.mark_prices import MarkPrices
from chimera_s1.domain.ports.publication import Publication

RETRY_MS = 1_000
UNKNOWN_MS = 60_000
"""A contract that the stream has not named for this long is not reported as unknown any more."""

_log = logging.getLogger(__name__)


class EstimateCounts(Struct):
    """Totals since the start; only `PublishEstimates` writes them.

    Attributes:
        merged: Estimates that were replaced by a newer one before they were written.
        unserved: Estimates of contracts that this instance does not serve.
        unknown: Estimates of contracts that the registry does not list.
        failures: Writes that failed, at least in part.
    """

    published: int = 0
    merged: int = 0
    unserved: int = 0
    unknown: int = 0
    failures: int = 0


class PublishEstimates:
    """Args:
    instruments: Tells contracts that are not served from unknown ones.
    publication: Whether, and of what, this instance publishes.
    gate: Decides when estimates may be written.
    window: 0 publishes every change at once.
    on_settled: Called with the contract and the time of each settlement that has happened; must
        neither wait nor raise.
    """

    def __init__(
        self,
        source: MarkPrices,
        events: FundingEvents,
        latest: LatestEstimates,
        *,
        instruments: InstrumentReader,
        publication: Publication,
        gate: PublicationGate,
        clock: Clock,
        window: WindowMs,
        on_settled: Callable[[Symbol, int], None],
    ) -> None:
        self._source = source
        self._events = events
        self._latest = latest
        self._instruments = instruments
        self._publication = publication
        self._gate = gate
        self._clock = clock
        self._window = window
        self._on_settled = on_settled
        self._received: dict[Symbol, FundingEstimate] = {}
        self._window_end_ms = 0
        self._term = 0
        self._published = PublishedEstimates()
        self._waiting: dict[Symbol, FundingEstimate] = {}
        self._let_through = False
        self._changes = ChangeSignal()
        self._cause = ""
        self._known: frozenset[Symbol] = frozenset()
        self._known_version = -1
        self._unknown_ms: dict[Symbol, float] = {}
        self.counts = EstimateCounts()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._source.run, self.receive)
            tasks.start_soon(self._gate.follow, self._open)
            tasks.start_soon(self._write_waiting)
            if self._window:
                tasks.start_soon(self._close_windows)

    async def flush(self) -> None:
        """Write what was received and what waits, once; nothing while the kill switch stops
        publication.
        """
        self._close_window()
        self._let_through = True
        if batch := self._take_batch():
            await self._write(batch)

    def receive(self, estimates: Sequence[FundingEstimate]) -> None:
        """Take what one message says."""
        taken = self._latest.take(estimates)
        now_ms = self._clock.now_ms()
        if self._window_is_over(now_ms):
            self._close_window()  # of earlier messages, where the loop was late
            self._window_end_ms = window_end(now_ms, self._window)
        for each in taken.newer:
            self._received[each.symbol] = each
        if not self._window:
            self._close_window()
        for settled in taken.settled:
            self._on_settled(*settled)

    @property
    def waiting(self) -> int:
        """Contracts whose newest estimate is not written yet."""
        return len(self._waiting)

    def report(self) -> EstimatesReport:
        source = self._source.report()
        return EstimatesReport(
            connected=source.connected,
            age_ms=source.age_ms,
            contracts=self._latest.contracts,
            published=self.counts.published,
            publishing=self._publication.term > 0,
            waiting=self.waiting,
            withheld=not self._gate.is_open,
            cause=self._cause,
            unreadable=source.counts.unreadable,
            unknown=self._unknown(),
        )

    async def _close_windows(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            await self._clock.sleep_ms(window_end(now_ms, self._window) - now_ms)
            if self._window_is_over(self._clock.now_ms()):
                self._close_window()

    def _window_is_over(self, now_ms: int) -> bool:
        """Also where the local clock was set back."""
        return not self._window_end_ms - WINDOW_MS_MAX <= now_ms < self._window_end_ms

    def _close_window(self) -> None:
        """Have what is due of the window written."""
        received, self._received = self._received, {}
        term = self._publication.term
        if term != self._term:
            self._term = term
            self._published.forget_all()
            self._waiting.clear()
        if not term:
            return
        now_ms = self._clock.monotonic_ms()
        for estimate in self._wanted(received, now_ms):
            if self._published.is_due(estimate, now_ms):
                self._published.record(estimate, now_ms)
                self.counts.merged += estimate.symbol in self._waiting
                self._waiting[estimate.symbol] = estimate
        if self._waiting:
            self._changes.notify()

    def _wanted(
        self, received: Mapping[Symbol, FundingEstimate], now_ms: float
    ) -> list[FundingEstimate]:
        """Those of served contracts; the others are counted."""
        served, known = self._publication.served(Venue.PERP), self._known_symbols()
        wanted = []
        for symbol, estimate in received.items():
            if symbol in served:
                wanted.append(estimate)
            elif symbol in known:
                self.counts.unserved += 1
            else:
                self.counts.unknown += 1
                self._unknown_ms[symbol] = now_ms
        return wanted

    def _unknown(self) -> tuple[Symbol, ...]:
        """Contracts that the stream names and the registry does not list."""
        known, since_ms = self._known_symbols(), self._clock.monotonic_ms() - UNKNOWN_MS
        named = {symbol: at for symbol, at in self._unknown_ms.items() if at >= since_ms}
        self._unknown_ms = named
        return tuple(sorted(symbol for symbol in named if symbol not in known))

    def _known_symbols(self) -> frozenset[Symbol]:
        if self._known_version != self._instruments.version:
            self._known_version = self._instruments.version
            listings = self._instruments.listings(Venue.PERP) or ()
            self._known = frozenset(each.instrument.symbol for each in listings)
        return self._known

    def _open(self) -> None:
        self._let_through = not self._gate.is_open
        self._changes.notify()

    async def _write_waiting(self) -> None:
        while True:
            version = self._changes.version
            batch = self._take_batch()
            if not batch:
                await self._changes.next_after(version)
            elif not await self._write(batch):
                await self._clock.sleep_ms(RETRY_MS)

    def _take_batch(self) -> Sequence[FundingEstimate]:
        may_write = self._gate.is_open or (self._let_through and not self._gate.is_stopped)
        if not may_write or self._publication.term != self._term:
            return ()
        self._let_through = False
        waiting, self._waiting = self._waiting, {}
        served = self._publication.served(Venue.PERP)
        self._published.forget(waiting.keys() - served)
        return [each for symbol, each in waiting.items() if symbol in served]

    async def _write(self, batch: Sequence[FundingEstimate]) -> bool:
        """False if some must be written again."""
        term, events = self._term, [estimate_event(each) for each in batch]
        try:
            outcome = await self._events.try_publish(events)
        except anyio.get_cancelled_exc_class():
            self._keep(batch)  # for `flush`; entries that are there twice have one `event_id`
            raise
        self._log_change(outcome.cause)
        self._cause = outcome.cause
        self.counts.published += len(events) - len(outcome.events)
        if not outcome.events:
            return True
        self.counts.failures += 1
        if term == self._term:
            unwritten = {event.symbol for event in outcome.events}
            self._keep(each for each in batch if each.symbol in unwritten)
        return False

    def _keep(self, unwritten: Iterable[FundingEstimate]) -> None:
        """For the next write, where no newer one waits."""
        for estimate in unwritten:
            kept = self._waiting.setdefault(estimate.symbol, estimate)
            self.counts.merged += kept is not estimate

    def _log_change(self, cause: str) -> None:
        if cause and not self._cause:
            text = "funding estimates not written: %s; the newest of each contract is retried"
            _log.warning(text, cause)
        elif self._cause and not cause:
            _log.info("funding estimates are written again")


def estimate_event(estimate: FundingEstimate) -> FundingEvent:
    """Instances that receive the same row make the same event."""
    symbol, time = estimate.symbol, estimate.funding_time
    return FundingEvent(
        ts=estimate.event_time,
        symbol=symbol,
        rate_est=exact_text(Decimal(estimate.rate) or Decimal(0)),  # not -0
        funding_time=time,
        rate_type=REGULAR,
        event_id=f"{symbol}-{time}-est-{estimate.event_time}",
    )
