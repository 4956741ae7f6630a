"""Mark the time in which no instance published: GAP and RESUMED on `mkt:status:<venue>`.

A GAP is written when the last publisher stops and when the next one starts, with the same `since`;
RESUMED repeats it, once Redis has acknowledged a quote of the venue. A standby that takes over
without a missing window writes neither.
"""

from collections.abc import Callable, Iterable, Sequence

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.downtime import find_downtime
from chimera_s1.domain.market.liveness import WHOLE_CONNECTION, Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock

CAUSE = "no instance of the service published"


class MarkDowntime:
    """Of one venue.

    Args:
        put: Queues changes for `mkt:status:<venue>`.
    """

    def __init__(
        self, venue: Venue, put: Callable[[Sequence[StatusChange]], None], clock: Clock
    ) -> None:
        self.venue = venue
        self._put = put
        self._clock = clock
        self._receiving_since_ms: int | None = None
        self._open_since_ms: int | None = None

    def observe_received(self, quotes: Iterable[Quote]) -> None:
        """Note the first quotes of this process."""
        if self._receiving_since_ms is None:
            self._receiving_since_ms = self._first_receipt_ms(quotes)

    def observe_published(self, quotes: Iterable[Quote]) -> None:
        """The first quotes that Redis has acknowledged end the downtime."""
        if self._open_since_ms is None:
            return
        first_ms = self._first_receipt_ms(quotes)
        if first_ms is None:
            return
        since_ms, self._open_since_ms = self._open_since_ms, None
        until_ms = max(since_ms, first_ms)
        self._put([StatusChange(until_ms, WHOLE_CONNECTION, Liveness.RESUMED, since_ms, CAUSE)])

    def begin(self, last_entry_ms: int, kept_since_ms: int) -> None:
        """Begin to publish.

        Args:
            last_entry_ms: The id of the newest entry of all streams, epoch ms; 0 if there is none.
            kept_since_ms: Updates received before were dropped, epoch ms; 0 if none were.
        """
        if not last_entry_ms:
            return
        if self._receiving_since_ms is None:
            self._open(last_entry_ms, self._clock.now_ms())
            return
        missing = find_downtime(last_entry_ms, max(self._receiving_since_ms, kept_since_ms))
        if missing is not None:
            self._open(missing.since_ms, missing.until_ms)

    def end(self, last_entry_ms: int) -> None:
        """Stop publishing, with no other instance to take over."""
        if last_entry_ms:
            self._open(last_entry_ms, self._clock.now_ms())

    def _open(self, last_entry_ms: int, now_ms: int) -> None:
        # The id of the last entry is the end of its window, which may be after now.
        at_ms, self._open_since_ms = max(now_ms, last_entry_ms), last_entry_ms
        self._put([StatusChange(at_ms, WHOLE_CONNECTION, Liveness.GAP, last_entry_ms, CAUSE)])

    def _first_receipt_ms(self, quotes: Iterable[Quote]) -> int | None:
        received = (q.received_ms for q in quotes if q.instrument.venue is self.venue)
        return min(received, default=None)
