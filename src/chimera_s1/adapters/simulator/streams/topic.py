"""One stream name and the connections subscribed to it."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from chimera_s1.adapters.simulator.market.market import BookVersion, SymbolMarket
from chimera_s1.adapters.simulator.streams.frame_faults import Frame
from chimera_s1.adapters.simulator.streams.frames import binary_frame, text_header
from chimera_s1.adapters.simulator.streams.payloads import BookTickerEncoder
from chimera_s1.adapters.simulator.streams.stream_names import StreamName
from chimera_s1.adapters.simulator.time_unit import in_microseconds

FRAMES_KEPT = 50
"""Last frames of each symbol, for the control plane."""

_CLOSING = b"}"


class SentFrame(Struct, frozen=True, gc=False):
    """A payload that was queued.

    Attributes:
        sent_ms: Local wall time, epoch ms (not the exchange's clock).
    """

    sent_ms: int
    stream: str
    payload: bytes


class FrameShape(NamedTuple):
    """How a connection wants its frames.

    Attributes:
        combined: In the envelope that names the stream.
        microseconds: With times in microseconds.
    """

    combined: bool
    microseconds: bool


class Listener(Protocol):
    """What a topic needs of a connection.

    Attributes:
        shape: Of its frames.
        outbox: Pieces of frames for its next write.
        behind: It reads too slowly: frames are skipped.
        skipped: How many frames were skipped.
    """

    outbox: list[bytes]
    behind: bool
    skipped: int

    @property
    def shape(self) -> FrameShape: ...


class Topic:
    """Encodes a payload once per shape of frame, into the outboxes of its listeners.

    Attributes:
        phase: Shifts the push times of its stream.
        last_version: Of the book in the last frame; the next diff starts after it.
    """

    __slots__ = (
        "_envelope",
        "_listeners",
        "encoder",
        "last_version",
        "market",
        "name",
        "phase",
        "recent",
        "stream",
    )

    def __init__(
        self, name: str, stream: StreamName, market: SymbolMarket | None, phase: int
    ) -> None:
        self.name = name
        self.stream = stream
        self.market = market
        self.phase = phase
        self.encoder = BookTickerEncoder(market) if market else None
        self.last_version = market.version if market else BookVersion(0, 0)
        self.recent: deque[SentFrame] | None = None
        self._listeners: dict[FrameShape, list[Listener]] = {}
        self._envelope = b'{"stream":"%b","data":' % name.encode()

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    def attach(self, listener: Listener) -> None:
        self._listeners.setdefault(listener.shape, []).append(listener)

    def detach(self, listener: Listener) -> None:
        """Nothing happens if *listener* is not attached."""
        listeners = self._listeners.get(listener.shape, [])
        if listener in listeners:
            listeners.remove(listener)
            if not listeners:
                del self._listeners[listener.shape]

    def emit(self, payload: bytes) -> int:
        """Queue *payload* for every listener; the number of frames queued."""
        queued = 0
        for shape, listeners in self._listeners.items():
            queued += _queue(listeners, self._pieces(shape, payload))
        return queued

    def _pieces(self, shape: FrameShape, payload: bytes) -> tuple[bytes, ...]:
        if shape.microseconds:
            payload = in_microseconds(payload)
        if not shape.combined:
            return (text_header(len(payload)), payload)
        header = text_header(len(self._envelope) + len(payload) + 1)
        return (header, self._envelope, payload, _CLOSING)

    def emit_frame(self, frame: Frame) -> int:
        """As `emit`, for a frame that may be binary."""
        if not frame.binary:
            return self.emit(frame.payload)
        pieces = (binary_frame(frame.payload),)
        return sum(_queue(listeners, pieces) for listeners in self._listeners.values())


def _queue(listeners: Sequence[Listener], pieces: tuple[bytes, ...]) -> int:
    queued = 0
    for listener in listeners:
        if listener.behind:
            listener.skipped += 1
        else:
            listener.outbox += pieces
            queued += 1
    return queued
