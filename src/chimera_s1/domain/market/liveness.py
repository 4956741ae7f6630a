"""Liveness: tell a calm market from a broken stream.

The usual interval between updates is learned for each stream and each connection. Silence is
compared with it: BTC is suspect after seconds, an illiquid pair after minutes.

    LIVE      updates arrive at their usual intervals
    QUIET     no update for longer than usual; the market may be calm, or is closed
    LATE      updates arrive long after their event
    DEGRADED  frames arrive and are refused
    STALE     no update, although a REST probe shows that the venue's book has changed or is gone
    BLIND     the connection is lost, or silent for much longer than usual

A stream that is silent for much longer than usual, or never delivered after its subscription, is
*suspect*. It stays QUIET until a probe finds that its book has changed. A refused frame is no
update, but it ends the silence: the stream is not calm, and needs no probe.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.frame_tally import NO_DEFECT, FrameTally
from chimera_s1.domain.market.interval_estimator import IntervalEstimator
from chimera_s1.domain.market.lateness import Lateness
from chimera_s1.domain.market.probe_verdict import ProbeVerdict, next_probe_ms
from chimera_s1.domain.market.quote import StreamKey

WHOLE_CONNECTION = "*"
"""The symbol of an entry that concerns each instrument of a connection; its cause names it."""

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

ACTIVE_FLOOR_MS = 1_200


class Liveness(StrEnum):
    """State of an instrument, and the markers GAP and RESUMED; `state` in `mkt:status:*`."""

    LIVE = "LIVE"
    QUIET = "QUIET"
    LATE = "LATE"
    DEGRADED = "DEGRADED"
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
        is_last: The instrument is not served any more; not part of the entry.
    """

    ts: int
    symbol: str
    state: Liveness
    since: int
    cause: str
    is_last: bool = False

    @property
    def is_marker(self) -> bool:
        """Whether it marks an interruption and is no state."""
        return self.state in {Liveness.GAP, Liveness.RESUMED}

    @property
    def connection(self) -> str:
        """The connection that an entry with the symbol `*` concerns."""
        return self.cause.partition(" ")[0].rstrip(":")


