"""A feed watched as in the service: what consumers are told of it can be waited for."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.exchange_information import BinanceRest
from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.simulator.config import SimulatorAddresses
from chimera_s1.app.capabilities.market.probe_books import ProbeBooks
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import FeedEvent
from tests.contract.feed_harness import CLOCK, SYMBOLS, Rig, endpoints, rig
from tests.fakes.market_status import MemoryMarketStatus


class Told(MemoryMarketStatus):
    """A status that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._news = anyio.Event()

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        await super().append(venue, changes)
        self._news.set()
        self._news = anyio.Event()

    async def until(self, symbol: str, *states: Liveness) -> list[StatusChange]:
        """Wait until these *states* were told of *symbol*, last and in this order; all of them."""
        while True:
            found = [change for _, change in self.changes if change.symbol == symbol]
            if [change.state for change in found][-len(states) :] == list(states):
                return found
            await self._news.wait()


class Watched:
    """A feed, its watch, everything they said, and every quote."""

    def __init__(self, feed: Rig, watch: WatchLiveness, status: Told) -> None:
        self.rig = feed
        self.watch = watch
        self.status = status
        self.quotes: list[Quote] = []
        self.events: list[FeedEvent] = []
        self._news = anyio.Event()

    async def listen(self) -> None:
        async for event in self.rig.events:
            self.watch.listen(event)
            self.events.append(event)
            self._news.set()
            self._news = anyio.Event()

    async def drain(self) -> None:
        while True:
            await self.rig.feed.updated()
            quotes = self.rig.feed.drain()
            self.watch.observe(quotes)
            self.quotes += quotes

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait for events until *enough*."""
        while not enough():
            await self._news.wait()

    def of(self, kind: type[Any]) -> list[Any]:
        """Events of *kind* so far, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def dials(self) -> int:
        """Sockets the simulator has seen opened."""
        status = (await self.rig.control.get("/sim/status")).json()
        return int(status["venues"]["perp"]["connections_opened"])


@asynccontextmanager
async def watched(
    tasks: TaskGroup,
    simulator: SimulatorAddresses,
    plan: Callable[[FeedPlan], FeedPlan] = lambda plan: plan,
    venue: Venue = Venue.PERP,
) -> AsyncIterator[Watched]:
    """A watched feed whose instruments are all LIVE."""
    async with (
        BinanceRest(endpoints(simulator), CLOCK) as rest,
        rig(tasks, simulator, venue, plan=plan) as feed,
        anyio.create_task_group() as own,
    ):
        status = Told()
        watch = WatchLiveness(venue, status, ProbeBooks(rest, CLOCK), CLOCK)
        each = Watched(feed, watch, status)
        for run in (each.listen, each.drain):
            own.start_soon(run)
        own.start_soon(watch.run, feed.feed)
        for name in SYMBOLS:
            await status.until(name, Liveness.LIVE)
        yield each
        own.cancel_scope.cancel()
