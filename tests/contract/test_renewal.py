"""Renewal: a socket is replaced before the venue cuts it, and no update is missed."""

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.binance.streams import market_socket
from chimera_s1.adapters.binance.streams.managed_connection import (
    OVERLAP_MS,
    RENEWAL_PAUSE_MS,
    SUCCESSOR_RETRY,
)
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import (
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
)
from tests.contract.feed_harness import CLOCK, SYMBOLS, FeedHarness, feed_harness
from tests.contract.raw_exchange import (
    CLOSE,
    TEXT,
    RawExchange,
    book_ticker_message,
    raw_exchange,
    server_frame,
)
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S

PAIR = ("BTCUSDT", "ETHUSDT")
SHUTDOWN = server_frame(b'{"e":"serverShutdown","E":1770123456789}')
ACKNOWLEDGED = server_frame(b'{"result":null,"id":1}')


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    """Slow enough that the simulator keeps a record of all it sent."""
    config = SimulatorConfig(symbols=SYMBOLS, rate=60.0)
    addresses: SimulatorAddresses = await tasks.start(Simulator(config, CLOCK).run)
    return addresses


async def missed(feed: FeedHarness, venue: Venue, quotes: list[Quote]) -> dict[str, set[int]]:
    """Update ids sent and never received, between the first and last received of each symbol."""
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


async def collect_until_renewed(feed: FeedHarness) -> list[Quote]:
    """Every quote until the successor has taken over, and some after that."""
    quotes: list[Quote] = []
    renewed = anyio.Event()

    async def watch() -> None:
        await feed.next_event(ConnectionRenewed)
        renewed.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        while not renewed.is_set():
            quotes += await feed.drain_until(lambda seen: len(seen) > 0)
        last = len(quotes)
        quotes += await feed.drain_until(lambda seen: len(seen) > 20)
    assert len(quotes) > last
    return quotes


@pytest.mark.parametrize("venue", Venue)
async def test_a_socket_near_its_age_limit_is_renewed_without_a_gap(
    tasks: TaskGroup, simulator: SimulatorAddresses, venue: Venue
) -> None:
    """Both sockets deliver for a while; every update is seen once, in order."""

    def young(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, renew_after_ms=300)

    async with feed_harness(tasks, simulator, venue, plan=young) as feed:
        await feed.next_event(ConnectionOpened)
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
    """`serverShutdown` starts a successor; if the cut comes first, it is already dialling."""
    async with feed_harness(tasks, simulator, Venue.SPOT) as feed:
        await feed.next_event(ConnectionOpened)
        await feed.inject_fault({"on": "ws:spot", "do": "shutdown"})
        lost_or_renewed = await feed.next_event(ConnectionRenewed, ConnectionLost)
        fired = await feed.fired_counts()

    assert fired == [1]
    if isinstance(lost_or_renewed, ConnectionLost):
        assert lost_or_renewed.retry_in_ms == 0.0


@pytest.mark.usefixtures("_no_time_limits")
@pytest.mark.parametrize(("draw", "age_ms"), [(0.0, 100_000), (0.5, 99_000)])
async def test_sockets_are_renewed_at_ages_that_differ(
    tasks: TaskGroup, draw: float, age_ms: int
) -> None:
    """All sockets of a start are equally old: together they would be a storm of dials."""

    def aging(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, renew_after_ms=100_000)

    clock = ManualClock()
    script = [server_frame(book_ticker_message(1)), server_frame(book_ticker_message(2))]
    with anyio.fail_after(TIMEOUT_S):
        async with (
            raw_exchange(script, [ACKNOWLEDGED]) as exchange,
            feed_harness(
                tasks,
                exchange.addresses,
                Venue.SPOT,
                symbols=PAIR,
                plan=aging,
                clock=clock,
                draw=lambda: draw,
            ) as feed,
        ):
            await until_update(feed, "BTCUSDT", 1)
            await clock.advance(age_ms - 1)
            exchange.send_next()
            await until_update(feed, "BTCUSDT", 2)
            assert exchange.connections_accepted == 1
            await clock.advance(1)
            await exchange.until(lambda: exchange.connections_accepted == 2)


@pytest.mark.usefixtures("_no_time_limits")
async def test_a_shutdown_that_the_successor_announces_renews_it_a_minute_later(
    tasks: TaskGroup,
) -> None:
    """No third socket is dialled while two overlap or right after; the request is not lost."""
    clock = ManualClock()
    old = [server_frame(book_ticker_message(1))]
    successor = [server_frame(book_ticker_message(1, symbol="ETHUSDT")) + SHUTDOWN]
    third = [server_frame(book_ticker_message(2, symbol="ETHUSDT"))]
    async with raw_feed(tasks, clock, old, successor, third) as (exchange, feed):
        await until_update(feed, "BTCUSDT", 1)
        feed.feed.renew("spot-0", "a test renews it")
        await until_update(feed, "ETHUSDT", 1)
        await clock.advance(OVERLAP_MS)
        first = await feed.next_event(ConnectionRenewed)
        await settle()
        await clock.advance(RENEWAL_PAUSE_MS - 1)
        assert exchange.connections_accepted == 2, "a venue may announce it on every socket"
        await clock.advance(1)
        await until_update(feed, "ETHUSDT", 2)
        await clock.advance(OVERLAP_MS)
        second = await feed.next_event(ConnectionRenewed)
        await exchange.until(lambda: exchange.closed == 2)

    assert (first.cause, second.cause) == (
        "a test renews it",
        "the venue announced a shutdown of this connection",
    )
    assert (exchange.connections_accepted, feed.feed.counters.reconnects) == (3, 0)


