"""The funding streams in memory."""

from collections.abc import Sequence

import anyio
from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ConfigurationError, PortError, PublisherRefusedError
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_events import FundingEvent, UnwrittenEvents


class FakeFundingEvents:
    """Implements `domain.ports.funding_events.FundingEvents`.

    Attributes:
        held: Every call waits for it while it is there.
        refusal: Raised by every call while set; counted in `failed`.
        refused: Symbols whose stream refuses every entry.
    """

    def __init__(self) -> None:
        self.held: anyio.Event | None = None
        self.refusal: PortError | ConfigurationError | None = None
        self.refused: set[Symbol] = set()
        self.failed = 0
        self.events: list[FundingEvent] = []

    async def publish(self, events: Sequence[FundingEvent]) -> None:
        _, error = await self._write(events)
        if error is not None:
            raise error

    async def try_publish(self, events: Sequence[FundingEvent]) -> UnwrittenEvents:
        unwritten, error = await self._write(events)
        return UnwrittenEvents(unwritten, "" if error is None else str(error))

    async def _write(
        self, events: Sequence[FundingEvent]
    ) -> tuple[tuple[FundingEvent, ...], PortError | ConfigurationError | None]:
        await checkpoint()
        if self.held is not None:
            await self.held.wait()
        if self.refusal is not None:
            self.failed += 1
            return tuple(events), self.refusal
        unwritten = tuple(event for event in events if event.symbol in self.refused)
        self.events += [event for event in events if event.symbol not in self.refused]
        if not unwritten:
            return (), None
        return unwritten, PublisherRefusedError(f"127.0.0.1:7000: WRONGTYPE {unwritten[0].symbol}")

    def ids(self) -> list[str]:
        return [event.event_id for event in self.events]
