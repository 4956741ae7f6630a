"""Ports with scripted failures that the memory adapters do not have."""

from collections.abc import Mapping, Sequence

import anyio
from msgspec import structs

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

    async def ping(self, node: str) -> str:
        self.pings += 1
        return await super().ping(node)


class TwoNodePublisher(MemoryQuotePublisher):
    """Two independent nodes, `left` and `right`, as the port promises them.

    Attributes:
        on_right: Instruments on `right`; change it with `move`.
        down: Nodes that refuse connections.
        refused: Streams that their node refuses; it accepts the others.
        pings: Nodes pinged, in order.
    """

    def __init__(self, streams: MemoryQuoteStreams, window: WindowMs) -> None:
        super().__init__(streams, window)
        self.on_right: set[InstrumentId] = set()
        self.down: set[str] = set()
        self.refused: set[InstrumentId] = set()
        self.pings: list[str] = []
        self._version = 0
        self._gates = {node: anyio.Event() for node in self.nodes()}
        self._in_flight: dict[InstrumentId, str] = {}
        for node in self.nodes():
            self.resume(node)

    @property
    def routing_version(self) -> int:
        return self._version

    def nodes(self) -> tuple[str, ...]:
        return ("left", "right")

    def by_node(self, quotes: Sequence[Quote]) -> Mapping[str, Sequence[Quote]]:
        parts: dict[str, list[Quote]] = {}
        for quote in quotes:
            parts.setdefault(self._node(quote.instrument), []).append(quote)
        return parts

    def move(self, instrument: InstrumentId) -> None:
        """*instrument* goes to the other node."""
        self.on_right ^= {instrument}
        self._version += 1

    def hang(self, node: str) -> None:
        """Calls for *node* wait from now on."""
        if self._gates[node].is_set():
            self._gates[node] = anyio.Event()

    def resume(self, node: str) -> None:
        """Calls for *node* complete."""
        self._gates[node].set()

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        parts = self.by_node(quotes)
        (node,) = parts
        held = [q for q in quotes if self._in_flight.get(q.instrument, node) != node]
        sent = [q for q in quotes if q not in held]
        self._in_flight |= {quote.instrument: node for quote in sent}
        try:
            await self._gates[node].wait()
            if node in self.down:
                return PublishReport(0, tuple(quotes), cause=f"{node} is down")
            refused = [quote for quote in sent if quote.instrument in self.refused]
            report = await super().publish([quote for quote in sent if quote not in refused])
        finally:
            for quote in sent:
                self._in_flight.pop(quote.instrument, None)
        if not held and not refused:
            return report
        causes = [f"{node} refuses {quote.instrument}" for quote in refused]
        cause = "; ".join([*dict.fromkeys(causes), *(["held back"] if held else [])])
        return structs.replace(report, unpublished=(*held, *refused), cause=cause)

    async def ping(self, node: str) -> str:
        self.pings.append(node)
        await self._gates[node].wait()
        if node in self.down:
            return f"{node} is down"
        refused = next((str(each) for each in self.refused if self._node(each) == node), "")
        return f"{node} refuses {refused}" if refused else ""

    def _node(self, instrument: InstrumentId) -> str:
        return "right" if instrument in self.on_right else "left"
