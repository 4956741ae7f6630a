"""Operational streams in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.operations_log import (
    OperationsEvent,
    RoundTripEntry,
    RoundTripSummary,
)


class MemoryOperationsLog:
    """Implements `domain.ports.operations_log.OperationsLog`; raises while `unavailable` is set."""

    def __init__(self) -> None:
        self.unavailable = False
        self.events: list[OperationsEvent] = []
        self.round_trips: list[RoundTripEntry] = []
        self.summary: RoundTripSummary | None = None
        self.messages_per_s: float | None = None

    async def record(self, event: OperationsEvent) -> str:
        """Returns the number of events and the event's id."""
        await self._check_available()
        self.events.append(event)
        return f"{len(self.events)} {event.event_id}"

    async def contains(self, entry_id: str) -> bool:
        await self._check_available()
        number, _, event_id = entry_id.partition(" ")
        found = self.events[int(number) - 1 : int(number)]
        return [event.event_id for event in found] == [event_id]

    async def record_round_trip(self, entry: RoundTripEntry, summary: RoundTripSummary) -> None:
        await self._check_available()
        self.round_trips.append(entry)
        self.summary = summary

    async def record_throughput(self, messages_per_s: float) -> None:
        await self._check_available()
        self.messages_per_s = messages_per_s

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise PublisherUnavailableError("operations log unavailable")
