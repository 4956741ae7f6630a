"""Operational events and WebSocket round trips, queued in memory and written to Redis."""

import logging
from collections import deque
from collections.abc import Callable
from typing import assert_never

import msgspec

from chimera_s1.app.capabilities.operations.outbox import Outbox, flush_on_change
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.market.health import CORRECT_NAME
from chimera_s1.domain.operations.clock_skew import percentile
from chimera_s1.domain.operations.dead_letter import LetterPort, TakeLetter
from chimera_s1.domain.operations.reconnect import RECONNECT_GRACE_MS
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ClockStepped,
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FatalEnded,
    FeedEvent,
    MessageDropped,
    RoundTrip,
    StreamRefused,
    StreamsChanged,
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

_log = logging.getLogger(__name__)


class OperationsOutbox:
    """Takes events without waiting; one worker writes them.

    Events are kept in order. Of round trips only the newest of each connection waits.

    Args:
        new_id: Makes a unique event id.
        take_letter: Keeps an event that is not written.
    """

    def __init__(
        self,
        log: OperationsLog,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        take_letter: TakeLetter,
    ) -> None:
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._take_letter = take_letter
        self._lost_at_ms: dict[str, float] = {}
        self._unwritten_round_trips: dict[str, RoundTripEntry] = {}
        self._last_rtt_ms: deque[float] = deque(maxlen=ROUND_TRIPS_KEPT)
        self.events = Outbox(
            self._write_event, limit=OUTBOX_MAX, batch_max=1, give_up=self._give_up
        )

    @property
    def pending(self) -> int:
        """Events that wait; round trips do not count."""
        return len(self.events)

    def on_feed_event(self, event: FeedEvent) -> None:
        """Record *event*; never waits, never raises."""
        match event:
            case RoundTrip():
                self._add_round_trip(event)
            case ConnectionOpened(connection=name, venue=venue):
                self._log_opened(name)
                self.record("ws.opened", {"connection": name, "venue": venue.value})
            case FatalEnded(connection=name, venue=venue):
                _log.info("%s: healthy again after FATAL", name)
                self.record("ws.recovered", {"connection": name, "venue": venue.value})
            case ConnectionLost(connection=name, cause=cause, retry_in_ms=wait_ms):
                self._lost_at_ms.setdefault(name, self._clock.monotonic_ms())
                _log.warning("%s lost: %s; reconnecting in %.1f s", name, cause, wait_ms / 1e3)
                self.record("ws.lost", _loss_detail(event))
            case ConnectionRenewed(connection=name, venue=venue, cause=cause):
                _log.info("%s renewed without a gap: %s", name, cause)
                detail: EventDetail = {"connection": name, "venue": venue.value, "cause": cause}
                self.record("ws.renewed", detail)
            case ConnectionFatal(connection=name, cause=cause):
                _log.error(
                    "%s is FATAL: out of retries: %s; MANAGE_ONLY until it is back", name, cause
                )
                self.record("ws.fatal", _loss_detail(event))
            case StreamRefused() | MessageDropped() | StreamsChanged() | ClockStepped():
                self._on_stream_event(event)
            case _:
                assert_never(event)

    def _on_stream_event(
        self, event: StreamRefused | MessageDropped | StreamsChanged | ClockStepped
    ) -> None:
        match event:
            case StreamsChanged(connection=name, venue=venue, streams=streams):
                _log.info("%s: carries %d streams now", name, len(streams))
                if not streams:
                    self._lost_at_ms.pop(name, None)
                changed: EventDetail = {"connection": name, "venue": venue.value}
                self.record("ws.streams_changed", {**changed, "streams": len(streams)})
            case StreamRefused(connection=name, stream=stream, cause=cause):
                _log.warning("%s: %s has no data: %s; %s", name, stream, cause, CORRECT_NAME)
                self.record(
                    "ws.stream_refused",
                    {
                        "connection": name,
                        "venue": event.venue.value,
                        "stream": stream,
                        "cause": cause,
                    },
                )
            case MessageDropped(connection=name, reason=reason, start=start):
                _log.warning(
                    "%s: dropping a message (%s; more are only counted): %r", name, reason, start
                )
                self.record(
                    "ws.message_dropped",
                    {
                        "connection": name,
                        "venue": event.venue.value,
                        "reason": reason,
                        "start": start,
                    },
                )
            case ClockStepped(venue=venue, step_ms=step_ms):
                _log.warning(
                    "%s: the local clock stepped by %d ms; ts starts again", venue, step_ms
                )
                self.record("clock.stepped", {"venue": venue.value, "step_ms": step_ms})
            case _:
                assert_never(event)

    def record(self, kind: str, detail: EventDetail) -> None:
        """Queue an event for `ops:events`."""
        self.events.put([OperationsEvent(self._new_id(), self._clock.now_ms(), kind, detail)])

    def round_trips(self) -> RoundTripSummary:
        """Percentiles over the last `ROUND_TRIPS_KEPT` round trips, ms; 0 before the first."""
        ordered = sorted(self._last_rtt_ms)
        p50, p95 = percentile(ordered, 0.50), percentile(ordered, 0.95)
        return RoundTripSummary(p50=p50 or 0.0, p95=p95 or 0.0, n=len(ordered))

    async def run(self) -> None:
        """Write until cancelled."""
        await flush_on_change(self.events.changes, self.flush, self._clock)

    async def flush(self) -> None:
        """Write everything that waits; on an error the rest stays.

        Raises:
            PublisherUnavailableError: Redis cannot be reached.
            ConfigurationError: Redis refuses the credentials.
        """
        await self.events.flush()
        while self._unwritten_round_trips:
            name, entry = next(iter(self._unwritten_round_trips.items()))
            await self._log.record_round_trip(entry, self.round_trips())
            if self._unwritten_round_trips[name] is entry:
                del self._unwritten_round_trips[name]

    async def replay(self, payload: str) -> str:
        """Write the event of a dead letter. Consumers drop one that they have by its `event_id`.

        Raises:
            InvalidValueError: The payload is no event.
            PublisherUnavailableError: Redis cannot be reached, or refuses the event.
            ConfigurationError: Redis refuses the credentials.
        """
        try:
            event = msgspec.json.decode(payload, type=OperationsEvent)
        except msgspec.DecodeError as error:
            raise InvalidValueError(f"the payload is no operational event: {error}") from error
        return f"written to ops:events as {await self._log.record(event)}"

    async def flush_at_stop(self) -> None:
        """Write everything that waits; events that are not written become dead letters."""
        try:
            await self.flush()
        finally:
            self.events.give_up_all()

    def _give_up(self, events: tuple[OperationsEvent, ...], reason: str, attempts: int) -> None:
        for event in events:
            key = f"{event.kind} {event.event_id}"
            payload = msgspec.json.encode(event)
            self._take_letter(LetterPort.OPERATIONS_LOG, key, reason, payload, attempts)

    async def _write_event(self, batch: tuple[OperationsEvent, ...]) -> None:
        for event in batch:
            await self._log.record(event)

    def _log_opened(self, name: str) -> None:
        """Not the return after a short loss: its one line is enough."""
        lost_at_ms = self._lost_at_ms.pop(name, None)
        if lost_at_ms is None:
            _log.info("%s: delivering", name)
            return
        lost_ms = self._clock.monotonic_ms() - lost_at_ms
        level = logging.INFO if lost_ms >= RECONNECT_GRACE_MS else logging.DEBUG
        _log.log(level, "%s: delivering again after %.1f s", name, lost_ms / 1000)

    def _add_round_trip(self, event: RoundTrip) -> None:
        self._last_rtt_ms.append(event.rtt_ms)
        self._unwritten_round_trips[event.connection] = RoundTripEntry(
            ts=self._clock.now_ms(),
            connection=event.connection,
            venue=event.venue.value,
            rtt_ms=round(event.rtt_ms, 3),
            process_ms=None if event.process_ms is None else round(event.process_ms, 3),
        )
        self.events.changes.notify()


def _loss_detail(event: ConnectionLost | ConnectionFatal) -> EventDetail:
    return {
        "connection": event.connection,
        "venue": event.venue.value,
        "cause": event.cause,
        "retry_count": event.retry_count,
    }
