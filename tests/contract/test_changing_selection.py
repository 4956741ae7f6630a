"""A feed whose selection changes: streams come and go, and other connections are not touched."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.binance.streams.ping_log import PING_INTERVAL_MS
from chimera_s1.adapters.binance.streams.subscriptions import message_interval_ms
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FatalEnded,
    StreamRefused,
    StreamsChanged,
)
from tests.contract.feed_harness import CLOCK, FeedHarness, feed_harness
from tests.contract.raw_exchange import (
    TEXT,
    RawExchange,
    book_ticker_message,
    raw_exchange,
    server_frame,
)
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"


def perps(*names: str) -> list[InstrumentId]:
    return [InstrumentId(Venue.PERP, Symbol(name)) for name in names]


def spots(*names: str) -> list[InstrumentId]:
    return [InstrumentId(Venue.SPOT, Symbol(name)) for name in names]


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    addresses: SimulatorAddresses = await tasks.start(
        Simulator(SimulatorConfig(symbols=SYMBOLS, rate=2_000.0), CLOCK).run
    )
    return addresses


@asynccontextmanager
async def fed(
    tasks: TaskGroup, simulator: SimulatorAddresses, *symbols: str, per_connection: int = 2
) -> AsyncIterator[FeedHarness]:
    def small(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, streams_per_connection=per_connection)

    with anyio.fail_after(TIMEOUT_S):
        async with feed_harness(tasks, simulator, symbols=symbols, plan=small) as feed:
            yield feed


async def sockets(feed: FeedHarness) -> dict[str, int]:
    """The simulator's names of the open perp connections, with their subscriptions; a name is
    used once.
    """
    reply = (await feed.control.get("/sim/status")).raise_for_status().json()
    return {each["on"]: each["subscriptions"] for each in reply["venues"]["perp"]["open"]}


async def sockets_when(
    feed: FeedHarness, enough: Callable[[dict[str, int]], bool]
) -> dict[str, int]:
    """The open connections once *enough* is true; quotes are drained meanwhile."""
    while not enough(found := await sockets(feed)):
        await feed.drain_until(lambda seen: len(seen) > 0)
    return found


async def quoted(feed: FeedHarness, *names: str) -> None:
    """Return once each of *names* has a quote that was not drained before."""
    wanted = set(perps(*names))
    await feed.drain_until(lambda seen: wanted <= {quote.instrument for quote in seen})


async def test_a_listing_is_subscribed_and_no_socket_is_dialled_again(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """It goes to the connection that has room."""
    async with fed(tasks, simulator, "BTCUSDT", "ETHUSDT", "SOLUSDT") as feed:
        await quoted(feed, "BTCUSDT", "ETHUSDT", "SOLUSDT")
        before = await sockets(feed)
        feed.feed.select(perps("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"))
        changed = await feed.next_event(StreamsChanged)
        await quoted(feed, "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
        after = await sockets(feed)
        report = feed.feed.report()

    keys = tuple((each, "binance.perp.bookTicker") for each in perps("SOLUSDT", "XRPUSDT"))
    assert changed == StreamsChanged("perp-1", Venue.PERP, keys)
    assert (list(before.values()), list(after.values())) == ([2, 1], [2, 2])
    assert after.keys() == before.keys()
    assert (report.instruments, report.connections, report.delivering) == (4, 2, 2)
    assert feed.feed.counters.reconnects == 0


async def test_a_full_connection_is_followed_by_a_new_one(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    async with fed(tasks, simulator, "BTCUSDT", "ETHUSDT") as feed:
        await quoted(feed, "BTCUSDT", "ETHUSDT")
        before = await sockets(feed)
        feed.feed.select(perps("BTCUSDT", "ETHUSDT", "SOLUSDT"))
        await quoted(feed, "BTCUSDT", "ETHUSDT", "SOLUSDT")
        after = await sockets(feed)

    assert before.keys() < after.keys()
    assert sorted(after.values()) == [1, 2]


async def test_a_delisting_is_unsubscribed_and_forgotten(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """Its connection goes on with the others; one that is left without streams is closed."""
    async with fed(tasks, simulator, *SYMBOLS) as feed:
        await quoted(feed, *SYMBOLS)
        before = await sockets(feed)
        feed.feed.select(perps("ETHUSDT", "SOLUSDT", "XRPUSDT"))
        changes = [await feed.next_event(StreamsChanged) for _ in range(2)]
        later = await feed.drain_until(lambda seen: len(seen) > 50)
        after = await sockets_when(feed, lambda found: sum(found.values()) == 3)
        report = feed.feed.report()

    assert [(each.connection, len(each.streams)) for each in changes] == [
        ("perp-0", 1),
        ("perp-2", 0),
    ]
    assert {q.instrument for q in later} <= set(perps("ETHUSDT", "SOLUSDT", "XRPUSDT"))
    assert after.keys() < before.keys()
    assert (report.connections, report.delivering) == (2, 2)
    assert feed.feed.counters.unreadable == {}, "a frame of a removed stream counts as a defect"


async def test_everything_may_go_and_come_back(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    async with fed(tasks, simulator, "BTCUSDT", "ETHUSDT") as feed:
        await quoted(feed, "BTCUSDT", "ETHUSDT")
        feed.feed.select([])
        empty = feed.feed.report()
        feed.feed.select(perps("ETHUSDT"))
        await quoted(feed, "ETHUSDT")

    assert (empty.instruments, empty.connections) == (0, 0)


async def test_a_change_while_a_connection_is_lost_holds_after_it(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """The next socket subscribes what is selected then."""
    async with fed(tasks, simulator, "BTCUSDT", "ETHUSDT", per_connection=9) as feed:
        await quoted(feed, "BTCUSDT", "ETHUSDT")
        await feed.inject_fault({"on": "ws:perp", "do": "disconnect"})
        await feed.next_event(ConnectionLost)
        feed.feed.select(perps("ETHUSDT", "SOLUSDT"))
        await feed.next_event(ConnectionOpened)
        quotes = await feed.drain_until(lambda seen: len({q.instrument for q in seen}) == 2)
        open_sockets = await sockets(feed)
        fired = await feed.fired_counts()

    assert fired == [1]
    assert {quote.instrument for quote in quotes} == set(perps("ETHUSDT", "SOLUSDT"))
    assert list(open_sockets.values()) == [2]


async def test_a_renewed_socket_has_the_selection_of_its_time(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """A change during the overlap of two sockets reaches both."""
    async with fed(tasks, simulator, "BTCUSDT", "ETHUSDT", per_connection=9) as feed:
        await quoted(feed, "BTCUSDT", "ETHUSDT")
        before = await sockets(feed)
        feed.feed.renew("perp-0", "the test asks for it")
        await sockets_when(feed, lambda found: len(found) == 2)
        feed.feed.select(perps("ETHUSDT", "SOLUSDT"))
        await quoted(feed, "ETHUSDT", "SOLUSDT")
        successor = await sockets_when(feed, lambda found: not before.keys() & found.keys())
        await quoted(feed, "ETHUSDT", "SOLUSDT")

    assert list(successor.values()) == [2]
    assert feed.feed.counters.reconnects == 0


async def test_a_fatal_connection_that_is_not_needed_any_more_has_recovered(
    tasks: TaskGroup,
) -> None:
    """Or the trading mode would stay MANAGE_ONLY for ever."""
    async with (
        raw_exchange([], handshake=UNAVAILABLE) as exchange,
        raw_fed(tasks, exchange, "BTCUSDT") as feed,
    ):
        fatal = await feed.next_event(ConnectionFatal)
        feed.feed.select([])
        ended = await feed.next_event(FatalEnded)

    assert ended == FatalEnded(fatal.connection, Venue.SPOT)


@asynccontextmanager
async def raw_fed(
    tasks: TaskGroup, exchange: RawExchange, *symbols: str, clock: Clock = CLOCK
) -> AsyncIterator[FeedHarness]:
    addresses = exchange.addresses
    with anyio.fail_after(TIMEOUT_S):
        async with feed_harness(tasks, addresses, Venue.SPOT, symbols=symbols, clock=clock) as feed:
            yield feed


def requests(exchange: RawExchange) -> list[tuple[str, list[str]]]:
    decoded = [msgspec.json.decode(text) for text in exchange.sent_by(0, TEXT)]
    return [(each["method"], each["params"]) for each in decoded]


@pytest.mark.parametrize("lost", ["SUBSCRIBE", "UNSUBSCRIBE"])
async def test_a_command_that_is_lost_is_sent_again(tasks: TaskGroup, lost: str) -> None:
    """A request that the venue does not acknowledge, on the same socket."""
    clock = ManualClock()
    acknowledged = server_frame(b'{"result":null,"id":1}') + server_frame(book_ticker_message(1))
    async with (
        raw_exchange([b"", acknowledged]) as exchange,
        raw_fed(tasks, exchange, "BTCUSDT", "ETHUSDT", clock=clock) as feed,
    ):
        await exchange.until(lambda: len(requests(exchange)) == 1)
        exchange.send_next()
        await feed.next_event(ConnectionOpened)
        after = ("BTCUSDT", "ETHUSDT", "SOLUSDT") if lost == "SUBSCRIBE" else ("BTCUSDT",)
        feed.feed.select(spots(*after))
        for number in (2, 3, 4):
            await settle()
            await clock.advance(message_interval_ms(Venue.SPOT))
            await exchange.until(lambda wanted=number: len(requests(exchange)) == wanted)  # type: ignore[misc] # a default binds early
            await clock.advance(2 * PING_INTERVAL_MS)
        repeated = requests(exchange)[1:]
        connections = exchange.connections_accepted

    name = "solusdt@bookTicker" if lost == "SUBSCRIBE" else "ethusdt@bookTicker"
    assert repeated == [(lost, [name])] * 3
    assert connections == 1


async def test_a_refused_subscribe_costs_only_its_stream(tasks: TaskGroup) -> None:
    """The venue's limit of streams, for example: the others go on, on the same socket."""
    refusal = b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":2}'
    pieces: Sequence[bytes] = [
        server_frame(book_ticker_message(1)),
        server_frame(refusal),
        server_frame(book_ticker_message(2)),
    ]
    async with (
        raw_exchange(pieces) as exchange,
        raw_fed(tasks, exchange, "BTCUSDT") as feed,
    ):
        await feed.next_event(ConnectionOpened)
        feed.feed.select(spots("BTCUSDT", "SOLUSDT"))
        await exchange.until(lambda: len(requests(exchange)) == 2)
        exchange.send_next()
        refused = await feed.next_event(StreamRefused)
        exchange.send_next()
        quotes: list[Quote] = await feed.drain_until(
            lambda seen: bool(seen) and seen[-1].update_id == 2
        )
        connections = exchange.connections_accepted

    assert refused.stream == "solusdt@bookTicker"
    assert {quote.instrument for quote in quotes} == set(spots("BTCUSDT"))
    assert (connections, feed.feed.counters.reconnects) == (1, 0)


class AllClosed:
    """Implements `TradingSessions` at the weekend."""

    def is_open(self, instrument: InstrumentId, now_ms: int) -> bool:  # noqa: ARG002
        return False


async def test_a_socket_whose_markets_are_closed_needs_no_data(tasks: TaskGroup) -> None:
    """The acknowledged subscription is enough: else it would be dialled again all weekend."""
    acknowledged = server_frame(b'{"result":null,"id":1}')
    with anyio.fail_after(TIMEOUT_S):
        async with (
            raw_exchange([b"", acknowledged]) as exchange,
            feed_harness(
                tasks,
                exchange.addresses,
                Venue.SPOT,
                symbols=["BTCUSDT"],
                sessions=AllClosed(),
            ) as feed,
        ):
            await exchange.until(lambda: len(requests(exchange)) == 1)
            before = feed.feed.report()
            exchange.send_next()
            await feed.next_event(ConnectionOpened)
            after = feed.feed.report()

    assert (before.delivering, after.delivering) == (0, 1)
