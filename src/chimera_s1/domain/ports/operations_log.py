"""Port: events and metrics of the service itself, for operators."""

from typing import Protocol

from msgspec import Struct

EventDetail = dict[str, str | int | float | bool | None]
"""Details of an operational event; JSON values only."""


class OperationsEvent(Struct, frozen=True):
    """One entry of `ops:events`.

    Attributes:
        event_id: Consumers deduplicate by it.
        ts: Local epoch ms.
        kind: Dotted name, `ws.fatal`.
    """

    event_id: str
    ts: int
    kind: str
    detail: EventDetail


class RoundTripEntry(Struct, frozen=True):
    """One entry of `metrics:events:s1.ws_rtt`, ms; *process_ms* is None where not measured."""

    ts: int
    connection: str
    venue: str
    rtt_ms: float
    process_ms: float | None


class RoundTripSummary(Struct, frozen=True):
    """The hash `metrics:s1:ws_rtt`: percentiles over the last *n* round trips, ms."""

    p50: float
    p95: float
    n: int


class OperationsLog(Protocol):
    """Appends to the operational streams. Each call raises `PublisherUnavailableError` if the store
    is unavailable, and `ConfigurationError` if it refuses our credentials (they can change at run
    time). The caller keeps the entry and retries.
    """

    async def record(self, event: OperationsEvent) -> str:
        """Append to `ops:events`; returns the entry id, for `contains`."""
        ...

    async def contains(self, entry_id: str) -> bool:
        """Whether the entry exists or was trimmed; False: a failover lost an acknowledged entry."""
        ...

    async def record_round_trip(self, entry: RoundTripEntry, summary: RoundTripSummary) -> None:
        """Append to `metrics:events:s1.ws_rtt` and set `metrics:s1:ws_rtt`."""
        ...

    async def record_throughput(self, messages_per_s: float) -> None:
        """Set `s1.mkt_throughput`."""
        ...
