"""Port: a venue's market data, conflated to the newest quote of each stream."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.health import FeedReport
from chimera_s1.domain.market.quote import Quote, StreamKey


class ConnectionOpened(Struct, frozen=True):
    """A socket is open and its first data message arrived."""

    connection: str
    venue: Venue
    streams: tuple[StreamKey, ...]


class ConnectionLost(Struct, frozen=True):
    """A socket closed or did not open; the next dial is in *retry_in_ms*."""

    connection: str
    venue: Venue
    streams: tuple[StreamKey, ...]
    cause: str
    retry_count: int
    retry_in_ms: float


class ConnectionRenewed(Struct, frozen=True):
    """A new socket took over while the old one still delivered; no update was missed."""

    connection: str
    venue: Venue
    cause: str


class StreamsChanged(Struct, frozen=True):
    """A connection carries *streams* from now on: the selection has changed.

    Without streams it is closed for good; its name may be used again.
    """

    connection: str
    venue: Venue
    streams: tuple[StreamKey, ...]


class ConnectionFatal(Struct, frozen=True):
    """A connection has used up its retries; dialling continues at the scan interval."""

    connection: str
    venue: Venue
    streams: tuple[StreamKey, ...]
    cause: str
    retry_count: int


class FatalEnded(Struct, frozen=True):
    """A connection that was FATAL has delivered for long enough to be healthy again."""

    connection: str
    venue: Venue


class RoundTrip(Struct, frozen=True):
    """A ping was answered after *rtt_ms*.

    *process_ms* is the median time from the receipt of a frame to the acknowledgement of its entry
    since the connection's last round trip; a feed leaves it out, None means not measured.
    """

    connection: str
    venue: Venue
    rtt_ms: float
    process_ms: float | None = None


class StreamRefused(Struct, frozen=True):
    """The venue refuses to subscribe *stream*; the connection goes on with its others."""

    connection: str
    venue: Venue
    stream: str
    cause: str


class MessageDropped(Struct, frozen=True):
    """The first message of a socket that was not understood: *start* are its first characters.

    Later ones are only counted, by the same *reason*.
    """

    connection: str
    venue: Venue
    reason: str
    start: str


class ClockStepped(Struct, frozen=True):
    """The local clock has stepped back: `ts` starts anew.

    Attributes:
        step_ms: Negative.
        before_ms: The time before the step, by the clock as it was, epoch ms.
    """

    venue: Venue
    step_ms: int
    before_ms: int


FeedEvent = (
    ConnectionOpened
    | ConnectionLost
    | ConnectionRenewed
    | StreamsChanged
    | ConnectionFatal
    | FatalEnded
    | RoundTrip
    | MessageDropped
    | StreamRefused
    | ClockStepped
)
FeedListener = Callable[[FeedEvent], None]


class FeedCounters(Struct):
    """Totals since the feed was created; only the feed writes them.

    Attributes:
        messages: Data messages received.
        bytes: Their payload size.
        conflated: Frames replaced by a newer frame of their stream before a window closed.
        drained: Quotes returned by `drain`.
        reconnects: Connections lost after they had opened.
        mistimed: Quotes whose event time does not fit their receive time and the error bound of the
            clock offset: more than 1 s earlier, or later.
        future_event_times: Those of them whose event time is later; their `ts` is the receive time.
        dropped: Frames not returned, by reason (`crossed`, `malformed`, `stale_update_id`,
            `coin_m`, `unsubscribed`, ...).
        refused: The dropped frames of each stream, by reason.
        unreadable: The dropped messages of each connection that belong to no stream, by reason.
    """

    messages: int = 0
    bytes: int = 0
    conflated: int = 0
    drained: int = 0
    reconnects: int = 0
    mistimed: int = 0
    future_event_times: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    refused: dict[StreamKey, dict[str, int]] = field(default_factory=dict)
    unreadable: dict[str, dict[str, int]] = field(default_factory=dict)

    def drop(self, reason: str, count: int = 1) -> None:
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def refuse(self, stream: StreamKey, reason: str) -> None:
        """Drop a frame of *stream*."""
        self.drop(reason)
        reasons = self.refused.setdefault(stream, {})
        reasons[reason] = reasons.get(reason, 0) + 1

    def drop_unreadable(self, connection: str, reason: str) -> None:
        """Drop a message of *connection* that belongs to no stream."""
        self.drop(reason)
        reasons = self.unreadable.setdefault(connection, {})
        reasons[reason] = reasons.get(reason, 0) + 1

    def forget_streams(self, streams: Iterable[StreamKey]) -> None:
        for stream in streams:
            self.refused.pop(stream, None)

    def forget_connection(self, connection: str) -> None:
        self.unreadable.pop(connection, None)


class MarketFeed(Protocol):
    """Subscribes to instruments of one venue and keeps the newest frame of each stream."""

    @property
    def venue(self) -> Venue: ...

    @property
    def counters(self) -> FeedCounters:
        """Live counters, read-only for callers."""
        ...

    async def run(self, instruments: Sequence[InstrumentId]) -> None:
        """Keep *instruments* subscribed until cancelled.

        Reconnects by itself; never raises for a lost connection.
        """
        ...

    def select(self, instruments: Sequence[InstrumentId]) -> None:
        """Serve *instruments* from now on, while `run` runs: subscribe those that are new, and
        unsubscribe and forget those that are not among them. Connections of the others are not
        touched. Never waits.
        """
        ...

    async def wait_for_update(self) -> None:
        """Return once there is something to drain; only useful with window 0."""
        ...

    def drain(self, *, unfinished: bool = False) -> list[Quote]:
        """The newest valid quote of each stream from the windows that ended since the last call;
        with window 0, every valid quote, oldest first within a stream. Never raises for invalid
        frames.

        *unfinished* takes the window that has not ended, too. Otherwise no two quotes of a stream
        have a receive time in the same window, however late this is called.
        """
        ...

    def seed(self, last_ts: Mapping[InstrumentId, int], term: int | None) -> None:
        """Continue after the `ts` of each last entry of this venue; call it before publishing.

        Times far ahead of the clock are left out, and reported as its step once in each *term* of
        publishing; None: they are not reported.
        """
        ...

    def last_message_ms(self) -> Mapping[str, int]:
        """Receive time of the last data message, valid or not, of each connection that has had one:
        local epoch ms. Drained or not: how fast quotes are published says nothing about a socket.
        """
        ...

    def reconnect(self, connection: str, cause: str) -> None:
        """Close *connection* and dial again: it is open but does not deliver."""
        ...

    def renew(self, connection: str, cause: str) -> None:
        """Replace *connection* by a new one without missing an update."""
        ...

    def report(self) -> FeedReport: ...
