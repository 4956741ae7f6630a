"""The streams `orders:executed`, `risk:sl_arm` and `spot:oco:armed` in memory."""

from collections.abc import Sequence
from typing import assert_never

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ledger.relayed_entry import RelayedEntry
from chimera_s1.domain.ports.order_events import (
    ExecutedOrder,
    OcoChanged,
    PublishedEvent,
    StopChanged,
)


class MemoryOrderEvents:
    """Implements `domain.ports.order_events.OrderEvents`; raises while `unavailable` is set."""

    def __init__(self) -> None:
        self.unavailable = False
        self.events: list[ExecutedOrder] = []
        self.stops: list[StopChanged] = []
        self.ocos: list[OcoChanged] = []

    async def publish(self, event: PublishedEvent) -> RelayedEntry:
        """The entry's id is its number in the stream and the event's id."""
        stream = _stream_of(event)
        await self._check_available(stream)
        match event:
            case ExecutedOrder():
                self.events.append(event)
            case StopChanged():
                self.stops.append(event)
            case OcoChanged():
                self.ocos.append(event)
            case _:
                assert_never(event)
        return RelayedEntry(stream, f"{len(self.entries(stream))} {event.event_id}")

    async def contains(self, entry: RelayedEntry) -> bool:
        await self._check_available(entry.stream)
        number, _, event_id = entry.entry_id.partition(" ")
        found = self.entries(entry.stream)[int(number) - 1 : int(number)]
        return [event.event_id for event in found] == [event_id]

    def entries(self, stream: str) -> Sequence[PublishedEvent]:
        of_stream: dict[str, Sequence[PublishedEvent]] = {
            "orders:executed": self.events,
            "risk:sl_arm": self.stops,
            "spot:oco:armed": self.ocos,
        }
        return of_stream[stream]

    async def _check_available(self, stream: str) -> None:
        await checkpoint()
        if self.unavailable:
            raise PublisherUnavailableError(f"{stream} unavailable")


def _stream_of(event: PublishedEvent) -> str:
    match event:
        case ExecutedOrder():
            return "orders:executed"
        case StopChanged():
            return "risk:sl_arm"
        case OcoChanged():
            return "spot:oco:armed"
        case _:
            assert_never(event)
