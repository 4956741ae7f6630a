"""The request weight an IP address may use per minute, and what happens above it.

Binance, "General API information" (limits): 429 with `Retry-After`, then 418 for clients that keep
sending. The minute is the exchange's own, aligned to its clock.
"""

from msgspec import Struct

from chimera_s1.adapters.simulator.clock import ScaledClock

_MINUTE_MS = 60_000
_BAN_MS = 120_000
REFUSALS_BEFORE_BAN = 10


class LimitExceeded(Struct, frozen=True):
    """The reply to a request above the limit.

    Attributes:
        status: 429, or 418 once banned.
        retry_after_s: For the header `Retry-After`.
    """

    status: int
    retry_after_s: int
    message: str


class WeightLimit:
    """The limit of one address. All clients share it: on loopback they have one address.

    Attributes:
        limit: Weight per minute.
        used: In the minute of the last `spend`.
    """

    def __init__(self, limit: int, clock: ScaledClock) -> None:
        self.limit = limit
        self.used = 0
        self._clock = clock
        self._minute = clock.now_ms() // _MINUTE_MS
        self._refusals = 0
        self._banned_until_ms = 0

    def spend(self, weight: int) -> LimitExceeded | None:
        """Count a request of *weight*; None if it may be answered."""
        now = self._clock.now_ms()
        if now < self._banned_until_ms:
            return self._banned(now)
        self._start_minute(now // _MINUTE_MS)
        self.used += weight
        if self.used <= self.limit:
            return None
        self._refusals += 1
        if self._refusals > REFUSALS_BEFORE_BAN:
            self._banned_until_ms = now + _BAN_MS
            return self._banned(now)
        return self._refused(now)

    def _start_minute(self, minute: int) -> None:
        if minute != self._minute:
            self._minute = minute
            self.used = self._refusals = 0

    def _refused(self, now: int) -> LimitExceeded:
        left_ms = (self._minute + 1) * _MINUTE_MS - now
        return LimitExceeded(
            429,
            _seconds(left_ms),
            f"Too much request weight used; current limit is {self.limit} request weight per "
            "1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
        )

    def _banned(self, now: int) -> LimitExceeded:
        return LimitExceeded(
            418,
            _seconds(self._banned_until_ms - now),
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
        )


def _seconds(duration_ms: int) -> int:
    """Rounded up."""
    return -(-duration_ms // 1000)
