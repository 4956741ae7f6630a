"""The stream `orders:executed` in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.order_events import ExecutedOrder


class MemoryOrderEvents:
    """Implements `domain.ports.order_events.OrderEvents`; raises while `unavailable` is set."""

    def __init__(self) -> None:
        self.unavailable = False
        self.events: list[ExecutedOrder] = []

    async def publish(self, event: ExecutedOrder) -> str:
        """Returns the number of entries and the event's id."""
        await self._check_available()
        self.events.append(event)
        return f"{len(self.events)} {event.event_id}"

    async def contains(self, entry_id: str) -> bool:
        await self._check_available()
        number, _, event_id = entry_id.partition(" ")
        found = self.events[int(number) - 1 : int(number)]
        return [event.event_id for event in found] == [event_id]

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise PublisherUnavailableError("orders:executed unavailable")
