"""Liveness: is an instrument's silence a calm market, or is something broken?

Each stream, and each connection as a whole, has a rhythm of its own, learned from the gaps between
its updates. Silence is measured by it: BTC is suspect after seconds, an illiquid pair after
minutes.

    LIVE   updates come in their rhythm
    QUIET  no update for longer than usual; nothing says that one was due
    STALE  no update, and the venue's own answer (a probe by REST) shows a book that has moved on
    BLIND  the whole connection is silent beyond its rhythm, or gone

A stream that is silent far beyond its rhythm, or never delivered after it was subscribed, is
*suspect*: it is to be probed, and stays QUIET until a probe says otherwise.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.market.quote import StreamKey

FIRST_MESSAGE_TIMEOUT_MS = 10_000
"""Without a message this long after subscribing, a stream is suspect: an acknowledged subscription
proves nothing (Binance acknowledges misspelt streams).
"""

QUIET_FLOOR_MS, QUIET_FACTOR = 2_000, 2
SUSPECT_FLOOR_MS, SUSPECT_FACTOR = 5_000, 3
BLIND_FLOOR_MS, BLIND_FACTOR = 3_000, 3
"""How many times the usual silence, and at least how many ms. Updates that come by pure chance are
silent for twice the usual once in 3,000 gaps, for three times practically never.
"""

OPENING_GRACE_MS = 500
"""A connection is known to be open from its first message on, which was received before that: what
came so long before is its own. For a pair that speaks once in an hour it is all that comes.
"""

PROBE_INTERVAL_MS = 30_000
ACTIVE_FLOOR_MS = 1_200

_INTERVAL_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_DEVIATIONS = 4


class Liveness(StrEnum):
    """The state of an instrument, and the two markers of an interruption; values of `state` in
    `mkt:status:*`.
    """

    LIVE = "LIVE"
    QUIET = "QUIET"
    STALE = "STALE"
    BLIND = "BLIND"
    GAP = "GAP"
    RESUMED = "RESUMED"


class StatusChange(Struct, frozen=True):
    """One entry of `mkt:status:<venue>`.

    Attributes:
        ts: When it was found, local epoch ms.

        symbol: Whose; `*` for a whole connection.

        state: The new state, or GAP / RESUMED: nothing was received from *since* to *ts*.

        since: Since when it is so, local epoch ms.

        cause: Why, for people and machines: begins with the connection's or source's name.
    """

    ts: int
    symbol: str
    state: Liveness
    since: int
    cause: str


class IntervalEstimator:
    """The smoothed gap between updates and its deviation, as TCP keeps its round trips
    (RFC 6298).
    """

    __slots__ = ("_deviation_ms", "_gap_ms", "_interrupted", "last_ms")

    def __init__(self) -> None:
        self.last_ms: float | None = None
        self._interrupted = False
        self._gap_ms: float | None = None
        self._deviation_ms = 0.0

    def record(self, at_ms: float) -> None:
        """An update came at *at_ms*; what came before the last one counts as come with it."""
        if self.last_ms is None or self._interrupted:
            self._interrupted = False
        else:
            self._learn(max(0.0, at_ms - self.last_ms))
        self.last_ms = at_ms if self.last_ms is None else max(self.last_ms, at_ms)

    def mark_interrupted(self) -> None:
        """The gap to the next update is an outage's, not the market's: nothing is
        learned from it.
        """
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
        """The longest silence that is still usual, ms; 0 before two updates."""
        return (self._gap_ms or 0.0) + _DEVIATIONS * self._deviation_ms


class StreamLiveness:
    """One stream's state. All times are ms of one clock that never steps."""

    __slots__ = ("_probed_ms", "_subscribed_ms", "interval", "key", "since_ms", "state")

    def __init__(self, key: StreamKey, now_ms: float) -> None:
        self.key = key
        self.interval = IntervalEstimator()
        self.state: Liveness | None = None
        self.since_ms = now_ms
        self._subscribed_ms = now_ms
        self._probed_ms: float | None = None

    def record_update(self, at_ms: float) -> None:
        """An update came."""
        self.interval.record(at_ms)
        self._probed_ms = None

    def mark_resubscribed(self, now_ms: float) -> None:
        """Its connection is new: silence counts from now."""
        self.interval.mark_interrupted()
        self._subscribed_ms = now_ms
        self._probed_ms = None

    def is_suspect(self, now_ms: float) -> bool:
        """True where its silence asks for a probe now."""
        if self._probed_ms is not None and now_ms - self._probed_ms < PROBE_INTERVAL_MS:
            return False
        return self.silence_ms(now_ms) > self._suspect_after_ms()

    def record_probe(self, now_ms: float, *, book_moved: bool | None) -> None:
        """The venue's own answer: its book has *book_moved* on from our last update, or has not.
        None is no answer: nothing is learned, and others have their turn before it is asked again.
        """
        self._probed_ms = now_ms
        if book_moved:
            self.interval.mark_interrupted()
        if book_moved is None:
            return
        self._set_state(Liveness.STALE if book_moved else Liveness.QUIET, now_ms)

    def update_state(self, now_ms: float, *, connection_blind: bool, others_active: bool) -> None:
        """Bring the state up to *now_ms*.

        Args:
            now_ms: Now.

            connection_blind: Its connection is silent beyond its rhythm, or gone.

            others_active: It may be the only silent one: either others on its connection speak, or
                there
                are no others. Streams that fall silent together are not calm; their connection's
                verdict is awaited.
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
        """How long nothing came, ms; from the subscription where that is later."""
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
    """One connection as a whole: anything on it is a sign of life."""

    __slots__ = ("_opened_ms", "interval", "is_open")

    def __init__(self) -> None:
        self.interval = IntervalEstimator()
        self.is_open = False
        self._opened_ms = 0.0

    def mark_opened(self, now_ms: float) -> None:
        """It delivers its first message."""
        self.is_open = True
        self._opened_ms = now_ms
        self.interval.mark_interrupted()

    def mark_closed(self) -> None:
        """It is gone."""
        self.is_open = False

    def is_silent(self, now_ms: float) -> bool:
        """True where it is open and silent beyond its rhythm."""
        limit_ms = max(BLIND_FLOOR_MS, BLIND_FACTOR * self.interval.expected_silence_ms)
        return self.is_open and now_ms - self.last_ms > limit_ms

    def is_active(self, now_ms: float) -> bool:
        """True while it is not silent for longer than usual."""
        return self.is_open and now_ms - self.last_ms <= max(
            ACTIVE_FLOOR_MS, self.interval.expected_silence_ms
        )

    @property
    def last_ms(self) -> float:
        """When it last gave a sign of life."""
        return max(self._opened_ms, self.interval.last_ms or 0.0)


def worst_liveness(states: Iterable[Liveness | None]) -> Liveness | None:
    """The state of an instrument from those of its streams; None where none is known yet."""
    known = [state for state in states if state is not None]
    return max(known, key=_SEVERITY.__getitem__, default=None)


_SEVERITY = {Liveness.LIVE: 0, Liveness.QUIET: 1, Liveness.STALE: 2, Liveness.BLIND: 3}
