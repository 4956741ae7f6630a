"""The usual interval between the updates of a stream."""

_INTERVAL_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_DEVIATIONS = 4


class IntervalEstimator:
    """Smoothed interval between updates and its deviation, estimated as in RFC 6298."""

    __slots__ = ("_deviation_ms", "_gap_ms", "_interrupted", "last_ms")

    def __init__(self) -> None:
        self.last_ms: float | None = None
        self._interrupted = False
        self._gap_ms: float | None = None
        self._deviation_ms = 0.0

    def record(self, at_ms: float) -> None:
        """Record an update; an *at_ms* before the last update counts as the same moment."""
        if self.last_ms is None or self._interrupted:
            self._interrupted = False
        else:
            self._learn(max(0.0, at_ms - self.last_ms))
        self.last_ms = at_ms if self.last_ms is None else max(self.last_ms, at_ms)

    def mark_interrupted(self) -> None:
        """Ignore the interval to the next update: it is an outage, not the market."""
        self._interrupted = True

    def _learn(self, gap_ms: float) -> None:
        if self._gap_ms is None:
            self._gap_ms, self._deviation_ms = gap_ms, gap_ms / 2
            return
        error_ms = gap_ms - self._gap_ms
        self._deviation_ms += _DEVIATION_GAIN * (abs(error_ms) - self._deviation_ms)
        self._gap_ms += _INTERVAL_GAIN * error_ms

    @property
    def expected_silence_ms(self) -> float:
        """The longest usual silence, ms; 0 before the second update."""
        return (self._gap_ms or 0.0) + _DEVIATIONS * self._deviation_ms
