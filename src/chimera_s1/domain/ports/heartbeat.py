"""Port: a sign of life that disappears when the process does."""

from typing import Protocol

from msgspec import Struct


class HeartbeatRecord(Struct, frozen=True, kw_only=True):
    """What an instance says of itself.

    Attributes:
        instance: Host name and process id.
        ts: Of this beat, local epoch ms.
        started_at: Local epoch ms.
        venues, shard: What it serves, as in `S1_VENUES` and `S1_SHARD`.
    """

    instance: str
    ts: int
    started_at: int
    version: str
    environment: str
    venues: str
    shard: str


class Heartbeat(Protocol):
    """Each call raises `PublisherUnavailableError` if the store is unavailable, and
    `ConfigurationError` if it refuses our credentials.
    """

    async def beat(self, record: HeartbeatRecord) -> None:
        """Show *record* until the next beat, or for a few seconds without one."""
        ...

    async def count_others(self, environment: str, instance: str) -> int:
        """Instances of *environment* but *instance* that show a record now; an unreadable one
        counts.
        """
        ...

    async def end(self, instance: str) -> None:
        """Remove what *instance* shows."""
        ...
