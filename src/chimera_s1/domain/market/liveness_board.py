"""The liveness of everything a venue delivers: connections, the streams on them, their instruments.

All moments that come in are ms of one clock that never steps; what goes out is wall time.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.liveness import (
    ConnectionLiveness,
    Liveness,
    StatusChange,
    StreamLiveness,
    worst,
)
from chimera_s1.domain.market.quote import StreamKey

WHOLE_CONNECTION = "*"

SETTLE_MS = 1_200
"""How long after a loss its last frames may still be in hand: longer than the widest window."""


class Findings(Struct, frozen=True):
    """What a look at the board shows.

    Attributes:
        changes: New states and markers, in order.

        silent: Names of connections that are open and silent beyond their rhythm.

        suspects: Streams whose silence asks for a probe, longest silence first.
    """

    changes: tuple[StatusChange, ...]
    silent: tuple[str, ...]
    suspects: tuple[StreamKey, ...]


class _Interruption:
    """From the last frame before a loss to the first one after it.

    `told_since` is what its GAP has said, epoch ms: its RESUMED says the same, to the ms, so that
    they can be told to belong together.
    """

    __slots__ = ("cause", "lost_ms", "resumed_ms", "since_ms", "told_since")

    def __init__(self, cause: str, since_ms: float, lost_ms: float) -> None:
        self.cause = cause
        self.since_ms = since_ms
        self.lost_ms = lost_ms
        self.resumed_ms: float | None = None
        self.told_since: int | None = None


class _Connection:
    __slots__ = ("interruptions", "keys", "liveness")

    def __init__(self, keys: Sequence[StreamKey]) -> None:
        self.keys = tuple(keys)
        self.liveness = ConnectionLiveness()
        self.interruptions: list[_Interruption] = []


class LivenessBoard:
    """Fed with what happens, asked now and then what follows from it."""

    def __init__(self) -> None:
        self._connections: dict[str, _Connection] = {}
        self._carrier: dict[StreamKey, _Connection] = {}
        self._streams: dict[StreamKey, StreamLiveness] = {}
        self._states: dict[InstrumentId, Liveness] = {}

    def opened(self, name: str, keys: Sequence[StreamKey], now_ms: float) -> None:
        """Connection *name* has delivered its first message."""
        connection = self._connection(name, keys, now_ms)
        connection.liveness.opened(now_ms)
        for key in keys:
            self._streams[key].resubscribed(now_ms)
        if connection.interruptions:
            connection.interruptions[-1].resumed_ms = now_ms

    def lost(self, name: str, keys: Sequence[StreamKey], cause: str, now_ms: float) -> None:
        """Connection *name* is gone, or could not be opened."""
        connection = self._connection(name, keys, now_ms)
        last = connection.interruptions[-1] if connection.interruptions else None
        if last is not None and last.resumed_ms is None:
            return  # still the same interruption
        since_ms = connection.liveness.last_ms or now_ms
        connection.liveness.closed()
        connection.interruptions.append(_Interruption(f"{name}: {cause}", since_ms, now_ms))

    def heard(self, key: StreamKey, at_ms: float) -> None:
        """A quote of stream *key* was received at *at_ms*."""
        stream = self._streams.get(key)
        if stream is None:
            return  # drained before the word of its connection came; the next one counts
        stream.heard(at_ms)
        connection = self._carrier[key]
        for interruption in connection.interruptions:
            if interruption.since_ms < at_ms <= interruption.lost_ms:
                interruption.since_ms = at_ms
        if connection.liveness.is_open:
            connection.liveness.rhythm.heard(at_ms)

    def sign_of_life(self, name: str, at_ms: float) -> None:
        """Connection *name* brought a data message at *at_ms*, good or bad: it is not silent."""
        connection = self._connections.get(name)
        if connection is not None and connection.liveness.is_open:
            connection.liveness.rhythm.heard(at_ms)

    def probed(self, key: StreamKey, now_ms: float, *, moved: bool | None) -> None:
        """The venue was asked for the book of stream *key*; None where it did not answer."""
        if key in self._streams:
            self._streams[key].probed(now_ms, moved=moved)

    def silence_ms(self, key: StreamKey, now_ms: float) -> float:
        """How long stream *key* has been silent, ms."""
        return self._streams[key].silence_ms(now_ms)

    def connection_of(self, key: StreamKey) -> str:
        """The name of the connection that carries stream *key*."""
        carrier = self._carrier[key]
        return next(name for name, each in self._connections.items() if each is carrier)

    def states(self) -> dict[InstrumentId, Liveness]:
        """The state of every instrument that has one."""
        return dict(self._states)

    def look(self, now_ms: float, to_wall: Callable[[float], int]) -> Findings:
        """Bring every state up to *now_ms*."""
        changes: list[StatusChange] = []
        silent: list[str] = []
        for name, connection in self._connections.items():
            changes += _markers(connection, now_ms, to_wall)
            is_silent = connection.liveness.is_silent(now_ms)
            if is_silent:
                silent.append(name)
            blind = is_silent or not connection.liveness.is_open
            alone = len(connection.keys) == 1 or connection.liveness.speaks(now_ms)
            for key in connection.keys:
                self._streams[key].judge(now_ms, blind=blind, alone=alone)
        changes += self._instrument_changes(now_ms, to_wall)
        return Findings(tuple(changes), tuple(silent), self._suspects(now_ms))

    def _connection(self, name: str, keys: Sequence[StreamKey], now_ms: float) -> _Connection:
        connection = self._connections.get(name)
        if connection is None:
            connection = self._connections[name] = _Connection(keys)
            for key in keys:
                self._carrier[key] = connection
                self._streams[key] = StreamLiveness(key, now_ms)
        return connection

    def _instrument_changes(
        self, now_ms: float, to_wall: Callable[[float], int]
    ) -> Iterable[StatusChange]:
        by_instrument: dict[InstrumentId, list[StreamLiveness]] = {}
        for (instrument, _), stream in self._streams.items():
            by_instrument.setdefault(instrument, []).append(stream)
        for instrument, streams in by_instrument.items():
            state = worst(stream.state for stream in streams)
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
                interruptions = self._carrier[stream.key].interruptions
                return interruptions[-1].cause if interruptions else f"{source}: silent connection"
            case Liveness.STALE:
                return f"{source}: silent while the venue's book moves"
            case Liveness.QUIET:
                return f"{source}: silent for longer than usual"
            case _:
                return f"{source}: updates arrive"

    def _suspects(self, now_ms: float) -> tuple[StreamKey, ...]:
        found = [
            stream
            for key, stream in self._streams.items()
            if stream.state is not Liveness.BLIND
            and self._carrier[key].liveness.is_open
            and stream.is_suspect(now_ms)
        ]
        found.sort(key=lambda stream: stream.silence_ms(now_ms), reverse=True)
        return tuple(stream.key for stream in found)


def _markers(
    connection: _Connection, now_ms: float, to_wall: Callable[[float], int]
) -> Iterable[StatusChange]:
    """GAP once an interruption's last frames are in, RESUMED once it is over; then it
    is forgotten.
    """
    for interruption in list(connection.interruptions):
        if now_ms - interruption.lost_ms < SETTLE_MS:
            break
        if interruption.told_since is None:
            since = interruption.told_since = to_wall(interruption.since_ms)
            lost = to_wall(interruption.lost_ms)
            yield StatusChange(lost, WHOLE_CONNECTION, Liveness.GAP, since, interruption.cause)
        if interruption.resumed_ms is None:
            break
        since, resumed = interruption.told_since, to_wall(interruption.resumed_ms)
        yield StatusChange(resumed, WHOLE_CONNECTION, Liveness.RESUMED, since, interruption.cause)
        connection.interruptions.remove(interruption)
