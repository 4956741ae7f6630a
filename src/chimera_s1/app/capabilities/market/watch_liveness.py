"""Watch the liveness of a venue's streams and publish it to `mkt:status:<venue>`.

A connection that is silent for much longer than usual is reconnected. A silent stream on an active
connection is probed by REST; if the venue's book has changed, the stream is STALE and its
connection is renewed.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

import anyio
from msgspec import Struct

from chimera_s1.app.capabilities.market.probe_books import ProbeBooks
from chimera_s1.app.capabilities.operations.outbox import Outbox, flush_on_change
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.health import MarketReport
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.liveness_board import WHOLE_CONNECTION, LivenessBoard
from chimera_s1.domain.market.quote import Quote, StreamKey
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ClockStepped,
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FeedEvent,
    MarketFeed,
)
from chimera_s1.domain.ports.market_status import MarketStatus

CHECK_INTERVAL_MS = 500
RENEWAL_PAUSE_MS = 60_000
OUTBOX_MAX = 20_000
LATENESS_MAX_MS = 2_000
"""Quotes are drained within a window of their receipt; a larger delay is a wall clock step."""

_log = logging.getLogger(__name__)


class LivenessCounters(Struct):
    """Silent connections that were reconnected, and probes that found a stale stream."""

    blind_reconnects: int = 0
    stale_probes: int = 0


class WatchLiveness:
    def __init__(
        self, venue: Venue, status: MarketStatus, probes: ProbeBooks, clock: Clock
    ) -> None:
        self.venue = venue
        self.counters = LivenessCounters()
        self._status = status
        self._probes = probes
        self._clock = clock
        self._board = LivenessBoard()
        self._newest: dict[StreamKey, Quote] = {}
        self._last_message_ms: dict[str, int] = {}
        self._renewed_ms: dict[str, float] = {}
        self._probing = False
        self.outbox = Outbox(self._write, limit=OUTBOX_MAX, batch_max=OUTBOX_MAX)

    def observe(self, quotes: Iterable[Quote]) -> None:
        """Record drained quotes; quotes of other venues are ignored."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.now_ms()
        for quote in quotes:
            if quote.instrument.venue is self.venue:
                key = (quote.instrument, quote.source)
                self._newest[key] = quote
                self._board.record_update(key, now_ms - _lateness_ms(wall_ms, quote.received_ms))

    def on_feed_event(self, event: FeedEvent) -> None:
        """Record a change of a connection; never waits, never raises."""
        now_ms = self._clock.monotonic_ms()
        if event.venue is not self.venue:
            return
        if isinstance(event, ConnectionOpened):
            self._board.connection_opened(event.connection, event.streams, now_ms)
        elif isinstance(event, ConnectionLost | ConnectionFatal):
            self._board.connection_lost(event.connection, event.streams, event.cause, now_ms)
        elif isinstance(event, ClockStepped):
            self.outbox.put(_step_markers(event, self._clock.now_ms()))

    def report(self) -> MarketReport:
        """Number of instruments in each state."""
        count = Counter(self._board.states().values())
        return MarketReport(
            live=count[Liveness.LIVE],
            quiet=count[Liveness.QUIET],
            stale=count[Liveness.STALE],
            blind=count[Liveness.BLIND],
        )

    def states(self) -> dict[InstrumentId, Liveness]:
        return self._board.states()

    async def run(self, feed: MarketFeed) -> None:
        """Watch *feed* until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flush_on_change, self.outbox.changes, self.outbox.flush, self._clock)
            while True:
                await self._clock.sleep_ms(CHECK_INTERVAL_MS)
                suspects = self._evaluate(feed)
                if suspects and not self._probing:
                    # A task of its own: a slow answer must not delay the next evaluation.
                    self._probing = True
                    tasks.start_soon(self._probe, feed, suspects[0])

    def _evaluate(self, feed: MarketFeed) -> Sequence[StreamKey]:
        """Publish changes and reconnect silent connections; return the streams to probe."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.now_ms()
        for name, last_ms in feed.last_message_ms().items():
            if self._last_message_ms.get(name) != last_ms:
                self._last_message_ms[name] = last_ms
                self._board.record_message(name, now_ms - _lateness_ms(wall_ms, last_ms))
        findings = self._board.evaluate(now_ms, lambda moment: round(wall_ms - (now_ms - moment)))
        if findings.changes:
            self.outbox.put(findings.changes)
        for name in findings.silent_connections:
            self.counters.blind_reconnects += 1
            _log.warning("%s: no message for much longer than usual; reconnecting", name)
            feed.reconnect(name, "no message for much longer than usual")
        return findings.suspect_streams

    async def _probe(self, feed: MarketFeed, key: StreamKey) -> None:
        started_ms = self._clock.monotonic_ms()
        try:
            moved = await self._probes.has_moved(key[0], self._newest.get(key))
        finally:
            self._probing = False
        now_ms = self._clock.monotonic_ms()
        if self._board.silence_ms(key, now_ms) < now_ms - started_ms:
            return  # the stream has delivered meanwhile
        self._board.record_probe(key, now_ms, book_moved=moved)
        name = self._board.connection_of(key)
        if moved:
            self.counters.stale_probes += 1
            _log.warning("%s is stale on %s: its book changes without updates", key[0], name)
            if now_ms - self._renewed_ms.get(name, -RENEWAL_PAUSE_MS) >= RENEWAL_PAUSE_MS:
                self._renewed_ms[name] = now_ms
                feed.renew(name, f"{key[0]} is stale")

    async def _write(self, batch: tuple[StatusChange, ...]) -> None:
        await self._status.append(self.venue, batch)


def _lateness_ms(wall_ms: int, received_ms: int) -> int:
    """Age of *received_ms*, limited to 0 to `LATENESS_MAX_MS` in case the wall clock stepped."""
    return min(max(0, wall_ms - received_ms), LATENESS_MAX_MS)


def _step_markers(step: ClockStepped, now_ms: int) -> tuple[StatusChange, ...]:
    """GAP and RESUMED: nothing is missing, but `ts` starts anew."""
    cause = f"clock_step: the local clock stepped back by {-step.step_ms} ms, ts starts again"
    return tuple(
        StatusChange(now_ms, WHOLE_CONNECTION, state, step.before_ms, cause)
        for state in (Liveness.GAP, Liveness.RESUMED)
    )
