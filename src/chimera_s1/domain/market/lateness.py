"""Lag of the quotes of a stream: receive time minus event time.

Spot book tickers carry no event time, so their lag is unknown and never guessed.
"""

LATE_MS = 2_000
"""A quote with this lag is late. The error of a lag is that of the clock's offset: at most 1 s."""

CONFIRM_MS = 2_000
"""How long all quotes of a stream have to be late. Longer than for a connection, so that a common
cause is found first.
"""


class Lateness:
    """Attributes:
    lag_ms: Of the newest quote; None if it has no event time.
    """

    __slots__ = ("_late_quotes", "_late_since_ms", "lag_ms")

    def __init__(self) -> None:
        self.lag_ms: int | None = None
        self._late_quotes = 0
        self._late_since_ms = 0.0

    def record(self, lag_ms: int | None, at_ms: float) -> None:
        self.lag_ms = lag_ms
        if lag_ms is None or lag_ms < LATE_MS:
            self._late_quotes = 0
            return
        if not self._late_quotes:
            self._late_since_ms = at_ms
        self._late_quotes += 1

    @property
    def is_lagging(self) -> bool:
        """True if the newest quote is late."""
        return self._late_quotes > 0

    def is_late(self, now_ms: float) -> bool:
        """True if every quote has been late for some time; one odd event time changes nothing."""
        return self._late_quotes > 1 and now_ms - self._late_since_ms >= CONFIRM_MS
