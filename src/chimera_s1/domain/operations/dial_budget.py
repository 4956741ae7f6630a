"""How many sockets may be dialled, whatever the reason: first connect, reconnect or renewal.

Binance allows 300 connection attempts per 5 minutes and address (USD-M "WebSocket Market Streams",
SPOT web-socket-streams.md). Half of them are ours, divided by the instances behind one address,
and a fifth of that is kept for private streams. Times are monotonic ms.
"""

from collections import deque
from math import inf

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError

VENUE_DIALS = 300
WINDOW_MS = 300_000
DIAL_SPACING_MS = 250
"""Shortest pause between two dials of a venue: sockets that end together do not dial together."""

_OUR_SHARE = 2
_PRIVATE_SHARE = 5


class DialLimit(Struct, frozen=True):
    """At most *dials* in any *window_ms*; *reserved* of them for private streams."""

    dials: int
    reserved: int
    window_ms: int = WINDOW_MS
    spacing_ms: int = DIAL_SPACING_MS

    def __post_init__(self) -> None:
        if not 0 <= self.reserved < self.dials:
            raise InvalidValueError(
                f"a dial limit needs dials that are not reserved, not {self.reserved} of "
                f"{self.dials}"
            )

    @property
    def public(self) -> int:
        """What market data may use."""
        return self.dials - self.reserved


def dial_limit(instances: int) -> DialLimit:
    """The limit of one of *instances* that share an address; always at least one dial."""
    dials = max(1, VENUE_DIALS // _OUR_SHARE // instances)
    return DialLimit(dials, reserved=dials // _PRIVATE_SHARE)


class DialBudget:
    """The dials of one venue in the last window."""

    def __init__(self, limit: DialLimit) -> None:
        self.limit = limit
        self.total = 0
        self._dialled_ms: deque[float] = deque()

    def wait_ms(self, now_ms: float, *, private: bool = False) -> float:
        """How long until the next dial is allowed; 0 when it is."""
        last_ms = self._dialled_ms[-1] if self._dialled_ms else -inf
        spacing_ms = max(0.0, last_ms + self.limit.spacing_ms - now_ms)
        allowed = self.limit.dials if private else self.limit.public
        if self.used(now_ms) < allowed:
            return spacing_ms
        # The dial whose end makes room: with 120 allowed, the 120th last one.
        return max(spacing_ms, self._dialled_ms[-allowed] + self.limit.window_ms - now_ms)

    def use(self, limit: DialLimit) -> None:
        """From now on, dials of before included."""
        self.limit = limit

    def take(self, now_ms: float) -> None:
        """Count a dial, also one that fails."""
        self.used(now_ms)
        self.total += 1
        self._dialled_ms.append(now_ms)

    def used(self, now_ms: float) -> int:
        """Dials in the window that ends now."""
        while self._dialled_ms and self._dialled_ms[0] + self.limit.window_ms <= now_ms:
            self._dialled_ms.popleft()
        return len(self._dialled_ms)
