"""The funding streams in memory."""

from collections.abc import Sequence

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ConfigurationError, PortError, PublisherRefusedError
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_events import FundingEvent


class FakeFundingEvents:
    """Attributes:
    refusal: Raised by every call while set; counted in `failed`.
    refused: Symbols whose stream refuses every entry; those before it in a batch are written.
    """

    def __init__(self) -> None:
        self.refusal: PortError | ConfigurationError | None = None
        self.refused: set[Symbol] = set()
        self.failed = 0
        self.events: list[FundingEvent] = []

    async def publish(self, events: Sequence[FundingEvent]) -> None:
        await checkpoint()
        if self.refusal is not None:
            self.failed += 1
            raise self.refusal
        for event in events:
            if event.symbol in self.refused:
                raise PublisherRefusedError(f"127.0.0.1:7000: WRONGTYPE of {event.symbol}")
            self.events.append(event)

    def ids(self) -> list[str]:
        return [event.event_id for event in self.events]
