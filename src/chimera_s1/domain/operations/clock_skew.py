"""Skew between the local and the exchange's clock, from time requests."""

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import TypeVar

from msgspec import Struct

Number = TypeVar("Number", int, float)


class ClockSample(Struct, frozen=True, gc=False):
    """One time request: local send and receive time and the exchange's time, epoch ms."""

    sent_ms: int
    received_ms: int
    server_ms: int

    @property
    def rtt_ms(self) -> int:
        """Round trip, ms; 0 if the local clock stepped back meanwhile."""
        return max(0, self.received_ms - self.sent_ms)

    @property
    def offset_ms(self) -> float:
        """Exchange minus local clock, ms; the error is at most half the round trip (RFC 5905)."""
        return self.server_ms - (self.sent_ms + self.received_ms) / 2


class ClockSkew(Struct, frozen=True):
    """Skew and availability of an exchange clock.

    Attributes:
        offset_ms: Exchange minus local clock as last measured; None before the first answer.
        p_up: Share of requests answered, 0 to 1; 1 before the first request.
        rtt_p50_ms: None before the first answer, as is rtt_p95_ms.
    """

    offset_ms: float | None
    p_up: float
    rtt_p50_ms: int | None
    rtt_p95_ms: int | None


class SkewWindow:
    """The last *size* time requests, answered or not."""

    def __init__(self, size: int = 120) -> None:
        self._samples: deque[ClockSample | None] = deque(maxlen=size)
        self._offset_ms: float | None = None

    def record_answer(self, sample: ClockSample) -> None:
        """Add an answered request; its offset becomes the current one."""
        self._samples.append(sample)
        self._offset_ms = sample.offset_ms

    def record_miss(self) -> None:
        """Add an unanswered request; the current offset stays."""
        self._samples.append(None)

    @property
    def skew(self) -> ClockSkew:
        rtts = sorted(sample.rtt_ms for sample in self._samples if sample is not None)
        return ClockSkew(
            offset_ms=self._offset_ms,
            p_up=len(rtts) / len(self._samples) if self._samples else 1.0,
            rtt_p50_ms=percentile(rtts, 0.50),
            rtt_p95_ms=percentile(rtts, 0.95),
        )


def percentile(ordered: Sequence[Number], quantile: float) -> Number | None:
    """Nearest-rank percentile of *ordered* (ascending); None if it is empty."""
    return ordered[max(0, ceil(quantile * len(ordered)) - 1)] if ordered else None
