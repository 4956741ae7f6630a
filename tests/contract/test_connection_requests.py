"""Subscribe requests of a market data socket: contents, pace and refusals."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
from anyio import wait_all_tasks_blocked as settle
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.binance.streams import market_socket
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.binance.streams.subscriptions import STREAMS_PER_REQUEST
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.dial_budget import DIAL_SPACING_MS, dial_limit
from chimera_s1.domain.operations.reconnect import ReconnectPolicy
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    StreamRefused,
)
from tests.contract.feed_harness import FeedHarness, feed_harness
from tests.contract.raw_exchange import (
    PING,
    PONG,
    TEXT,
    RawExchange,
    book_ticker_message,
    raw_exchange,
    server_frame,
)
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

POLICY = ReconnectPolicy(Backoff(base_ms=10, max_wait_ms=50, jitter_ms=0), 3, scan_ms=60)
SPOT_INTERVAL_MS = 400
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
REFUSALS = {
    "flat": b'{"code":2,"msg":"Invalid request: unknown stream","id":%d}',
    "nested": b'{"error":{"code":2,"msg":"Invalid request: unknown stream"},"id":%d}',
}
REFUSED = "SUBSCRIBE refused by the venue: 2 Invalid request: unknown stream"


@pytest.fixture(autouse=True)
def _no_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw exchange does not answer them."""
    monkeypatch.setattr(market_socket, "PING_INTERVAL_MS", 86_400_000)


@asynccontextmanager
async def _fed(
    tasks: TaskGroup,
    exchange: RawExchange,
    clock: ManualClock,
    symbols: Sequence[str],
    *,
    per_connection: int = 200,
    gate: DialGate | None = None,
) -> AsyncIterator[FeedHarness]:
    """A feed that waits by *clock*, without jitter."""

    def steady(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, streams_per_connection=per_connection, policy=POLICY)

    with anyio.fail_after(TIMEOUT_S):
        async with feed_harness(
            tasks,
            exchange.addresses,
            Venue.SPOT,
            symbols=symbols,
            plan=steady,
            clock=clock,
            gate=gate,
        ) as feed:
            yield feed


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_name_costs_no_other_name_its_stream(
    tasks: TaskGroup, refusal: bytes
) -> None:
    """A refused request is repeated in halves; the name that is refused alone is reported."""
    clock = ManualClock()
    accepted = b'{"result":null,"id":%d}'
    replies = [refusal % 1, accepted % 2, refusal % 3, refusal % 4, accepted % 5]
    pieces = [server_frame(book_ticker_message(1)), *map(server_frame, replies)]
    async with (
        raw_exchange([*pieces, server_frame(book_ticker_message(2))]) as exchange,
        _fed(tasks, exchange, clock, ["BTCUSDT", "ETHUSDT", "NOUSDT"]) as feed,
    ):
        await feed.next_event(ConnectionOpened)
        for number in range(1, len(replies) + 1):
            while len(exchange.sent_by(0, TEXT)) < number:
                await settle()
                await clock.advance(SPOT_INTERVAL_MS)
                await exchange.until(lambda wanted=number: len(exchange.sent_by(0, TEXT)) >= wanted)  # type: ignore[misc] # a default binds early
            exchange.send_next()
            await settle()
        refused = await feed.next_event(StreamRefused)
        exchange.send_next()
        quotes = await feed.drain_until(lambda seen: bool(seen) and seen[-1].update_id == 2)
        requested = [msgspec.json.decode(text)["params"] for text in exchange.sent_by(0, TEXT)]

    btc, eth, no = (f"{name}@bookTicker" for name in ("btcusdt", "ethusdt", "nousdt"))
    assert requested == [[btc, eth, no], [btc], [eth, no], [eth], [no]]
    assert refused == StreamRefused("spot-0", Venue.SPOT, eth, REFUSED)
    assert [quote.update_id for quote in quotes] == [1, 2]
    assert (exchange.connections_accepted, feed.feed.counters.reconnects) == (1, 0)


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_connection_without_an_accepted_name_ends(tasks: TaskGroup, refusal: bytes) -> None:
    """The cause is the venue's, and the socket is dialled again."""
    clock = ManualClock()
    async with (
        raw_exchange(
            [server_frame(book_ticker_message(1)), server_frame(refusal % 1)],
            [server_frame(book_ticker_message(2))],
        ) as exchange,
        _fed(tasks, exchange, clock, ["BTCUSDT"]) as feed,
    ):
        await feed.next_event(ConnectionOpened)
        await exchange.wait_for_frame(TEXT)
        exchange.send_next()
        lost = await feed.next_event(ConnectionLost)
        await settle()
        await clock.advance(lost.retry_in_ms)
        await feed.next_event(ConnectionOpened)
        quotes = await feed.drain_until(lambda seen: bool(seen) and seen[-1].update_id == 2)

    assert lost.cause == REFUSED
    assert [quote.update_id for quote in quotes] == [1, 2]
    assert (exchange.connections_accepted, feed.feed.counters.reconnects) == (2, 1)


