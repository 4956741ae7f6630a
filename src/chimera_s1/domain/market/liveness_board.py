"""Liveness of a venue's connections, streams and instruments.

Input times are monotonic ms; output times are local epoch ms.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.liveness import (
    ConnectionLiveness,
    Liveness,
    StatusChange,
    StreamLiveness,
    worst_liveness,
)
from chimera_s1.domain.market.quote import StreamKey

WHOLE_CONNECTION = "*"

LAST_FRAMES_MS = 1_200
"""Wait after a loss for frames already received; longer than the widest conflation window."""


class LivenessUpdate(Struct, frozen=True):
    """Result of an evaluation.

    Attributes:
        changes: New states and markers, in order.
        silent_connections: Open connections that are silent for much longer than usual.
        suspect_streams: Streams to probe, longest silence first.
    """

    changes: tuple[StatusChange, ...]
    silent_connections: tuple[str, ...]
    suspect_streams: tuple[StreamKey, ...]


class _Interruption:
    """From the last frame before a loss to the first frame after it.

    RESUMED repeats `announced_since_ms` (epoch ms) of its GAP, so that readers can match the two.
    """

    __slots__ = ("announced_since_ms", "cause", "lost_ms", "resumed_ms", "since_ms")

    def __init__(self, cause: str, since_ms: float, lost_ms: float) -> None:
        self.cause = cause
        self.since_ms = since_ms
        self.lost_ms = lost_ms
        self.resumed_ms: float | None = None
        self.announced_since_ms: int | None = None


class _Connection:
    __slots__ = ("interruptions", "keys", "liveness")

    def __init__(self, keys: Sequence[StreamKey]) -> None:
        self.keys = tuple(keys)
        self.liveness = ConnectionLiveness()
        self.interruptions: list[_Interruption] = []


class LivenessBoard:
    """Records events; `evaluate` derives the states."""

    def __init__(self) -> None:
        self._connections: dict[str, _Connection] = {}
        self._connection_by_stream: dict[StreamKey, _Connection] = {}
        self._streams: dict[StreamKey, StreamLiveness] = {}
        self._states: dict[InstrumentId, Liveness] = {}

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
        connection.interruptions.append(_Interruption(f"{name}: {cause}", since_ms, now_ms))

    def record_update(self, key: StreamKey, at_ms: float) -> None:
        """Record a quote of stream *key* received at *at_ms*."""
        stream = self._streams.get(key)
        if stream is None:
            return  # drained before `connection_opened` was called; the next quote counts
        stream.record_update(at_ms)
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

    def record_probe(self, key: StreamKey, now_ms: float, *, book_moved: bool | None) -> None:
        """Record a probe of stream *key*; *book_moved* is None if the venue did not answer."""
        if key in self._streams:
            self._streams[key].record_probe(now_ms, book_moved=book_moved)

    def silence_ms(self, key: StreamKey, now_ms: float) -> float:
        return self._streams[key].silence_ms(now_ms)

    def connection_of(self, key: StreamKey) -> str:
        carrier = self._connection_by_stream[key]
        return next(name for name, each in self._connections.items() if each is carrier)

    def states(self) -> dict[InstrumentId, Liveness]:
        return dict(self._states)

    def evaluate(self, now_ms: float, to_wall: Callable[[float], int]) -> LivenessUpdate:
        """Update all states and return what has changed."""
        changes: list[StatusChange] = []
        silent: list[str] = []
        for name, connection in self._connections.items():
            changes += _interruption_markers(connection, now_ms, to_wall)
            is_silent = connection.liveness.is_silent(now_ms)
            if is_silent:
                silent.append(name)
            blind = is_silent or not connection.liveness.is_open
            others_active = len(connection.keys) == 1 or connection.liveness.is_active(now_ms)
            for key in connection.keys:
                self._streams[key].update_state(
                    now_ms, connection_blind=blind, others_active=others_active
                )
        changes += self._instrument_changes(now_ms, to_wall)
        return LivenessUpdate(tuple(changes), tuple(silent), self._suspects(now_ms))

    def _connection(self, name: str, keys: Sequence[StreamKey], now_ms: float) -> _Connection:
        connection = self._connections.get(name)
        if connection is None:
            connection = self._connections[name] = _Connection(keys)
            for key in keys:
                self._connection_by_stream[key] = connection
                self._streams[key] = StreamLiveness(key, now_ms)
        return connection

    def _instrument_changes(
        self, now_ms: float, to_wall: Callable[[float], int]
    ) -> Iterable[StatusChange]:
        by_instrument: dict[InstrumentId, list[StreamLiveness]] = {}
        for (instrument, _), stream in self._streams.items():
            by_instrument.setdefault(instrument, []).append(stream)
        for instrument, streams in by_instrument.items():
            state = worst_liveness(stream.state for stream in streams)
            if state is None or state is self._states.get(instrument):
                continue
            self._states[instrument] = state
            stream = next(each for each in streams if each.state is state)
            since, cause = to_wall(stream.since_ms), self._cause(stream)
            yield StatusChange(to_wall(now_ms), instrument.symbol, state, since, cause)

    def _cause(self, stream: StreamLiveness) -> str:
        source = stream.key[1]
        match stream.state:
            case Liveness.BLIND:
                interruptions = self._connection_by_stream[stream.key].interruptions
                return (
                    interruptions[-1].cause
                    if interruptions
                    else f"{source}: no messages on the connection"
                )
            case Liveness.STALE:
                return f"{source}: no updates although the venue's book changes"
            case Liveness.QUIET:
                return f"{source}: no update for longer than usual"
            case _:
                return f"{source}: updates arrive"

    def _suspects(self, now_ms: float) -> tuple[StreamKey, ...]:
        found = [
            stream
            for key, stream in self._streams.items()
            if stream.state is not Liveness.BLIND
            and self._connection_by_stream[key].liveness.is_open
            and stream.is_suspect(now_ms)
        ]
        found.sort(key=lambda stream: stream.silence_ms(now_ms), reverse=True)
        return tuple(stream.key for stream in found)


def _interruption_markers(
    connection: _Connection, now_ms: float, to_wall: Callable[[float], int]
) -> Iterable[StatusChange]:
    """GAP once the last frames before the loss were counted; RESUMED after the reconnect."""
    for interruption in list(connection.interruptions):
        if now_ms - interruption.lost_ms < LAST_FRAMES_MS:
            break
        if interruption.announced_since_ms is None:
            since = interruption.announced_since_ms = to_wall(interruption.since_ms)
            lost = to_wall(interruption.lost_ms)
            yield StatusChange(lost, WHOLE_CONNECTION, Liveness.GAP, since, interruption.cause)
        if interruption.resumed_ms is None:
            break
        since, resumed = interruption.announced_since_ms, to_wall(interruption.resumed_ms)
        yield StatusChange(resumed, WHOLE_CONNECTION, Liveness.RESUMED, since, interruption.cause)
        connection.interruptions.remove(interruption)