class StreamLiveness:
    """State of one stream. All times are monotonic ms.

    Attributes:
        frames: Present while frames of the stream are being refused.
        updates: Number of updates so far.
        verdict: Of the last probe; None once the stream has delivered, or before any probe.
        gone: Why the venue does not trade the instrument any more; empty while it does.
        is_off_session: Silent, and its market is closed.
    """

    __slots__ = (
        "_frame_ms",
        "_next_probe_ms",
        "_subscribed_ms",
        "_verdict_times",
        "frames",
        "gone",
        "interval",
        "is_off_session",
        "key",
        "lateness",
        "probed_ms",
        "since_ms",
        "state",
        "updates",
        "verdict",
    )

    def __init__(self, key: StreamKey, now_ms: float) -> None:
        self.key = key
        self.interval = IntervalEstimator()
        self.lateness = Lateness()
        self.frames: FrameTally | None = None
        self.updates = 0
        self.state: Liveness | None = None
        self.since_ms = now_ms
        self.verdict: ProbeVerdict | None = None
        self.gone = ""
        self.is_off_session = False
        self.probed_ms = -1.0
        self._verdict_times = 0
        self._next_probe_ms = 0.0
        self._subscribed_ms = now_ms
        self._frame_ms = 0.0

    def record_update(self, at_ms: float, lag_ms: int | None = None) -> None:
        self.interval.record(at_ms)
        self.lateness.record(lag_ms, at_ms)
        self.updates += 1
        self._frame_ms = max(self._frame_ms, at_ms)
        self._forget_probes()
        self.gone = ""

    def record_refused(self, at_ms: float, reason: str) -> None:
        """Record a frame that was not published."""
        self._frame_ms = max(self._frame_ms, at_ms)
        if reason not in NO_DEFECT:
            self.interval.mark_interrupted()
            self.frames = self.frames or FrameTally()

    def mark_resubscribed(self, now_ms: float) -> None:
        """Count silence from now: the stream has a new connection."""
        self.interval.mark_interrupted()
        self._subscribed_ms = now_ms
        if not self.gone:
            self._forget_probes()

    def is_suspect(self, now_ms: float) -> bool:
        """True if the stream needs a probe now."""
        return not self.is_off_session and now_ms >= self._next_probe_ms and self.is_silent(now_ms)

    def is_silent(self, now_ms: float) -> bool:
        """True if it is silent for much longer than usual."""
        return self.silence_ms(now_ms) > self._suspect_after_ms()

    def start_probe(self, now_ms: float) -> None:
        """A probe is under way; until its verdict is recorded the stream is not suspect."""
        self.probed_ms = now_ms
        self._next_probe_ms = float("inf")

    def record_probe(self, now_ms: float, verdict: ProbeVerdict, gone: str = "") -> None:
        """Record what a probe has proven, and when the next one is due."""
        self._verdict_times = self._verdict_times + 1 if verdict is self.verdict else 1
        self._next_probe_ms = now_ms + next_probe_ms(verdict, self._verdict_times)
        if verdict is ProbeVerdict.UNKNOWN:
            self._verdict_times = 0
            return
        self.verdict = verdict
        self.gone = gone
        if verdict is ProbeVerdict.CALM:
            self._set_state(Liveness.QUIET, now_ms)
        else:
            self.interval.mark_interrupted()
            self._set_state(Liveness.STALE, now_ms)

    def update_state(
        self,
        now_ms: float,
        *,
        connection_blind: bool,
        others_active: bool,
        is_open: Callable[[InstrumentId], bool] = lambda _: True,
    ) -> None:
        """Update the state.

        *is_open*: whether the market of an instrument is; asked for silent streams only.
        *connection_blind*: the connection is lost, or silent for much longer than usual.
        *others_active*: other streams of the connection deliver, or there are none. Streams that
        fall silent together do not become QUIET: the connection may be BLIND.
        """
        self._follow_session(now_ms, is_open)
        silence_ms = self.silence_ms(now_ms)
        if connection_blind:
            self._set_state(Liveness.BLIND, now_ms)
        elif self.is_off_session:
            self._set_state(Liveness.QUIET, now_ms)
        elif self.verdict not in {None, ProbeVerdict.CALM}:
            self._set_state(Liveness.STALE, now_ms)
        elif self.frames is not None and self.frames.is_degraded(now_ms):
            self._set_state(Liveness.DEGRADED, now_ms)
        elif self._has_delivered and silence_ms <= self._quiet_after_ms():
            late = self.lateness.is_late(now_ms)
            self._set_state(Liveness.LATE if late else Liveness.LIVE, now_ms)
        elif others_active and silence_ms > self._quiet_after_ms():
            self._set_state(Liveness.QUIET, now_ms)

    def _follow_session(self, now_ms: float, is_open: Callable[[InstrumentId], bool]) -> None:
        silent = self.silence_ms(now_ms) > self._quiet_after_ms() and not self.gone
        closed = silent and not is_open(self.key[0])
        if self.is_off_session and silent and not closed:
            self.mark_resubscribed(now_ms)  # its market opens: silence counts from now
        elif closed and not self.is_off_session:
            self._forget_probes()
        self.is_off_session = closed

    @property
    def last_frame_ms(self) -> float:
        """Time of the last frame, published or refused; 0 before the first."""
        return self._frame_ms

    def silence_ms(self, now_ms: float) -> float:
        """Ms since the last frame or the subscription, whichever is later."""
        return now_ms - max(self._subscribed_ms, self._frame_ms)

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

    def _forget_probes(self) -> None:
        """A probe that is under way is judged by silence when it ends."""
        self.verdict = None
        self._verdict_times = 0
        self._next_probe_ms = 0.0

    def _set_state(self, state: Liveness, now_ms: float) -> None:
        if state is self.state:
            return
        self.state = state
        last_ms = self.interval.last_ms
        starts_now = state in {Liveness.LIVE, Liveness.LATE} or last_ms is None
        self.since_ms = now_ms if starts_now or last_ms is None else last_ms


class ConnectionLiveness:
    """Liveness of a connection; any message counts. All times are monotonic ms."""

    __slots__ = ("_opened_ms", "_unreadable_ms", "interval", "is_open")

    def __init__(self) -> None:
        self.interval = IntervalEstimator()
        self.is_open = False
        self._opened_ms = 0.0
        self._unreadable_ms = 0.0

    def mark_opened(self, now_ms: float) -> None:
        self.is_open = True
        self._opened_ms = now_ms
        self.interval.mark_interrupted()

    def mark_closed(self) -> None:
        self.is_open = False

    def record_unreadable(self, at_ms: float) -> None:
        """A message that was not understood: the connection is not silent."""
        self._unreadable_ms = at_ms

    def is_silent(self, now_ms: float) -> bool:
        """True if it is open and silent for much longer than usual."""
        limit_ms = max(BLIND_FLOOR_MS, BLIND_FACTOR * self.interval.expected_silence_ms)
        heard_ms = max(self.last_ms, self._unreadable_ms)
        return self.is_open and now_ms - heard_ms > limit_ms

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


_SEVERITY = {
    Liveness.LIVE: 0,
    Liveness.QUIET: 1,
    Liveness.LATE: 2,
    Liveness.DEGRADED: 3,
    Liveness.STALE: 4,
    Liveness.BLIND: 5,
}
