"""Liveness: tell a calm market from a broken stream.

The usual interval between updates is learned for each stream and each connection. Silence is
compared with it: BTC is suspect after seconds, an illiquid pair after minutes.

    LIVE   updates arrive at their usual intervals
    QUIET  no update for longer than usual; the market may be calm
    STALE  no update, although a REST probe shows that the venue's book has changed
    BLIND  the connection is lost, or silent for much longer than usual

A stream that is silent for much longer than usual, or never delivered after its subscription, is
*suspect*. It stays QUIET until a probe finds that its book has changed.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.market.quote import StreamKey

FIRST_MESSAGE_TIMEOUT_MS = 10_000
"""A stream without a message this long after subscribing is suspect: Binance also acknowledges
subscriptions to misspelt streams.
"""

QUIET_FLOOR_MS, QUIET_FACTOR = 2_000, 2
SUSPECT_FLOOR_MS, SUSPECT_FACTOR = 5_000, 3
BLIND_FLOOR_MS, BLIND_FACTOR = 3_000, 3
"""Limits as multiples of the expected silence, and in ms at least. Random (Poisson) updates exceed
twice the expected silence once in 3,000 gaps, three times practically never.
"""

OPENING_GRACE_MS = 500
"""A connection is reported open shortly after its first message was received. An update received
up to this long before the report belongs to it.
"""

PROBE_INTERVAL_MS = 30_000
ACTIVE_FLOOR_MS = 1_200

_INTERVAL_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_DEVIATIONS = 4


class Liveness(StrEnum):
    """State of an instrument, and the markers GAP and RESUMED; `state` in `mkt:status:*`."""

    LIVE = "LIVE"
    QUIET = "QUIET"
    STALE = "STALE"
    BLIND = "BLIND"
    GAP = "GAP"
    RESUMED = "RESUMED"


class StatusChange(Struct, frozen=True):
    """One entry of `mkt:status:<venue>`.

    Attributes:
        ts: When the change was detected, local epoch ms.
        symbol: `*` for a whole connection.
        state: With GAP and RESUMED nothing was received from *since* to *ts*.
        since: Start of the state, local epoch ms.
        cause: Begins with the name of the connection or source.
    """

    ts: int
    symbol: str
    state: Liveness
    since: int
    cause: str


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


class StreamLiveness:
    """State of one stream. All times are monotonic ms."""

    __slots__ = ("_probed_ms", "_subscribed_ms", "interval", "key", "since_ms", "state")

    def __init__(self, key: StreamKey, now_ms: float) -> None:
        self.key = key
        self.interval = IntervalEstimator()
        self.state: Liveness | None = None
        self.since_ms = now_ms
        self._subscribed_ms = now_ms
        self._probed_ms: float | None = None

    def record_update(self, at_ms: float) -> None:
        self.interval.record(at_ms)
        self._probed_ms = None

    def mark_resubscribed(self, now_ms: float) -> None:
        """Count silence from now: the stream has a new connection."""
        self.interval.mark_interrupted()
        self._subscribed_ms = now_ms
        self._probed_ms = None

    def is_suspect(self, now_ms: float) -> bool:
        """True if the stream needs a probe now."""
        if self._probed_ms is not None and now_ms - self._probed_ms < PROBE_INTERVAL_MS:
            return False
        return self.silence_ms(now_ms) > self._suspect_after_ms()

    def record_probe(self, now_ms: float, *, book_moved: bool | None) -> None:
        """Record whether the venue's book has changed since our last update; None: no answer.

        After any result the stream is not suspect for `PROBE_INTERVAL_MS`, so others get probed.
        """
        self._probed_ms = now_ms
        if book_moved:
            self.interval.mark_interrupted()
        if book_moved is None:
            return
        self._set_state(Liveness.STALE if book_moved else Liveness.QUIET, now_ms)

    def update_state(self, now_ms: float, *, connection_blind: bool, others_active: bool) -> None:
        """Update the state.

        *connection_blind*: the connection is lost, or silent for much longer than usual.
        *others_active*: other streams of the connection deliver, or there are none. Streams that
        fall silent together do not become QUIET: the connection may be BLIND.
        """
        silence_ms = self.silence_ms(now_ms)
        if connection_blind:
            self._set_state(Liveness.BLIND, now_ms)
        elif self._has_delivered and silence_ms <= self._quiet_after_ms():
            self._set_state(Liveness.LIVE, now_ms)
        elif (
            others_active
            and self.state is not Liveness.STALE
            and silence_ms > self._quiet_after_ms()
        ):
            self._set_state(Liveness.QUIET, now_ms)

    def silence_ms(self, now_ms: float) -> float:
        """Ms since the last update or the subscription, whichever is later."""
        return now_ms - max(self._subscribed_ms, self.interval.last_ms or 0.0)

    @property
    def _has_delivered(self) -> bool:
        last_ms = self.interval.last_ms
        return last_ms is not None and last_ms >= self._subscribed_ms - OPENING_GRACE_MS

    def _quiet_after_ms(self) -> float:
        if not self._has_delivered:
            return max(FIRST_MESSAGE_TIMEOUT_MS, self.interval.expected_silence_ms)
        return max(QUIET_FLOOR_MS, QUIET_FACTOR * self.interval.expected_silence_ms)

    def _suspect_after_ms(self) -> float:
        if not self._has_delivered:
            return max(FIRST_MESSAGE_TIMEOUT_MS, self.interval.expected_silence_ms)
        return max(SUSPECT_FLOOR_MS, SUSPECT_FACTOR * self.interval.expected_silence_ms)

    def _set_state(self, state: Liveness, now_ms: float) -> None:
        if state is self.state:
            return
        self.state = state
        last_ms = self.interval.last_ms
        self.since_ms = now_ms if state is Liveness.LIVE or last_ms is None else last_ms


class ConnectionLiveness:
    """Liveness of a connection; any message counts. All times are monotonic ms."""

    __slots__ = ("_opened_ms", "interval", "is_open")

    def __init__(self) -> None:
        self.interval = IntervalEstimator()
        self.is_open = False
        self._opened_ms = 0.0

    def mark_opened(self, now_ms: float) -> None:
        self.is_open = True
        self._opened_ms = now_ms
        self.interval.mark_interrupted()

    def mark_closed(self) -> None:
        self.is_open = False

    def is_silent(self, now_ms: float) -> bool:
        """True if it is open and silent for much longer than usual."""
        limit_ms = max(BLIND_FLOOR_MS, BLIND_FACTOR * self.interval.expected_silence_ms)
        return self.is_open and now_ms - self.last_ms > limit_ms

    def is_active(self, now_ms: float) -> bool:
        """True while its silence is not longer than usual."""
        return self.is_open and now_ms - self.last_ms <= max(
            ACTIVE_FLOOR_MS, self.interval.expected_silence_ms
        )

    @property
    def last_ms(self) -> float:
        """Time of the last message, or of the opening."""
        return max(self._opened_ms, self.interval.last_ms or 0.0)


def worst_liveness(states: Iterable[Liveness | None]) -> Liveness | None:
    """The worst known state; None if no state is known."""
    known = [state for state in states if state is not None]
    return max(known, key=_SEVERITY.__getitem__, default=None)


_SEVERITY = {Liveness.LIVE: 0, Liveness.QUIET: 1, Liveness.STALE: 2, Liveness.BLIND: 3}
