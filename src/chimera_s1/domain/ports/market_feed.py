"""Port: a venue's market data, conflated to the newest quote of each stream."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.health import FeedReport
from chimera_s1.domain.market.quote import Quote, StreamKey


class ConnectionOpened(Struct, frozen=True):
    """A socket is open and its first data message arrived.

    Attributes:
        connection: Its name, `spot-0`.

        venue: Whose.

        streams: What it carries.

        recovered: True where this ends a FATAL.
    """

    connection: str
    venue: Venue
    streams: tuple[StreamKey, ...]
    recovered: bool


class ConnectionLost(Struct, frozen=True):
    """A socket closed or would not open; it is dialled again after *retry_in_ms*."""

    connection: str
    venue: Venue
    streams: tuple[StreamKey, ...]
    cause: str
    retry_count: int
    retry_in_ms: float


class ConnectionRenewed(Struct, frozen=True):
    """A successor has taken over while the old socket still delivered: nothing was missed."""

    connection: str
    venue: Venue
    cause: str


class ConnectionFatal(Struct, frozen=True):
    """A connection is out of retries; dialling goes on at the scan interval."""

    connection: str
    venue: Venue
    streams: tuple[StreamKey, ...]
    cause: str
    retry_count: int


class RoundTrip(Struct, frozen=True):
    """A ping was answered.

    Attributes:
        connection: Its name, `spot-0`.

        venue: Whose.

        rtt_ms: From ping sent to pong read.

        process_ms: Of that, the longest a frame that was already here could wait before it was
            read: the read interval.
    """

    connection: str
    venue: Venue
    rtt_ms: float
    process_ms: float


FeedEvent = ConnectionOpened | ConnectionLost | ConnectionRenewed | ConnectionFatal | RoundTrip
FeedListener = Callable[[FeedEvent], None]


class FeedCounters(Struct):
    """What a feed has counted since it was made; only the feed writes.

    Attributes:
        messages: Data messages received.

        bytes: Their payload, bytes.

        conflated: Frames overwritten by a newer one of their stream before a window closed.

        drained: Quotes handed out.

        reconnects: Connections lost after they had been open.

        mistimed: Frames looked at, dropped or not, whose aligned event time is more than a second
            off their receipt: the offset between the clocks may be wrong.

        dropped: Frames not handed out, by reason (`crossed`, `malformed`, `stale_update_id`,
            `coin_m`, `unsubscribed`, ...).
    """

    messages: int = 0
    bytes: int = 0
    conflated: int = 0
    drained: int = 0
    reconnects: int = 0
    mistimed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count one frame that is not handed out."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class MarketFeed(Protocol):
    """Subscribes instruments of one venue and keeps the newest frame of each stream."""

    @property
    def venue(self) -> Venue:
        """Whose market data this is."""
        ...

    @property
    def counters(self) -> FeedCounters:
        """Live counters; read, never written, by others."""
        ...

    async def run(self, instruments: Sequence[InstrumentId]) -> None:
        """Keep *instruments* subscribed until cancelled (a recording: until its end); reconnects by
        itself and never raises for a lost connection.
        """
        ...

    async def wait_for_update(self) -> None:
        """Return once there is something to drain; only of use with window 0."""
        ...

    def drain(self) -> list[Quote]:
        """The newest valid quote of each stream that changed since the last call, oldest first
        within a stream; with window 0, every one of them. Never raises for what the exchange sent.
        """
        ...

    def last_message_ms(self) -> Mapping[str, int]:
        """When each connection last brought a data message, whatever became of it: local epoch ms,
        as of the last drain; without those that have brought none.
        """
        ...

    def reconnect(self, connection: str, cause: str) -> None:
        """End *connection* and dial again: it is open and does not deliver what it should."""
        ...

    def renew(self, connection: str, cause: str) -> None:
        """Replace *connection* by a successor without missing an update."""
        ...

    def report(self) -> FeedReport:
        """The state of the connections now."""
        ...
