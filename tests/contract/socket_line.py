"""One market data socket on a manual clock, and what it received."""

import anyio

from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.market_socket import MarketSocket, SocketPlan
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.dial_budget import dial_limit
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.market_feed import FeedCounters, FeedEvent, RoundTrip
from tests.contract.raw_exchange import RawExchange
from tests.fakes.manual_clock import ManualClock


class Line:
    """A socket, the receive times of its messages, and its round trips."""

    def __init__(self, exchange: RawExchange, read_interval_ms: int = 0) -> None:
        self.clock = ManualClock()
        self.pacer = ReadPacer(self.clock, read_interval_ms)
        self.counters = FeedCounters()
        self.received: list[int] = []
        self.round_trips: list[float] = []
        self.cause = ""
        self._news = anyio.Event()
        self._connection = MarketSocket(
            SocketPlan("spot-0", Venue.SPOT, exchange.url, ("btcusdt@bookTicker",)),
            self._put,
            self.counters,
            clock=self.clock,
            gate=DialGate(self.clock, VenueHold(), dial_limit(1)),
            pacer=self.pacer,
            listener=self._on_event,
            on_first_data=lambda: None,
            on_shutdown=lambda: None,
        )

    async def run(self) -> str:
        self.cause = await self._connection.run()
        self._notify()
        return self.cause

    async def frames(self, number: int) -> list[int]:
        """Receive times of the first *number* messages, epoch ms."""
        while len(self.received) < number:
            await self._news.wait()
        return self.received

    async def measured(self, number: int) -> list[float]:
        """The first *number* round trips, ms."""
        while len(self.round_trips) < number:
            await self._news.wait()
        return self.round_trips

    async def ended(self) -> str:
        """Why the socket ended."""
        while not self.cause:
            await self._news.wait()
        return self.cause

    def _put(self, payload: bytes, received_ms: int) -> bool:
        assert payload.startswith(b"{")
        self.received.append(received_ms)
        self.counters.bytes += len(payload)
        self._notify()
        return True

    def _on_event(self, event: FeedEvent) -> None:
        if isinstance(event, RoundTrip):
            self.round_trips.append(event.rtt_ms)
            self._notify()

    def _notify(self) -> None:
        self._news.set()
        self._news = anyio.Event()
