"""A feed watched as in the service, with a status that a test can wait for."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.simulator.config import SimulatorAddresses
from chimera_s1.app.capabilities.market.probe_books import ProbeBooks
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import FeedEvent
from tests.contract.feed_harness import (
    CLOCK,
    SYMBOLS,
    FeedHarness,
    feed_harness,
    simulator_endpoints,
)
from tests.fakes.market_status import MemoryMarketStatus


class AwaitableMarketStatus(MemoryMarketStatus):
    """A status that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = anyio.Event()

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        await super().append(venue, changes)
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for_states(self, symbol: str, *states: Liveness) -> list[StatusChange]:
        """Wait until *states* were the last ones of *symbol*, in this order; return these."""
        while True:
            found = [change for _, change in self.changes if change.symbol == symbol]
            newest = found[-len(states) :]
            if [change.state for change in newest] == list(states):
                return newest
            await self._changed.wait()


class WatchedFeed:
    """A feed, its watch, all their events, and every quote."""

    def __init__(
        self, feed: FeedHarness, watch: WatchLiveness, status: AwaitableMarketStatus
    ) -> None:
        self.harness = feed
        self.watch = watch
        self.status = status
        self.quotes: list[Quote] = []
        self.events: list[FeedEvent] = []
        self._event_received = anyio.Event()

    async def listen(self) -> None:
        async for event in self.harness.events:
            self.watch.on_feed_event(event)
            self.events.append(event)
            self._event_received.set()
            self._event_received = anyio.Event()

    async def drain(self) -> None:
        while True:
            await self.harness.feed.wait_for_update()
            quotes = self.harness.feed.drain()
            self.watch.observe(quotes)
            self.quotes += quotes

    async def wait_for(self, enough: Callable[[], bool]) -> None:
        """Wait for events until *enough*."""
        while not enough():
            await self._event_received.wait()

    def events_of(self, kind: type[Any]) -> list[Any]:
        """Events of *kind* so far, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def dial_count(self) -> int:
        """Sockets the simulator has seen opened."""
        status = (await self.harness.control.get("/sim/status")).json()
        return int(status["venues"]["perp"]["connections_opened"])


@asynccontextmanager
async def watched_feed(
    tasks: TaskGroup,
    simulator: SimulatorAddresses,
    plan: Callable[[FeedPlan], FeedPlan] = lambda plan: plan,
    venue: Venue = Venue.PERP,
) -> AsyncIterator[WatchedFeed]:
    """A watched feed whose instruments are all LIVE."""
    async with (
        BinanceExchangeInformation(simulator_endpoints(simulator), CLOCK) as rest,
        feed_harness(tasks, simulator, venue, plan=plan) as feed,
        anyio.create_task_group() as own,
    ):
        status = AwaitableMarketStatus()
        watch = WatchLiveness(venue, status, ProbeBooks(rest, CLOCK), CLOCK)
        each = WatchedFeed(feed, watch, status)
        for run in (each.listen, each.drain):
            own.start_soon(run)
        own.start_soon(watch.run, feed.feed)
        for name in SYMBOLS:
            await status.wait_for_states(name, Liveness.LIVE)
        yield each
        own.cancel_scope.cancel()