async def test_a_successor_ready_after_the_cut_is_a_reconnect_not_a_renewal(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """If the old socket ends before its successor delivers there is a gap, and no ws.renewed."""
    async with feed_harness(tasks, simulator, Venue.SPOT) as feed:
        await feed.next_event(ConnectionOpened)
        feed.feed.renew("spot-0", "a test wants it")
        feed.feed.reconnect("spot-0", "and then wants it gone")
        lost = await feed.next_event(ConnectionLost)
        await feed.next_event(ConnectionOpened)
        feed.feed.renew("spot-0", "once more")
        renewed = await feed.next_event(ConnectionRenewed)

    assert lost.cause == "and then wants it gone"
    assert renewed.cause == "once more"


@pytest.fixture
def _no_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw exchange answers no pings and may be slow."""
    monkeypatch.setattr(market_socket, "PING_INTERVAL_MS", 86_400_000)
    monkeypatch.setattr(market_socket, "FIRST_MESSAGE_TIMEOUT_S", 120)


@asynccontextmanager
async def raw_feed(
    tasks: TaskGroup, clock: ManualClock, *scripts: Sequence[bytes]
) -> AsyncIterator[tuple[RawExchange, FeedHarness]]:
    """A feed of `PAIR` on a raw exchange; it waits by *clock*."""
    with anyio.fail_after(TIMEOUT_S):
        async with (
            raw_exchange(*scripts) as exchange,
            feed_harness(tasks, exchange.addresses, Venue.SPOT, symbols=PAIR, clock=clock) as feed,
        ):
            yield exchange, feed


async def until_update(feed: FeedHarness, symbol: str, update_id: int) -> None:
    """Wait for an update that only one socket sends, and for its effects."""
    await feed.drain_until(
        lambda seen: (symbol, update_id) in {(q.instrument.symbol, q.update_id) for q in seen}
    )
    await settle()


async def dial_successor(feed: FeedHarness, exchange: RawExchange) -> None:
    """Renew the only socket, and wait until its successor has sent its requests."""
    await feed.next_event(ConnectionOpened)
    await until_update(feed, "BTCUSDT", 1)
    feed.feed.renew("spot-0", "a test renews it")
    await exchange.until(lambda: bool(exchange.sent_by(1, TEXT)))
    await settle()


@pytest.mark.usefixtures("_no_time_limits")
async def test_the_old_socket_delivers_until_the_overlap_is_over(tasks: TaskGroup) -> None:
    """An update that the successor misses comes on the old socket: before the successor has
    delivered, and for `OVERLAP_MS` after that. Then the old socket is closed.
    """
    clock = ManualClock()
    old = [
        server_frame(book_ticker_message(1)),
        server_frame(book_ticker_message(2)),
        server_frame(book_ticker_message(3)),
    ]
    successor = [ACKNOWLEDGED, b"", server_frame(book_ticker_message(1, symbol="ETHUSDT"))]
    async with raw_feed(tasks, clock, old, successor) as (exchange, feed):
        await dial_successor(feed, exchange)
        exchange.send_next()
        await until_update(feed, "BTCUSDT", 2)
        exchange.send_next()
        await feed.drain_until(lambda seen: len(seen) == 2)
        await settle()

        await clock.advance(OVERLAP_MS - 1)
        early = feed.pending_events()
        assert (exchange.connections_accepted, exchange.closed) == (2, 0)
        await clock.advance(1)
        renewed = await feed.next_event(ConnectionRenewed)
        await exchange.until(lambda: exchange.closed == 1)

    assert early == []
    assert renewed.cause == "a test renews it"
    assert feed.feed.counters.reconnects == 0


@pytest.mark.usefixtures("_no_time_limits")
async def test_a_successor_that_fails_is_dialled_again_while_the_old_socket_delivers(
    tasks: TaskGroup,
) -> None:
    """Not at once, and no update is lost meanwhile; the next successor renews the socket."""
    clock = ManualClock()
    old = [server_frame(book_ticker_message(1)), b"", server_frame(book_ticker_message(2))]
    failed = [ACKNOWLEDGED, server_frame(struct.pack(">H", 1001), CLOSE)]
    successor = [server_frame(book_ticker_message(1, symbol="ETHUSDT"))]
    async with raw_feed(tasks, clock, old, failed, successor) as (exchange, feed):
        await dial_successor(feed, exchange)
        exchange.send_next()
        await exchange.until(lambda: exchange.closed == 1)
        await settle()
        await clock.advance(SUCCESSOR_RETRY.base_ms - 1)
        exchange.send_next()
        await until_update(feed, "BTCUSDT", 2)
        assert (exchange.connections_accepted, feed.feed.report().delivering) == (2, 1)

        await clock.advance(1)
        await until_update(feed, "ETHUSDT", 1)
        await clock.advance(OVERLAP_MS)
        reported = feed.pending_events()

    assert reported == [ConnectionRenewed("spot-0", Venue.SPOT, "a test renews it")]
    assert feed.feed.counters.reconnects == 0
