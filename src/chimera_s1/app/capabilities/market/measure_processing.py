"""Measure the time from the receipt of a frame to the acknowledgement of its entry."""

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median

from msgspec import Struct, structs

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import FeedEvent, RoundTrip

SAMPLES_MAX = 2_048
"""Newest samples kept of each venue; a report needs those of the last few seconds."""


class _Samples(Struct):
    total: int
    newest: deque[int]


class MeasureProcessing:
    """Completes each round trip with `process_ms`, the median of its venue since the connection's
    last report.
    """

    def __init__(self, clock: Clock, gate_opened_ms: Callable[[], int] = lambda: 0) -> None:
        """Args:
        gate_opened_ms: Quotes received before have waited at the publication gate, and do not
            count; epoch ms.
        """
        self._clock = clock
        self._gate_opened_ms = gate_opened_ms
        self._samples = {venue: _Samples(0, deque(maxlen=SAMPLES_MAX)) for venue in Venue}
        self._reported: dict[str, int] = {}

    def observe(self, quotes: Sequence[Quote]) -> None:
        """Record quotes whose entries were acknowledged just now."""
        now_ms, opened_ms = self._clock.now_ms(), self._gate_opened_ms()
        for quote in quotes:
            if quote.received_ms < opened_ms:
                continue
            samples = self._samples[quote.instrument.venue]
            samples.total += 1
            samples.newest.append(max(0, now_ms - quote.received_ms))

    def complete(self, event: FeedEvent) -> FeedEvent:
        """*event*; a round trip with its `process_ms`, None if nothing was acknowledged."""
        if not isinstance(event, RoundTrip):
            return event
        samples = self._samples[event.venue]
        count = min(samples.total - self._reported.get(event.connection, 0), len(samples.newest))
        self._reported[event.connection] = samples.total
        recent = list(samples.newest)[-count:] if count else []
        return structs.replace(event, process_ms=float(median(recent)) if recent else None)
