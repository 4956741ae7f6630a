"""One stream name with everybody who listens to it."""

from collections import deque
from typing import Protocol

from msgspec import Struct

from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.market.payloads import BookTickerEncoder
from chimera_s1.adapters.simulator.streams.frame_faults import Frame
from chimera_s1.adapters.simulator.streams.frames import binary_frame, text_header
from chimera_s1.adapters.simulator.streams.stream_names import StreamName

FRAMES_KEPT = 50
"""Frames of one symbol the control plane can show."""

_CLOSING = b"}"


class SentFrame(Struct, frozen=True, gc=False):
    """A payload that went out.

    Attributes:
        sent_ms: Local wall time, epoch ms (not the exchange's clock).
    """

    sent_ms: int
    stream: str
    payload: bytes


class Listener(Protocol):
    """A connection, as far as a topic knows it.

    Attributes:
        outbox: Pieces of frames for its next write.
        behind: It reads too slowly; what comes now is skipped.
        skipped: Frames it missed for that.
    """

    outbox: list[bytes]
    behind: bool
    skipped: int


class Topic:
    """Frames a payload once per shape, raw and combined, and puts it into the outboxes.

    Attributes:
        last_id: Update id of the last frame, for chains of diffs.
    """

    __slots__ = (
        "_envelope",
        "combined",
        "last_id",
        "market",
        "name",
        "phase",
        "encoder",
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

    def emit(self, payload: bytes) -> int:
        """Queue *payload* for everybody; the number of frames queued."""
        queued = 0
        if self.raw:
            header = text_header(len(payload))
            for listener in self.raw:
                if listener.behind:
                    listener.skipped += 1
                else:
                    listener.outbox += (header, payload)
                    queued += 1
        if self.combined:
            header = text_header(len(self._envelope) + len(payload) + 1)
            for listener in self.combined:
                if listener.behind:
                    listener.skipped += 1
                else:
                    listener.outbox += (header, self._envelope, payload, _CLOSING)
                    queued += 1
        return queued

    def emit_frame(self, frame: Frame) -> int:
        """As `emit`, for a frame that may be binary."""
        if not frame.binary:
            return self.emit(frame.payload)
        listeners = [each for each in (*self.raw, *self.combined) if not each.behind]
        for listener in listeners:
            listener.outbox.append(binary_frame(frame.payload))
        return len(listeners)

    @property
    def has_listeners(self) -> bool:
        """Whether anybody listens."""
        return bool(self.raw or self.combined)
