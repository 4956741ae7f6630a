"""Ports with scripted failures that the memory adapters do not have."""

from collections.abc import Sequence

import anyio

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublishReport
from tests.fakes.quote_streams import MemoryQuotePublisher, MemoryQuoteStreams


class GatedPublisher(MemoryQuotePublisher):
    """A slow store: each call waits until it is released, then writes.

    `unavailable` names instruments whose node does not answer: their quotes come back unpublished.
    """

    def __init__(self, streams: MemoryQuoteStreams, window: WindowMs) -> None:
        super().__init__(streams, window)
        self.offered: list[tuple[Quote, ...]] = []
        self.unavailable: set[InstrumentId] = set()
        self.pings = 0
        self.called = anyio.Event()
        self._gate = anyio.Event()
        self._gate.set()

    def close_gate(self) -> None:
        """The next calls wait."""
        self.called = anyio.Event()
        self._gate = anyio.Event()

    def open_gate(self) -> None:
        """Release waiting and later calls."""
        self._gate.set()

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        self.offered.append(tuple(quotes))
        self.called.set()
        await self._gate.wait()
        taken = [quote for quote in quotes if quote.instrument not in self.unavailable]
        back = tuple(quote for quote in quotes if quote.instrument in self.unavailable)
        report = await super().publish(taken)
        if not back:
            return report
        unpublished = (*report.unpublished, *back)
        return PublishReport(report.published, unpublished, "a node does not answer")

    async def ping(self) -> str:
        self.pings += 1
        return await super().ping()
