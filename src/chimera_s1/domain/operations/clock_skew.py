"""Skew between the local and the exchange's clock, from time requests.

A time request says where the exchange's clock is with an error of at most half its round trip
(RFC 5905). So the samples with the smallest round trips decide, and an offset is always given with
the bound of its error.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from math import ceil
from typing import TypeVar

from msgspec import Struct

Number = TypeVar("Number", int, float)

DRIFT = 100e-6
"""How fast two clocks may diverge: the bound of a sample grows by this share of its age."""

ROUNDING_MS = 2.0
"""Clocks are read in whole milliseconds: samples that differ by no more than this agree."""

GOOD_ENOUGH_MS = 10.0
"""No more samples are wanted to lower a bound by less than this."""

BOUND_MAX_MS = 1_000.0
"""An offset with a larger error bound is not used, neither for times nor for signatures."""

SAMPLES = 3
"""Samples that decide the offset; so many must agree to prove that a clock has stepped."""


class ClockSample(Struct, frozen=True, gc=False):
    """One time request: local send and receive time, and the exchange's time; ms."""

    sent_ms: float
    received_ms: float
    server_ms: float

    @property
    def rtt_ms(self) -> float:
        """Round trip, ms; 0 if the local clock stepped back meanwhile."""
        return max(0.0, self.received_ms - self.sent_ms)

    @property
    def offset_ms(self) -> float:
        """Exchange minus local clock, ms, at the middle of the round trip."""
        return self.server_ms - (self.sent_ms + self.received_ms) / 2

    def bound_ms(self, now_ms: float) -> float:
        """The largest possible error of the offset at *now_ms*."""
        return self.rtt_ms / 2 + max(0.0, now_ms - self.sent_ms) * DRIFT


class ClockOffset(Struct, frozen=True, gc=False):
    """Exchange minus local clock, ms; the error is at most *bound_ms*."""

    offset_ms: float
    bound_ms: float

    @property
    def usable(self) -> bool:
        """False where the error may be larger than `BOUND_MAX_MS`."""
        return self.bound_ms <= BOUND_MAX_MS

    def contradicts(self, other: "ClockOffset") -> bool:
        """True if the two cannot both be right."""
        apart_ms = abs(self.offset_ms - other.offset_ms)
        return apart_ms > self.bound_ms + other.bound_ms + ROUNDING_MS


NO_OFFSET = ClockOffset(0.0, 0.0)
"""Event times are taken as they are."""


class ClockSkew(Struct, frozen=True):
    """Skew and availability of an exchange clock.

    Attributes:
        offset: None before the first answer.
        p_up: Share of requests answered, 0 to 1; 1 before the first request.
        rtt_p50_ms: None before the first answer, as is rtt_p95_ms.
    """

    offset: ClockOffset | None
    p_up: float
    rtt_p50_ms: float | None
    rtt_p95_ms: float | None


class OffsetEstimate:
    """The offset from the `SAMPLES` samples with the smallest error bounds.

    The middle one of their offsets counts: a single wrong sample, however short its round trip,
    moves the offset within the bound only. A sample that contradicts the offset is kept apart;
    `SAMPLES` of them in a row that agree with each other prove that a clock has stepped.

    All times are of one local clock that never steps.
    """

    def __init__(self) -> None:
        self._best: tuple[ClockSample, ...] = ()
        self._rivals: tuple[ClockSample, ...] = ()
        self._newest: ClockSample | None = None

    @property
    def settled(self) -> bool:
        """False while another sample is likely to improve the offset."""
        newest = self._newest
        if len(self._best) < SAMPLES or newest is None or newest not in self._best:
            return False
        now_ms = newest.received_ms
        worst_ms = max(sample.bound_ms(now_ms) for sample in self._best)
        return worst_ms <= 2 * newest.bound_ms(now_ms) + GOOD_ENOUGH_MS

    @property
    def proven(self) -> bool:
        """True if enough samples agree, and the last one does not contradict them."""
        return len(self._best) == SAMPLES and not self._rivals

    def at(self, now_ms: float) -> ClockOffset | None:
        """The offset with its error bound at *now_ms*; None before the first sample."""
        if not self._best:
            return None
        middle = self._best[0]
        if len(self._best) == SAMPLES:
            middle = sorted(self._best, key=lambda sample: sample.offset_ms)[SAMPLES // 2]
        bound_ms = max(sample.bound_ms(now_ms) for sample in self._best)
        return ClockOffset(middle.offset_ms, bound_ms)

    def add(self, sample: ClockSample) -> bool:
        """Add an answered request; True if it proves that a clock has stepped."""
        now_ms, self._newest = sample.received_ms, sample
        current, added = self.at(now_ms), _offset(sample, now_ms)
        if current is None or not added.contradicts(current):
            self._rivals = ()
            self._best = _smallest_bounds((*self._best, sample), now_ms)
            return False
        agreeing = (r for r in self._rivals if not added.contradicts(_offset(r, now_ms)))
        self._rivals = (*agreeing, sample)
        if len(self._rivals) < SAMPLES:
            return False
        self._best, self._rivals = self._rivals, ()
        return True


class RequestWindow:
    """The last *size* time requests, answered or not."""

    def __init__(self, size: int = 120) -> None:
        self._rtts_ms: deque[float | None] = deque(maxlen=size)

    def record_answer(self, rtt_ms: float) -> None:
        self._rtts_ms.append(rtt_ms)

    def record_miss(self) -> None:
        self._rtts_ms.append(None)

    def skew(self, offset: ClockOffset | None) -> ClockSkew:
        rtts = sorted(rtt for rtt in self._rtts_ms if rtt is not None)
        return ClockSkew(
            offset=offset,
            p_up=len(rtts) / len(self._rtts_ms) if self._rtts_ms else 1.0,
            rtt_p50_ms=percentile(rtts, 0.50),
            rtt_p95_ms=percentile(rtts, 0.95),
        )


def percentile(ordered: Sequence[Number], quantile: float) -> Number | None:
    """Nearest-rank percentile of *ordered* (ascending); None if it is empty."""
    return ordered[max(0, ceil(quantile * len(ordered)) - 1)] if ordered else None


def _offset(sample: ClockSample, now_ms: float) -> ClockOffset:
    return ClockOffset(sample.offset_ms, sample.bound_ms(now_ms))


def _smallest_bounds(samples: Iterable[ClockSample], now_ms: float) -> tuple[ClockSample, ...]:
    # Stable: of equal bounds the newer one is better, and it comes last.
    ordered = sorted(samples, key=lambda sample: (sample.bound_ms(now_ms), -sample.received_ms))
    return tuple(ordered[:SAMPLES])
