"""A Binance feed connected to a simulator in the same process over real sockets."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import anyio
import httpx2
from anyio.abc import TaskGroup, TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.market_feed import BinanceMarketFeed, FeedPlan
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.read_pacer import ReadPacer
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.identifiers import Channel, InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.clock_skew import NO_OFFSET
from chimera_s1.domain.operations.dial_budget import DialLimit
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import FeedEvent
from chimera_s1.domain.ports.trading_sessions import ALWAYS_OPEN, TradingSessions
from tests.steady_time import SteadyClock
from tests.time_limits import TIMEOUT_S

CLOCK = SteadyClock()
QUICK_RECONNECT = ReconnectPolicy(
    Backoff(base_ms=10, max_wait_ms=50, jitter_ms=10), 3, scan_ms=50, healthy_ms=20
)
MANY_DIALS = DialLimit(1_000_000, reserved=0, spacing_ms=0)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
Event = TypeVar("Event", bound=FeedEvent)


class FeedHarness:
    """A feed, its events, and the simulator's control plane."""

    def __init__(
        self,
        feed: BinanceMarketFeed,
        events: MemoryObjectReceiveStream[FeedEvent],
        control: httpx2.AsyncClient,
    ) -> None:
        self.feed = feed
        self.events = events
        self.control = control

    async def next_event(self, *kinds: type[Event]) -> Event:
        """Wait for the next event of one of *kinds*."""
        async for event in self.events:
            if isinstance(event, kinds):
                return event
        raise AssertionError("the feed has ended")

    def pending_events(self) -> list[FeedEvent]:
        """The events not yet received by a test."""
        events: list[FeedEvent] = []
        with suppress(anyio.WouldBlock):
            while True:
                events.append(self.events.receive_nowait())
        return events

    async def drain_until(self, enough: Callable[[Sequence[Quote]], bool]) -> list[Quote]:
        """Drain update by update until *enough*."""
        quotes: list[Quote] = []
        while not enough(quotes):
            await self.feed.wait_for_update()
            quotes += self.feed.drain()
        return quotes

    async def inject_fault(self, fault: dict[str, Any]) -> None:
        (await self.control.post("/sim/faults", json=fault)).raise_for_status()

    async def fired_counts(self) -> list[int]:
        """How often each injected fault fired."""
        faults = (await self.control.get("/sim/faults")).raise_for_status().json()
        return [fault["fired"] for fault in faults["faults"]]


def simulator_endpoints(addresses: SimulatorAddresses) -> dict[Venue, Endpoints]:
    return {
        Venue.SPOT: Endpoints(addresses.spot_rest_url, addresses.spot_ws_url),
        Venue.PERP: Endpoints(addresses.perp_rest_url, addresses.perp_ws_url),
    }


@asynccontextmanager
async def feed_harness(
    tasks: TaskGroup,
    addresses: SimulatorAddresses,
    venue: Venue = Venue.PERP,
    *,
    symbols: Sequence[str] = SYMBOLS,
    plan: Callable[[FeedPlan], FeedPlan] = lambda plan: plan,
    clock: Clock = CLOCK,
    draw: Callable[[], float] = random.random,
    gate: DialGate | None = None,
    run: bool = True,
    sessions: TradingSessions = ALWAYS_OPEN,
) -> AsyncIterator[FeedHarness]:
    """A feed of *symbols* with window 0; it waits by *clock*, and runs if *run*."""
    event_sender, events = anyio.create_memory_object_stream[FeedEvent](10_000)
    default_plan = FeedPlan(
        venue,
        simulator_endpoints(addresses)[venue].ws_url,
        (Channel.BOOK_TICKER,),
        WindowMs(0),
        200,
        QUICK_RECONNECT,
    )
    pacer = ReadPacer(CLOCK, 5)
    feed = BinanceMarketFeed(
        plan(default_plan),
        clock=clock,
        gate=gate or DialGate(clock, VenueHold(), MANY_DIALS),
        pacer=pacer,
        draw=draw,
        clock_offset=lambda: NO_OFFSET,
        listener=event_sender.send_nowait,
        sessions=sessions,
    )
    instruments = [InstrumentId(venue, Symbol(name)) for name in symbols]
    running, ended = anyio.CancelScope(), anyio.Event()

    async def run_feed() -> None:
        with running:
            if run:
                await feed.run(instruments)
        ended.set()

    async with httpx2.AsyncClient(
        base_url=addresses.control_url, trust_env=False, timeout=TIMEOUT_S
    ) as control:
        tasks.start_soon(pacer.run)
        tasks.start_soon(run_feed)
        with event_sender, events:
            yield FeedHarness(feed, events, control)
            # The events of the end are received, too.
            running.cancel()
            await ended.wait()


async def stoppable_simulator(
    config: SimulatorConfig,
    *,
    task_status: TaskStatus[tuple[SimulatorAddresses, anyio.CancelScope]],
) -> None:
    """A simulator that the test can end before its own end."""
    with anyio.CancelScope() as running:
        async with anyio.create_task_group() as group:
            task_status.started((await group.start(Simulator(config, CLOCK).run), running))
