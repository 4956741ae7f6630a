"""Liveness of a venue's connections, streams and instruments.

Input times are monotonic ms; output times are local epoch ms.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.frame_tally import NO_DEFECT
from chimera_s1.domain.market.interruptions import Interruption, take_markers
from chimera_s1.domain.market.liveness import (
    WHOLE_CONNECTION,
    ConnectionLiveness,
    Liveness,
    StatusChange,
    StreamLiveness,
    worst_liveness,
)
from chimera_s1.domain.market.probe_verdict import ProbeVerdict
from chimera_s1.domain.market.quote import StreamKey
from chimera_s1.domain.market.shared_trouble import SharedTrouble, Trouble
from chimera_s1.domain.market.status_causes import stream_cause

_WORSE_THAN_SHARED = {None, Liveness.STALE, Liveness.BLIND}
"""An instrument in such a state has entries of its own, whatever is common to its connection."""


class LivenessUpdate(Struct, frozen=True):
    """Result of an evaluation.

    Attributes:
        changes: New states and markers, in order.
        silent_connections: Open connections that are silent for much longer than usual.
        suspect_streams: Streams to probe: the one that has waited longest for a probe first, of
            those without any probe the one with the longest silence.
    """

    changes: tuple[StatusChange, ...]
    silent_connections: tuple[str, ...]
    suspect_streams: tuple[StreamKey, ...]


class _Connection:
    __slots__ = (
        "counted",
        "interruptions",
        "is_excused",
        "keys",
        "liveness",
        "name",
        "refused",
        "shared",
    )

    def __init__(self, name: str, keys: Sequence[StreamKey]) -> None:
        self.name = name
        self.keys = tuple(keys)
        self.liveness = ConnectionLiveness()
        self.shared = SharedTrouble(name)
        self.interruptions: list[Interruption] = []
        self.is_excused = False
        """Silent, and markets of its streams are closed."""
        self.refused: dict[StreamKey, tuple[int, str]] = {}
        """Frames since the last evaluation."""
        self.counted: dict[StreamKey, int] = {}
        """Updates of each stream that the tallies hold."""

    def take_refused(self) -> dict[StreamKey, tuple[int, str]]:
        taken, self.refused = self.refused, {}
        return taken


class LivenessBoard:
    """Records events; `evaluate` derives the states."""

    def __init__(self) -> None:
        self._connections: dict[str, _Connection] = {}
        self._closed: list[_Connection] = []
        self._connection_by_stream: dict[StreamKey, _Connection] = {}
        self._carriers: dict[InstrumentId, frozenset[str]] = {}
        self._streams: dict[StreamKey, StreamLiveness] = {}
        self._states: dict[InstrumentId, Liveness] = {}
        self._announced: dict[InstrumentId, Liveness] = {}

    def connection_opened(self, name: str, keys: Sequence[StreamKey], now_ms: float) -> None:
        """Connection *name* has delivered its first message."""
        connection = self._connection(name, keys, now_ms)
        connection.liveness.mark_opened(now_ms)
        for key in keys:
            self._streams[key].mark_resubscribed(now_ms)
        if connection.interruptions:
            connection.interruptions[-1].resumed_ms = now_ms

    def connection_lost(
        self, name: str, keys: Sequence[StreamKey], cause: str, now_ms: float
    ) -> None:
        """Connection *name* was lost, or could not be opened."""
        connection = self._connection(name, keys, now_ms)
        last = connection.interruptions[-1] if connection.interruptions else None
        if last is not None and last.resumed_ms is None:
            return  # still the same interruption
        since_ms = connection.liveness.last_ms or now_ms
        connection.liveness.mark_closed()
        connection.interruptions.append(Interruption(f"{name}: {cause}", since_ms, now_ms))

    def streams_changed(
        self, name: str, keys: Sequence[StreamKey], now_ms: float
    ) -> frozenset[StreamKey]:
        """Connection *name* carries *keys* from now on; without keys it is closed for good.

        Returns:
            The streams that no connection carries any more. Nothing is left of them here.
        """
        connection = self._connections.get(name)
        if connection is None:
            return frozenset()  # it was not open yet: it opens with its streams
        removed = frozenset(connection.keys).difference(keys)
        self._carry(connection, tuple(keys), now_ms)
        if not keys:
            del self._connections[name]
            self._closed.append(connection)
        return removed

    def record_update(self, key: StreamKey, at_ms: float, lag_ms: int | None = None) -> None:
        """Record a quote of stream *key* received at *at_ms*."""
        stream = self._streams.get(key)
        if stream is None:
            return  # drained before `connection_opened` was called; the next quote counts
        stream.record_update(at_ms, lag_ms)
        connection = self._connection_by_stream[key]
        for interruption in connection.interruptions:
            if interruption.since_ms < at_ms <= interruption.lost_ms:
                interruption.since_ms = at_ms
        if connection.liveness.is_open:
            connection.liveness.interval.record(at_ms)

    def record_message(self, name: str, at_ms: float) -> None:
        """Record a data message, valid or not, of connection *name*."""
        connection = self._connections.get(name)
        if connection is not None and connection.liveness.is_open:
            connection.liveness.interval.record(at_ms)

    def record_refused(self, key: StreamKey, reasons: Mapping[str, int], at_ms: float) -> None:
        """Record frames of stream *key* that were not published, by reason."""
        stream = self._streams.get(key)
        if stream is None:
            return
        for reason in reasons:
            stream.record_refused(at_ms, reason)
        defects = {reason: count for reason, count in reasons.items() if reason not in NO_DEFECT}
        if defects:
            refused = self._connection_by_stream[key].refused
            before, _ = refused.get(key, (0, ""))
            usual = max(defects, key=defects.__getitem__)
            refused[key] = (before + sum(defects.values()), usual)

    def record_unreadable(self, name: str, count: int, reason: str, at_ms: float) -> None:
        """Record messages of connection *name* that were not understood."""
        connection = self._connections.get(name)
        if connection is not None:
            connection.liveness.record_unreadable(at_ms)
            connection.shared.record_unreadable(at_ms, count, reason)

    def start_probe(self, key: StreamKey, now_ms: float) -> None:
        self._streams[key].start_probe(now_ms)

    def record_probe(
        self, key: StreamKey, now_ms: float, verdict: ProbeVerdict, gone: str = ""
    ) -> None:
        """Record what a probe of stream *key* has proven; *gone* says why it is GONE."""
        if key in self._streams:
            self._streams[key].record_probe(now_ms, verdict, gone)

    def gone(self) -> dict[InstrumentId, str]:
        """Instruments that the venue does not trade any more, and why."""
        return {key[0]: each.gone for key, each in self._streams.items() if each.gone}

    def troubles(self) -> dict[str, str]:
        """The cause that is common to the streams of a connection, by connection."""
        return {
            name: each.shared.trouble.cause
            for name, each in self._connections.items()
            if each.shared.trouble is not None
        }

    def stale_keys(self, name: str) -> tuple[StreamKey, ...]:
        """Streams of connection *name* that miss updates."""
        keys = self._connections[name].keys
        return tuple(k for k in keys if self._streams[k].verdict is ProbeVerdict.MOVED)

    def carries(self, key: StreamKey) -> bool:
        """Whether a connection carries stream *key*: a new selection may have dropped it."""
        return key in self._streams

    def silence_ms(self, key: StreamKey, now_ms: float) -> float:
        return self._streams[key].silence_ms(now_ms) if key in self._streams else 0.0

    def connection_of(self, key: StreamKey) -> str:
        carrier = self._connection_by_stream[key]
        return next(name for name, each in self._connections.items() if each is carrier)

    def states(self) -> dict[InstrumentId, Liveness]:
        return dict(self._states)

    def has_state(self, instrument: InstrumentId) -> bool:
        return instrument in self._states

    def carriers(self, instrument: InstrumentId) -> frozenset[str]:
        """The names of the connections that carry streams of *instrument*."""
        return self._carriers.get(instrument, frozenset())

    def carried_by(self, name: str) -> frozenset[InstrumentId]:
        """The instruments with a stream on connection *name*."""
        connection = self._connections.get(name)
        return frozenset(key[0] for key in connection.keys) if connection else frozenset()

    def evaluate(
        self,
        now_ms: float,
        to_wall: Callable[[float], int],
        is_open: Callable[[InstrumentId], bool] = lambda _: True,
    ) -> LivenessUpdate:
        """Update all states and return what has changed.

        *is_open*: Whether the market of an instrument is open now.
        """
        changes = self._end_closed(now_ms, to_wall)
        silent: list[str] = []
        for name, connection in self._connections.items():
            changes += take_markers(connection.interruptions, now_ms, to_wall)
            is_silent = self._is_silent(connection, now_ms, is_open)
            if is_silent:
                silent.append(name)
            blind = is_silent or not connection.liveness.is_open
            others_active = len(connection.keys) == 1 or connection.liveness.is_active(now_ms)
            self._count_frames(connection, now_ms)
            if not blind:
                changes += self._trouble_change(connection, now_ms, to_wall)
            for key in connection.keys:
                self._streams[key].update_state(
                    now_ms, connection_blind=blind, others_active=others_active, is_open=is_open
                )
        changes += self._instrument_changes(now_ms, to_wall)
        return LivenessUpdate(tuple(changes), tuple(silent), self._suspects(now_ms))

    def _is_silent(
        self, connection: _Connection, now_ms: float, is_open: Callable[[InstrumentId], bool]
    ) -> bool:
        """True if *connection* is silent for much longer than usual. Where markets of its streams
        are closed, its usual rhythm says nothing: those that are open decide.
        """
        if not connection.liveness.is_silent(now_ms):
            connection.is_excused = False
            return False
        in_session = [key for key in connection.keys if is_open(key[0])]
        if len(in_session) < len(connection.keys):
            connection.is_excused = True
            return any(self._streams[key].is_silent(now_ms) for key in in_session)
        if connection.is_excused:
            connection.is_excused = False
            connection.liveness.mark_opened(now_ms)  # the markets open: silence counts from now
            return False
        return True

    def _end_closed(self, now_ms: float, to_wall: Callable[[float], int]) -> list[StatusChange]:
        """End what was reported of connections that are closed: nothing else would."""
        now, changes = to_wall(now_ms), list[StatusChange]()
        for connection in self._closed:
            for gap in connection.interruptions:
                if gap.announced_since_ms is not None:
                    since = gap.announced_since_ms
                    resumed = StatusChange(
                        now, WHOLE_CONNECTION, Liveness.RESUMED, since, gap.cause
                    )
                    changes.append(resumed)
            if connection.shared.trouble is not None:
                cause = f"{connection.name}: closed, it carries no stream any more"
                changes.append(StatusChange(now, WHOLE_CONNECTION, Liveness.LIVE, now, cause))
        self._closed.clear()
        return changes

    def _count_frames(self, connection: _Connection, now_ms: float) -> None:
        """Move the frames since the last evaluation into the tallies of streams and connection."""
        refused = connection.take_refused()
        published = 0
        for key in connection.keys:
            stream = self._streams[key]
            fresh = stream.updates - connection.counted.get(key, 0)
            connection.counted[key] = stream.updates
            published += fresh
            if stream.frames is not None:
                count, reason = refused.get(key, (0, stream.frames.reason))
                stream.frames.record(now_ms, published=fresh, refused=count, reason=reason)
                if stream.frames.is_idle:
                    stream.frames = None
        worst = max(refused.values(), default=(0, ""))
        total = sum(count for count, _ in refused.values())
        connection.shared.record_frames(now_ms, published=published, refused=total, reason=worst[1])

    def _trouble_change(
        self, connection: _Connection, now_ms: float, to_wall: Callable[[float], int]
    ) -> Iterable[StatusChange]:
        """One entry for all streams of *connection* where they have become LATE or DEGRADED, or
        are so no longer.
        """
        shared = connection.shared
        if not shared.evaluate([self._streams[key] for key in connection.keys], now_ms):
            return
        now, trouble = to_wall(now_ms), shared.trouble
        if trouble is None:
            cause = f"{connection.name}: quotes are published in time"
            yield StatusChange(now, WHOLE_CONNECTION, Liveness.LIVE, now, cause)
        else:
            since = to_wall(trouble.since_ms)
            yield StatusChange(now, WHOLE_CONNECTION, trouble.state, since, trouble.cause)

    def _connection(self, name: str, keys: Sequence[StreamKey], now_ms: float) -> _Connection:
        connection = self._connections.get(name)
        if connection is None:
            connection = self._connections[name] = _Connection(name, ())
        if connection.keys != tuple(keys):
            self._carry(connection, tuple(keys), now_ms)
        return connection

    def _carry(self, connection: _Connection, keys: tuple[StreamKey, ...], now_ms: float) -> None:
        """*connection* carries *keys* from now on; what another one carried moves to it."""
        dropped = set(connection.keys).difference(keys)
        for key in dropped:
            del self._streams[key], self._connection_by_stream[key]
            connection.counted.pop(key, None)
        for key in keys:
            before = self._connection_by_stream.get(key)
            if before is None:
                self._streams[key] = StreamLiveness(key, now_ms)
            elif before is not connection:
                before.keys = tuple(each for each in before.keys if each != key)
                connection.counted[key] = before.counted.pop(key, 0)
            self._connection_by_stream[key] = connection
        connection.keys = keys
        left = {instrument for instrument, _ in self._streams}
        for instrument in {key[0] for key in dropped} - left:
            self._states.pop(instrument, None)
            self._announced.pop(instrument, None)
        self._carriers = {each: frozenset() for each in left}
        for (instrument, _), carrier in self._connection_by_stream.items():
            self._carriers[instrument] |= {carrier.name}

    def _instrument_changes(
        self, now_ms: float, to_wall: Callable[[float], int]
    ) -> Iterable[StatusChange]:
        by_instrument: dict[InstrumentId, list[StreamLiveness]] = {}
        for (instrument, _), stream in self._streams.items():
            by_instrument.setdefault(instrument, []).append(stream)
        for instrument, streams in by_instrument.items():
            state = worst_liveness(map(self._effective_state, streams))
            if state is None:
                continue
            self._states[instrument] = state
            own = worst_liveness(self._own_state(stream) for stream in streams)
            if own is None or own is self._announced.get(instrument):
                continue
            self._announced[instrument] = own
            stream = next(each for each in streams if self._own_state(each) is own)
            since, cause = to_wall(stream.since_ms), self._cause(stream, own)
            yield StatusChange(to_wall(now_ms), instrument.symbol, own, since, cause)

    def _effective_state(self, stream: StreamLiveness) -> Liveness | None:
        """The state of a stream, with what is common to its connection."""
        trouble = self._trouble(stream)
        return worst_liveness((stream.state, trouble.state if trouble else None))

    def _own_state(self, stream: StreamLiveness) -> Liveness | None:
        """The state of a stream that has an entry of its own: what the entry of its connection
        says is not repeated for each instrument.
        """
        trouble = self._trouble(stream)
        if trouble is None or stream.state in _WORSE_THAN_SHARED:
            return stream.state
        announced = self._announced.get(stream.key[0])
        return announced if announced not in _WORSE_THAN_SHARED else trouble.state

    def _cause(self, stream: StreamLiveness, own: Liveness) -> str:
        connection = self._connection_by_stream[stream.key]
        trouble = connection.shared.trouble
        if trouble is not None and own not in _WORSE_THAN_SHARED:
            return trouble.cause
        if own is Liveness.BLIND and connection.interruptions:
            return connection.interruptions[-1].cause
        return stream_cause(stream)

    def _trouble(self, stream: StreamLiveness) -> Trouble | None:
        return self._connection_by_stream[stream.key].shared.trouble

    def _suspects(self, now_ms: float) -> tuple[StreamKey, ...]:
        found = [
            stream
            for key, stream in self._streams.items()
            if stream.state is not Liveness.BLIND
            and self._connection_by_stream[key].liveness.is_open
            and self._connection_by_stream[key].shared.trouble is None
            and stream.is_suspect(now_ms)
        ]
        found.sort(key=lambda stream: (stream.probed_ms, -stream.silence_ms(now_ms)))
        return tuple(stream.key for stream in found)
