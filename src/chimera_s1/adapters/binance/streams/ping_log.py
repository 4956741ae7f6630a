"""Pings of one socket: round trips, and how many went by without any sign of life."""

from chimera_s1.domain.ports.clock import Clock

PING_INTERVAL_MS = 2_000

SILENT_PINGS_MAX = 6
"""A socket that brings nothing at all, neither data nor a pong, over this many pings is dead: after
12 to 14 s. Counted in pings, because after a stall of this process there is unread data.
"""

UNANSWERED_MAX = 16
"""Pings whose send time is kept; older ones count as lost."""

UNANSWERED_WARNING = 8
"""Pings without a pong that are worth a line in the log."""


class PingLog:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._number = 0
        self._sent_ms: dict[bytes, float] = {}
        self._reads_seen = 0
        self._silent_pings = 0

    @property
    def unanswered(self) -> int:
        return len(self._sent_ms)

    def start_ping(self) -> bytes:
        """The payload of the next ping, which is sent now."""
        self._number += 1
        payload = b"%d" % self._number
        self._sent_ms[payload] = self._clock.monotonic_ms()
        if len(self._sent_ms) > UNANSWERED_MAX:
            self._sent_ms.pop(next(iter(self._sent_ms)))
        return payload

    def record_pong(self, payload: bytes) -> float | None:
        """Its round trip, ms; None for a pong that answers no open ping.

        A pong may answer several pings (RFC 6455, 5.5.3), so older ones are closed as well.
        """
        sent_ms = self._sent_ms.get(payload)
        if sent_ms is None:
            return None
        self._sent_ms = {name: at for name, at in self._sent_ms.items() if int(name) > int(payload)}
        return self._clock.monotonic_ms() - sent_ms

    def is_dead(self, reads: int) -> bool:
        """Call before each ping with the number of reads so far; True if the socket is dead."""
        self._silent_pings = self._silent_pings + 1 if reads == self._reads_seen else 0
        self._reads_seen = reads
        return self._silent_pings >= SILENT_PINGS_MAX
