"""Log operations: what happens to connections, written for operators and their tools.

Events wait in a bounded outbox until the store takes them, in order. Round trips are samples: only
the newest of each connection waits.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import assert_never

import anyio
from msgspec import Struct

from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.operations.clock_skew import percentile
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FeedEvent,
    RoundTrip,
)
from chimera_s1.domain.ports.operations_log import (
    EventDetail,
    OperationsEvent,
    OperationsLog,
    RoundTripEntry,
    RoundTripSummary,
)

OUTBOX_MAX = 10_000
ROUND_TRIPS_KEPT = 1_000
RETRY_WAIT_MS = 1_000
REDIS_ERRORS = (PublisherUnavailableError, ConfigurationError)
"""What a store that ran a moment ago may answer: a changed password is mended without a restart."""

_log = logging.getLogger(__name__)


class OperationsCounters(Struct):
    """What the operations log has counted; only `OperationsOutbox` writes.

    Attributes:
        recorded: Events written to `ops:events`.

        dropped: Oldest events given up because the outbox was full.
    """

    recorded: int = 0
    dropped: int = 0


class OperationsOutbox:
    """Takes feed events from the sockets, without waiting, and writes them from a worker.

    Args:
        operations: Where they are written.

        clock: Time and waiting.

        new_id: Makes an event id nobody else makes.
    """

    def __init__(
        self,
        operations: OperationsLog,
        *,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._operations = operations
        self._clock = clock
        self._new_id = new_id
        self._outbox: deque[OperationsEvent] = deque()
        self._samples: dict[str, RoundTripEntry] = {}
        self._round_trips: deque[float] = deque(maxlen=ROUND_TRIPS_KEPT)
        self._wake = anyio.Event()
        self.counters = OperationsCounters()

    @property
    def pending(self) -> int:
        """Events in the outbox."""
        return len(self._outbox)

    def on_feed_event(self, event: FeedEvent) -> None:
        """Take an event; never waits, never raises."""
        match event:
            case RoundTrip():
                self._sample(event)
            case ConnectionOpened(connection=name, venue=venue, recovered=recovered):
                _log.info("%s delivers%s", name, " again: FATAL is over" if recovered else "")
                kind = "ws.recovered" if recovered else "ws.opened"
                self.record(kind, {"connection": name, "venue": venue.value})
            case ConnectionLost(connection=name, cause=cause, retry_in_ms=wait_ms):
                _log.warning("%s lost: %s; next dial in %.1f s", name, cause, wait_ms / 1e3)
                self.record("ws.lost", _loss_detail(event))
            case ConnectionRenewed(connection=name, venue=venue, cause=cause):
                _log.info("%s renewed without a gap: %s", name, cause)
                detail: EventDetail = {"connection": name, "venue": venue.value, "cause": cause}
                self.record("ws.renewed", detail)
            case ConnectionFatal(connection=name, cause=cause):
                _log.error("%s is out of retries: %s; MANAGE_ONLY until it is back", name, cause)
                self.record("ws.fatal", _loss_detail(event))
            case _:
                assert_never(event)

    def record(self, kind: str, detail: EventDetail) -> None:
        """Put an event of *kind* into the outbox."""
        if len(self._outbox) == OUTBOX_MAX:
            self._outbox.popleft()
            self.counters.dropped += 1
        event = OperationsEvent(self._new_id(), self._clock.now_ms(), kind, detail)
        self._outbox.append(event)
        self._wake.set()

    def round_trips(self) -> RoundTripSummary:
        """Percentiles over the last round trips, ms; zeros before the first."""
        ordered = sorted(self._round_trips)
        p50, p95 = percentile(ordered, 0.50), percentile(ordered, 0.95)
        return RoundTripSummary(p50=p50 or 0.0, p95=p95 or 0.0, n=len(ordered))

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            try:
                await self.flush()
            except REDIS_ERRORS:
                await self._clock.sleep_ms(RETRY_WAIT_MS)
                self._wake.set()

    async def flush(self) -> None:
        """Write what waits.

        Raises:
            PublisherUnavailableError: The store cannot be reached; what waits still waits.

            ConfigurationError: The store refuses us; what waits still waits.
        """
        while self._outbox:
            event = self._outbox[0]
            await self._operations.record(event)
            self.counters.recorded += 1
            if self._outbox and self._outbox[0] is event:
                self._outbox.popleft()
        while self._samples:
            name, entry = next(iter(self._samples.items()))
            await self._operations.record_round_trip(entry, self.round_trips())
            if self._samples[name] is entry:
                del self._samples[name]

    def _sample(self, event: RoundTrip) -> None:
        self._round_trips.append(event.rtt_ms)
        self._samples[event.connection] = RoundTripEntry(
            ts=self._clock.now_ms(),
            connection=event.connection,
            venue=event.venue.value,
            rtt_ms=round(event.rtt_ms, 3),
            process_ms=round(event.process_ms, 3),
        )
        self._wake.set()


def _loss_detail(event: ConnectionLost | ConnectionFatal) -> EventDetail:
    return {
        "connection": event.connection,
        "venue": event.venue.value,
        "cause": event.cause,
        "retry_count": event.retry_count,
    }
