"""Watch the liveness of a venue's streams and publish it to `mkt:status:<venue>`.

A connection that is silent for much longer than usual is reconnected. A silent stream on an active
connection is probed by REST; if the venue's book has changed, the stream is STALE and its
connection is renewed. A cure that does not help is repeated less and less often.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct, field

from chimera_s1.app.capabilities.market.probe_books import ProbeBooks, ProbeResult
from chimera_s1.app.capabilities.market.probe_queue import ProbeQueue
from chimera_s1.app.capabilities.market.refusal_reader import RefusalReader
from chimera_s1.app.capabilities.operations.outbox import Outbox, flush_on_change
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.cure import CureBackoff, CurePace
from chimera_s1.domain.market.health import MarketReport
from chimera_s1.domain.market.liveness import WHOLE_CONNECTION, Liveness, StatusChange
from chimera_s1.domain.market.liveness_board import LivenessBoard, LivenessUpdate
from chimera_s1.domain.market.probe_verdict import ProbeVerdict
from chimera_s1.domain.market.quote import Quote, StreamKey
from chimera_s1.domain.market.status_in_force import StatusInForce
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ClockStepped,
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FeedEvent,
    MarketFeed,
    StreamsChanged,
)
from chimera_s1.domain.ports.market_status import MarketStatus
from chimera_s1.domain.ports.trading_sessions import ALWAYS_OPEN, TradingSessions

CHECK_INTERVAL_MS = 500
RENEWAL_PAUSE_MS = 60_000
RENEWAL_PACE = CurePace(RENEWAL_PAUSE_MS, 3_600_000)
"""A stream that stays STALE costs its connection a renewal after 1, 2, 4 ... 60 minutes."""

RECONNECT_PACE = CurePace(5_000, 60_000)
HEALTHY_AFTER_MS = 60_000
"""A connection that was reconnected and has not fallen silent for this long is healthy."""

OUTBOX_MAX = 20_000
LATENESS_MAX_MS = 2_000
"""Quotes are drained within a window of their receipt; a larger delay is a wall clock step."""

GiveUp = Callable[[tuple[StatusChange, ...], str, int], None]

_log = logging.getLogger(__name__)


class LivenessCounters(Struct):
    """Silent connections that were reconnected, and what probes have proven, by verdict."""

    blind_reconnects: int = 0
    stale_probes: int = 0
    probes: dict[ProbeVerdict, int] = field(default_factory=dict)


class WatchLiveness:
    """Args:
    sessions: A stream that is silent while its market is closed is QUIET, and is not probed.

    observe_lag: Called with the lag of each quote that has one, ms, at least 0.

    on_gone: Called with an instrument that the venue does not trade any more, and why.

    on_status: Called with an instrument whose status an entry of `mkt:status` has changed.

    give_up: Called with entries of `mkt:status` that are not written, why, and how often they
        were tried.
    """

    def __init__(
        self,
        venue: Venue,
        status: MarketStatus,
        probes: ProbeBooks,
        clock: Clock,
        *,
        sessions: TradingSessions = ALWAYS_OPEN,
        observe_lag: Callable[[float], None] = lambda _: None,
        on_gone: Callable[[InstrumentId, str], None] = lambda _, __: None,
        on_status: Callable[[InstrumentId], None] = lambda _: None,
        give_up: GiveUp = lambda _, __, ___: None,
    ) -> None:
        self.venue = venue
        self.counters = LivenessCounters()
        self._status = status
        self._probes = probes
        self._clock = clock
        self._sessions = sessions
        self._observe_lag = observe_lag
        self._on_gone = on_gone
        self._on_status = on_status
        self._board = LivenessBoard()
        self._in_force = StatusInForce()
        self._queue = ProbeQueue(clock)
        self._refusals = RefusalReader()
        self._newest: dict[StreamKey, Quote] = {}
        self._last_message_ms: dict[str, float] = {}
        self._renewed_ms: dict[str, float] = {}
        self._renewals = CureBackoff(RENEWAL_PACE)
        self._reconnects = CureBackoff(RECONNECT_PACE)
        self._reconnected_ms: dict[str, float] = {}
        self.outbox = Outbox(self._write, limit=OUTBOX_MAX, batch_max=OUTBOX_MAX, give_up=give_up)

    def observe(self, quotes: Iterable[Quote]) -> None:
        """Record drained quotes; quotes of other venues are ignored."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.now_ms()
        for quote in quotes:
            if quote.instrument.venue is self.venue:
                key = (quote.instrument, quote.source)
                self._newest[key] = quote
                at_ms = now_ms - _lateness_ms(wall_ms, quote.received_ms)
                self._board.record_update(key, at_ms, quote.lag_ms)
                if self._renewals.has_attempts:
                    self._renewals.reset(key)
                if quote.lag_ms is not None:
                    self._observe_lag(max(0, quote.lag_ms))

    def on_feed_event(self, event: FeedEvent) -> None:
        """Record a change of a connection; never waits, never raises."""
        now_ms = self._clock.monotonic_ms()
        if event.venue is not self.venue:
            return
        if isinstance(event, ConnectionOpened):
            self._board.connection_opened(event.connection, event.streams, now_ms)
        elif isinstance(event, ConnectionLost | ConnectionFatal):
            self._board.connection_lost(event.connection, event.streams, event.cause, now_ms)
        elif isinstance(event, StreamsChanged):
            removed = self._board.streams_changed(event.connection, event.streams, now_ms)
            self._forget(removed, "" if event.streams else event.connection)
        elif isinstance(event, ClockStepped):
            self.put(_step_markers(event, self._clock.now_ms()))

    def end(self, instruments: Iterable[InstrumentId], cause: str) -> None:
        """Write that *instruments* are not served any more; the feed has removed them."""
        now_ms = self._clock.now_ms()
        self.put(
            [
                StatusChange(now_ms, each.symbol, Liveness.STALE, now_ms, cause, is_last=True)
                for each in instruments
            ]
        )
        self._in_force.forget_ended()

    def report(self) -> MarketReport:
        """Number of instruments in each state, and what is common to them."""
        gone = self._board.gone()
        states = self._board.states()
        count = Counter(state for each, state in states.items() if each not in gone)
        return MarketReport(
            live=count[Liveness.LIVE],
            quiet=count[Liveness.QUIET],
            stale=count[Liveness.STALE],
            blind=count[Liveness.BLIND],
            late=count[Liveness.LATE],
            degraded=count[Liveness.DEGRADED],
            gone=tuple(sorted(each.symbol for each in gone)),
            troubles=tuple(self._board.troubles().values()),
        )

    def states(self) -> dict[InstrumentId, Liveness]:
        return self._board.states()

    def put(self, changes: Sequence[StatusChange]) -> None:
        """Queue *changes* for `mkt:status`; `status` and `shared` say the same from now on."""
        self._in_force.record(changes)
        self.outbox.put(changes)
        for change in changes:
            if change.symbol != WHOLE_CONNECTION:
                self._on_status(InstrumentId(self.venue, Symbol(change.symbol)))
            elif not change.is_marker:
                for instrument in self._board.carried_by(change.connection):
                    self._on_status(instrument)

    def status(self, instrument: InstrumentId) -> StatusChange | None:
        """The entry of `mkt:status` that holds for *instrument*; None before its first one."""
        if not self._board.has_state(instrument):
            return None
        return self._in_force.of(instrument.symbol, self._board.carriers(instrument))

    def shared(self) -> list[StatusChange]:
        """The entries that hold for whole connections: GAP, LATE and DEGRADED."""
        return self._in_force.shared()

    async def run(self, feed: MarketFeed) -> None:
        """Watch *feed* until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flush_on_change, self.outbox.changes, self.outbox.flush, self._clock)
            while True:
                await self._clock.sleep_ms(CHECK_INTERVAL_MS)
                findings = self._evaluate(feed)
                self._reconnect_silent(feed, findings)
                self._start_probes(feed, findings, tasks)

    def _evaluate(self, feed: MarketFeed) -> LivenessUpdate:
        """Bring the board up to date and publish what has changed."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.now_ms()
        for name, last_ms in feed.last_message_ms().items():
            if self._last_message_ms.get(name) != last_ms:
                self._last_message_ms[name] = last_ms
                self._board.record_message(name, now_ms - _lateness_ms(wall_ms, last_ms))
        for key, reasons in self._refusals.read_streams(feed.counters):
            self._board.record_refused(key, reasons, now_ms)
        for name, reason, number in self._refusals.read_connections(feed.counters):
            self._board.record_unreadable(name, number, reason, now_ms)
        findings = self._board.evaluate(
            now_ms,
            lambda moment: round(wall_ms - (now_ms - moment)),
            lambda instrument: self._sessions.is_open(instrument, wall_ms),
        )
        if findings.changes:
            self.put(findings.changes)
        return findings

    def _reconnect_silent(self, feed: MarketFeed, findings: LivenessUpdate) -> None:
        now_ms = self._clock.monotonic_ms()
        for name in findings.silent_connections:
            if now_ms - self._reconnected_ms.get(name, now_ms) >= HEALTHY_AFTER_MS:
                self._reconnects.reset(name)
            if not self._reconnects.is_due(name, now_ms):
                continue
            self._reconnects.record(name, now_ms)
            self._reconnected_ms[name] = now_ms
            self.counters.blind_reconnects += 1
            _log.warning("%s: no message for much longer than usual; reconnecting", name)
            feed.reconnect(name, "no message for much longer than usual")

    def _start_probes(self, feed: MarketFeed, findings: LivenessUpdate, tasks: TaskGroup) -> None:
        for key in self._queue.take(findings.suspect_streams):
            self._board.start_probe(key, self._clock.monotonic_ms())
            # A task of its own: a slow answer delays neither evaluations nor other probes.
            tasks.start_soon(self._probe, feed, key)

    async def _probe(self, feed: MarketFeed, key: StreamKey) -> None:
        started_ms = self._clock.monotonic_ms()
        silence_ms = self._board.silence_ms(key, started_ms)
        result = ProbeResult(ProbeVerdict.UNKNOWN, answered=False)
        try:
            result = await self._probes.probe(key[0], self._newest.get(key), silence_ms)
        finally:
            self._queue.finish(answered=result.answered)
        verdict, probes = result.verdict, self.counters.probes
        probes[verdict] = probes.get(verdict, 0) + 1
        now_ms = self._clock.monotonic_ms()
        if not self._board.carries(key):
            return
        if self._board.silence_ms(key, now_ms) < now_ms - started_ms:
            return  # the stream has delivered meanwhile
        self._report(key, result)
        gone = result.reason if verdict is ProbeVerdict.GONE else ""
        self._board.record_probe(key, now_ms, verdict, gone)
        if verdict is ProbeVerdict.MOVED:
            self.counters.stale_probes += 1
            self._renew(feed, key, now_ms)

    def _report(self, key: StreamKey, result: ProbeResult) -> None:
        instrument, name = key[0], self._board.connection_of(key)
        match result.verdict:
            case ProbeVerdict.GONE:
                if instrument not in self._board.gone():
                    _log.warning("%s is gone: %s", instrument, result.reason)
                self._on_gone(instrument, result.reason)
            case ProbeVerdict.MOVED:
                _log.warning(
                    "%s is stale on %s: its book changes without updates", instrument, name
                )
            case ProbeVerdict.EMPTY:
                _log.warning("%s is silent on %s, and its book is empty", instrument, name)
            case ProbeVerdict.UNKNOWN:
                _log.warning("%s: a probe proves nothing: %s", instrument, result.reason or "older")
            case ProbeVerdict.CALM:
                pass

    def _renew(self, feed: MarketFeed, key: StreamKey, now_ms: float) -> None:
        """Renew the connection of a STALE stream, unless that was done lately or did not help."""
        name = self._board.connection_of(key)
        if now_ms - self._renewed_ms.get(name, -RENEWAL_PAUSE_MS) < RENEWAL_PAUSE_MS:
            return
        if not self._renewals.is_due(key, now_ms):
            return
        self._renewed_ms[name] = now_ms
        for each in self._board.stale_keys(name):
            self._renewals.record(each, now_ms)
        feed.renew(name, f"{key[0]} is stale")

    def _forget(self, streams: Iterable[StreamKey], connection: str) -> None:
        """Forget *streams*, and *connection* if it is not empty: they are gone for good."""
        for key in streams:
            self._newest.pop(key, None)
            self._renewals.reset(key)
            self._refusals.forget_stream(key)
        if connection:
            self._reconnects.reset(connection)
            self._refusals.forget_connection(connection)
            for times in (self._last_message_ms, self._renewed_ms, self._reconnected_ms):
                times.pop(connection, None)

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
