"""
Renewal: a socket is replaced before the venue cuts it, and no update is missed.
"""

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.feed import FeedPlan
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import (
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
)
from tests.contract.feed_rig import CLOCK, SYMBOLS, Rig, rig


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    """Slow enough that the simulator remembers all it sent."""
    config = SimulatorConfig(symbols=SYMBOLS, rate=60.0)
    addresses: SimulatorAddresses = await tasks.start(Simulator(config, CLOCK).run)
    return addresses


async def missed(feed: Rig, venue: Venue, quotes: list[Quote]) -> dict[str, set[int]]:
    """Update ids between our first and last of each symbol that were sent and never seen."""
    gone: dict[str, set[int]] = {}
    for symbol in SYMBOLS:
        reply = (await feed.control.get(f"/sim/quotes/{venue.value}/{symbol}")).json()
        stream = f"{symbol.lower()}@bookTicker"
        sent = {f["data"]["u"] for f in reply["frames"] if f["stream"] == stream}
        seen = {quote.update_id for quote in quotes if quote.instrument.symbol == symbol}
        between = {u for u in sent if min(seen) <= u <= max(seen)}
        assert between & seen, "the simulator remembers none of what we saw"
        gone[symbol] = between - seen
    return gone


async def collect_until_renewed(feed: Rig) -> list[Quote]:
    """Every quote until the successor has taken over, and some after that."""
    quotes: list[Quote] = []
    renewed = anyio.Event()

    async def watch() -> None:
        await feed.told(ConnectionRenewed)
        renewed.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        while not renewed.is_set():
            quotes += await feed.quotes_until(lambda seen: len(seen) > 0)
        last = len(quotes)
        quotes += await feed.quotes_until(lambda seen: len(seen) > 20)
    assert len(quotes) > last
    return quotes


@pytest.mark.parametrize("venue", Venue)
async def test_a_socket_near_its_age_limit_is_renewed_without_a_gap(
    tasks: TaskGroup, simulator: SimulatorAddresses, venue: Venue
) -> None:
    """Both sockets deliver for a while; every update is seen once, in order."""

    def young(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, renew_after_ms=300)

    async with rig(tasks, simulator, venue, plan=young) as feed:
        await feed.told(ConnectionOpened)
        quotes = await collect_until_renewed(feed)
        gone = await missed(feed, venue, quotes)

    assert {symbol: set() for symbol in SYMBOLS} == gone
    for symbol in SYMBOLS:
        ids = [quote.update_id for quote in quotes if quote.instrument.symbol == symbol]
        assert sorted(set(ids)) == ids
    assert feed.feed.counters.reconnects == 0
    assert feed.feed.counters.dropped.get("stale_update_id", 0) > 0, "they never overlapped"


async def test_an_announced_shutdown_renews_the_socket(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """`serverShutdown` makes a successor; where the cut comes first, it is already on its way."""
    async with rig(tasks, simulator, Venue.SPOT) as feed:
        await feed.told(ConnectionOpened)
        await feed.inject({"on": "ws:spot", "do": "shutdown"})
        lost_or_renewed = await feed.told(ConnectionRenewed, ConnectionLost)
        fired = await feed.fired()

    assert fired == [1]
    if isinstance(lost_or_renewed, ConnectionLost):
        assert lost_or_renewed.wait_ms == 0.0


async def test_a_successor_that_comes_after_the_cut_has_renewed_nothing(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """Where the old socket ends before its successor delivers, there is a gap: no ws.renewed."""
    async with rig(tasks, simulator, Venue.SPOT) as feed:
        await feed.told(ConnectionOpened)
        feed.feed.renew("spot-0", "a test wants it")
        feed.feed.remake("spot-0", "and then wants it gone")
        lost = await feed.told(ConnectionLost)
        await feed.told(ConnectionOpened)
        feed.feed.renew("spot-0", "once more")
        renewed = await feed.told(ConnectionRenewed)

    assert lost.cause == "and then wants it gone"
    assert renewed.cause == "once more"
