"""Port: what happened to the service itself, for operators and their tools."""

from typing import Protocol

from msgspec import Struct

EventDetail = dict[str, str | int | float | bool | None]
"""What an operational event says; JSON values only."""


class OperationsEvent(Struct, frozen=True):
    """One entry of `ops:events`.

    Attributes:
        event_id: Unique; consumers drop a repeated one.

        ts: When, local epoch ms.

        kind: Dotted name, `ws.fatal`.

        detail: What is known about it; JSON values only.
    """

    event_id: str
    ts: int
    kind: str
    detail: EventDetail


class RoundTripEntry(Struct, frozen=True):
    """One entry of `metrics:events:s1.ws_rtt`, ms."""

    ts: int
    connection: str
    venue: str
    rtt_ms: float
    process_ms: float


class RoundTripSummary(Struct, frozen=True):
    """The hash `metrics:s1:ws_rtt`: percentiles over the last *n* round trips, ms."""

    p50: float
    p95: float
    n: int


class OperationsLog(Protocol):
    """Appends to the operational streams; each call raises `PublisherUnavailableError` where the
    store could not be reached, and `ConfigurationError` where it refuses our credentials (they may
    be changed under way). The caller keeps what it has and tries again.
    """

    async def record(self, event: OperationsEvent) -> str:
        """Append to `ops:events`; gives the place it stands at, for `holds`."""
        ...

    async def contains(self, entry_id: str) -> bool:
        """Whether what was appended at *entry_id* is there, or was trimmed since. Where it is
        neither, a store that failed over has lost what it had acknowledged.
        """
        ...

    async def record_round_trip(self, entry: RoundTripEntry, summary: RoundTripSummary) -> None:
        """Append to `metrics:events:s1.ws_rtt` and set `metrics:s1:ws_rtt`."""
        ...

    async def record_throughput(self, messages_per_s: float) -> None:
        """Set `s1.mkt_throughput`."""
        ...
