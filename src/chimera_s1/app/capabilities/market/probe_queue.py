"""The pace of a venue's probes: several at once, inside the weight budget."""

from collections.abc import Sequence

from chimera_s1.domain.market.quote import StreamKey
from chimera_s1.domain.ports.clock import Clock

PROBES_AT_ONCE = 8
PROBE_SPACING_MS = 250.0
"""At most 240 probes a minute: 20 % of the request weight of either venue (spot: 5 of 6,000 each,
futures: 2 of 2,400).
"""

HOLD_MIN_MS, HOLD_MAX_MS = 2_000.0, 60_000.0
"""Pause after a probe without an answer, doubled with each further one: the venue would not answer
the others either, or has asked to be left alone.
"""


class ProbeQueue:
    """Chooses from the suspects, in their order; the caller sorts them by who waits longest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way = 0
        self._next_ms = 0.0
        self._hold_ms = 0.0
        self._held_until_ms = 0.0

    def take(self, suspects: Sequence[StreamKey]) -> list[StreamKey]:
        """Those of *suspects* to probe now; call `finish` once for each."""
        taken: list[StreamKey] = []
        now_ms = self._clock.monotonic_ms()
        # Turns that were not needed are not saved up, but for those since the last check.
        self._next_ms = max(self._next_ms, now_ms - PROBE_SPACING_MS)
        for key in suspects:
            if self._under_way >= PROBES_AT_ONCE or now_ms < self._next_ms:
                break
            self._next_ms += PROBE_SPACING_MS
            self._under_way += 1
            taken.append(key)
        return taken

    def finish(self, *, answered: bool) -> None:
        """A probe has ended."""
        self._under_way -= 1
        now_ms = self._clock.monotonic_ms()
        if answered:
            self._hold_ms = 0.0
        elif now_ms >= self._held_until_ms:
            # Other probes that were under way at the time end in the same hold.
            self._hold_ms = min(max(HOLD_MIN_MS, 2 * self._hold_ms), HOLD_MAX_MS)
            self._held_until_ms = now_ms + self._hold_ms
            self._next_ms = max(self._next_ms, self._held_until_ms)