async def test_subscriptions_are_sent_at_the_pace_that_the_venue_allows(tasks: TaskGroup) -> None:
    """Spot ends a connection that sends more than 5 messages a second."""
    clock = ManualClock()
    symbols = [f"A{number}USDT" for number in range(2 * STREAMS_PER_REQUEST + 1)]
    pings = [server_frame(b"", PING)] * 3
    sent: list[int] = []
    async with (
        raw_exchange([b"", *pings]) as exchange,
        _fed(tasks, exchange, clock, symbols, per_connection=len(symbols)),
    ):
        await exchange.until(lambda: bool(exchange.sent_by(0, TEXT)))
        for number in range(1, 4):
            await settle()
            await clock.advance(SPOT_INTERVAL_MS - 1)
            exchange.send_next()
            # What was sent before the pong has arrived before it.
            await exchange.wait_for_frame(PONG, number)
            sent.append(len(exchange.sent_by(0, TEXT)))
            await clock.advance(1)
        requests = [msgspec.json.decode(text) for text in exchange.sent_by(0, TEXT)]

    assert sent == [1, 2, 3]
    names = [name for request in requests for name in request["params"]]
    assert names == [f"{symbol.lower()}@bookTicker" for symbol in symbols]


async def test_a_socket_is_dialled_again_after_the_wait_that_was_announced(
    tasks: TaskGroup,
) -> None:
    """Waits double up to the maximum; after the last retry comes FATAL, and dialling continues."""
    clock = ManualClock()
    dials: list[int] = []
    reported: list[tuple[type, float]] = []
    async with (
        raw_exchange([], handshake=UNAVAILABLE) as exchange,
        _fed(tasks, exchange, clock, ["BTCUSDT"]) as feed,
    ):
        for number in range(POLICY.retries_max + 2):
            lost = await feed.next_event(ConnectionLost, ConnectionFatal)
            wait_ms = lost.retry_in_ms if isinstance(lost, ConnectionLost) else POLICY.scan_ms
            reported.append((type(lost), wait_ms))
            await settle()
            await clock.advance(wait_ms - 1)
            dials.append(await _dials(exchange) - number)
            await clock.advance(1)

    retries = [(ConnectionLost, wait_ms) for wait_ms in (10, 20, 40)]
    assert reported == [*retries, (ConnectionFatal, 60), (ConnectionLost, 60)]
    assert dials == [1, 2, 3, 4, 5]


async def test_the_first_dials_of_a_venue_are_spread(tasks: TaskGroup) -> None:
    """Binance allows 300 dials in 5 minutes from one address."""
    clock = ManualClock()
    gate = DialGate(clock, VenueHold(), dial_limit(1))
    async with (
        raw_exchange([b""]) as exchange,
        _fed(tasks, exchange, clock, ["BTCUSDT", "ETHUSDT"], per_connection=1, gate=gate),
    ):
        await exchange.until(lambda: exchange.connections_accepted == 1)
        await settle()
        await clock.advance(DIAL_SPACING_MS - 1)
        early = await _dials(exchange)
        await clock.advance(1)
        await exchange.until(lambda: exchange.connections_accepted == 3)

    assert early == 1


async def _dials(exchange: RawExchange) -> int:
    """The dials so far, pending ones included: connections are accepted in order."""
    async with await anyio.connect_tcp("127.0.0.1", exchange.port) as own:
        await own.send(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: eA==\r\n\r\n")
        await own.receive()
        return exchange.connections_accepted - 1
