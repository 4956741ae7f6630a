"""Clock skew: how far our clock is from the exchange's, how often it answers, how fast."""

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import TypeVar

from msgspec import Struct

Number = TypeVar("Number", int, float)


class ClockSample(Struct, frozen=True, gc=False):
    """One question to the exchange for its time.

    Attributes:
        sent_ms: Local epoch ms when the request left.

        received_ms: Local epoch ms when the reply arrived.

        server_ms: The exchange's epoch ms in the reply.
    """

    sent_ms: int
    received_ms: int
    server_ms: int

    @property
    def rtt_ms(self) -> int:
        """Round trip, ms; 0 where the local clock stepped back in between."""
        return max(0, self.received_ms - self.sent_ms)

    @property
    def offset_ms(self) -> float:
        """Exchange clock minus local clock, ms, taking the reply as made at the midpoint (RFC
        5905's symmetric path assumption): wrong by at most half the round trip.
        """
        return self.server_ms - (self.sent_ms + self.received_ms) / 2


class ClockSkew(Struct, frozen=True):
    """What the clock patrol knows.

    Attributes:
        offset_ms: Exchange minus local as last measured, ms; None before the first answer.

        p_up: Answers over questions in the window, 0 to 1; 1 before the first.

        rtt_p50_ms: Median round trip, ms; None before the first answer.

        rtt_p95_ms: 95th percentile round trip, ms.
    """

    offset_ms: float | None
    p_up: float
    rtt_p50_ms: int | None
    rtt_p95_ms: int | None


class SkewWindow:
    """The last *size* questions to the exchange clock, answered or not."""

    def __init__(self, size: int = 120) -> None:
        self._probes: deque[ClockSample | None] = deque(maxlen=size)
        self._offset_ms: float | None = None

    def record_answer(self, probe: ClockSample) -> None:
        """Count an answer and take its offset as the one in force."""
        self._probes.append(probe)
        self._offset_ms = probe.offset_ms

    def record_miss(self) -> None:
        """Count a question without an answer; the offset in force stays."""
        self._probes.append(None)

    @property
    def skew(self) -> ClockSkew:
        """What the window says now."""
        rtts = sorted(probe.rtt_ms for probe in self._probes if probe is not None)
        return ClockSkew(
            offset_ms=self._offset_ms,
            p_up=len(rtts) / len(self._probes) if self._probes else 1.0,
            rtt_p50_ms=percentile(rtts, 0.50),
            rtt_p95_ms=percentile(rtts, 0.95),
        )


def percentile(ordered: Sequence[Number], quantile: float) -> Number | None:
    """The nearest-rank percentile of *ordered* (shape (n,), ascending), or None when it
    is empty.
    """
    return ordered[max(0, ceil(quantile * len(ordered)) - 1)] if ordered else None
