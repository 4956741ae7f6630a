"""One stream name and the connections subscribed to it."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.streams.frame_faults import Frame
from chimera_s1.adapters.simulator.streams.frames import binary_frame, text_header
from chimera_s1.adapters.simulator.streams.payloads import BookTickerEncoder
from chimera_s1.adapters.simulator.streams.stream_names import StreamName

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


class Listener(Protocol):
    """What a topic needs of a connection.

    Attributes:
        outbox: Pieces of frames for its next write.
        behind: It reads too slowly: frames are skipped.
        skipped: How many frames were skipped.
    """

    outbox: list[bytes]
    behind: bool
    skipped: int


class Topic:
    """Encodes a payload once per shape, raw and combined, into the outboxes of its listeners.

    Attributes:
        phase: Shifts the push times of its stream.
        last_id: Update id of the last frame; the next diff starts after it.
    """

    __slots__ = (
        "_envelope",
        "combined",
        "encoder",
        "last_id",
        "market",
        "name",
        "phase",
        "raw",
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
        self.raw: list[Listener] = []
        self.combined: list[Listener] = []
        self.last_id = market.update_id if market else 0
        self.recent: deque[SentFrame] | None = None
        self._envelope = b'{"stream":"%b","data":' % name.encode()

    @property
    def has_listeners(self) -> bool:
        return bool(self.raw or self.combined)

    def emit(self, payload: bytes) -> int:
        """Queue *payload* for every listener; the number of frames queued."""
        queued = 0
        if self.raw:
            queued += _queue(self.raw, (text_header(len(payload)), payload))
        if self.combined:
            header = text_header(len(self._envelope) + len(payload) + 1)
            queued += _queue(self.combined, (header, self._envelope, payload, _CLOSING))
        return queued

    def emit_frame(self, frame: Frame) -> int:
        """As `emit`, for a frame that may be binary."""
        if not frame.binary:
            return self.emit(frame.payload)
        listeners = [each for each in (*self.raw, *self.combined) if not each.behind]
        return _queue(listeners, (binary_frame(frame.payload),))


def _queue(listeners: Sequence[Listener], pieces: tuple[bytes, ...]) -> int:
    queued = 0
    for listener in listeners:
        if listener.behind:
            listener.skipped += 1
        else:
            listener.outbox += pieces
            queued += 1
    return queued
