"""Listings and delistings as the venue announces them, and the feed that follows them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx2
import msgspec
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.binance.instruments.source import BinanceInstrumentSource
from chimera_s1.adapters.binance.listing_news import CONNECTION, BinanceListingNews
from chimera_s1.adapters.binance.streams.dial_gate import DialGate
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.app.capabilities.instruments.follow_registry import FollowRegistry
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.run_syncs import RunSyncs
from chimera_s1.app.capabilities.instruments.sync_instruments import SyncInstruments
from chimera_s1.app.capabilities.market.constant_choice import ConstantChoice
from chimera_s1.app.capabilities.market.serve_feed import ServeFeed
from chimera_s1.app.capabilities.operations.hold_symbols import HoldSymbols
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import SINGLE_SHARD, parse_symbol_filter
from chimera_s1.domain.market.selection_change import NOT_TRADING
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.schedule import HOUR_MS
from chimera_s1.domain.operations.venue_hold import VenueHold
from chimera_s1.domain.ports.listing_news import ListingNotice
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FeedEvent,
)
from tests.contract.feed_harness import (
    CLOCK,
    MANY_DIALS,
    QUICK_RECONNECT,
    FeedHarness,
    feed_harness,
    simulator_endpoints,
)
from tests.contract.raw_exchange import TEXT, raw_exchange, server_frame
from tests.fakes.instrument_registry import FakeInstrumentRegistry
from tests.time_limits import TIMEOUT_S
from tests.unit.app.capabilities.market.test_serve_feed import Follower

SYMBOLS = ("BTCUSDT", "ETHUSDT")
NEW = InstrumentId(Venue.PERP, Symbol("NEWUSDT"))
ACKNOWLEDGED = server_frame(b'{"result":null,"id":1}')


def message(data: bytes) -> bytes:
    return server_frame(b'{"stream":"!contractInfo","data":%b}' % data)


class Listener:
    """News of a venue, as they come."""

    def __init__(self, ws_url: str) -> None:
        self.unusable: list[UnusableRow] = []
        self._sender, self.notices = anyio.create_memory_object_stream[ListingNotice](1_000)
        self._event_sender, self._events = anyio.create_memory_object_stream[FeedEvent](1_000)
        self.on_notice: list[Callable[[ListingNotice], None]] = [self._sender.send_nowait]
        self.news = BinanceListingNews(
            ws_url,
            policy=QUICK_RECONNECT,
            clock=CLOCK,
            gate=DialGate(CLOCK, VenueHold(), MANY_DIALS),
            draw=lambda: 0.5,
            listener=self._event_sender.send_nowait,
            rows=RowReader(self.unusable.append),
        )

    async def run(self) -> None:
        await self.news.run(self._notify)

    def _notify(self, notice: ListingNotice) -> None:
        for each in self.on_notice:
            each(notice)

    async def event(self, kind: type[FeedEvent]) -> FeedEvent:
        async for event in self._events:
            assert not isinstance(event, ConnectionFatal), "listings must not stop the trading"
            if isinstance(event, kind):
                return event
        raise AssertionError("the news have ended")

    def close(self) -> None:
        for each in (self._sender, self.notices, self._event_sender, self._events):
            each.close()


@asynccontextmanager
async def listening(ws_url: str) -> AsyncIterator[Listener]:
    listener = Listener(ws_url)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as own:
            own.start_soon(listener.run)
            try:
                yield listener
            finally:
                own.cancel_scope.cancel()
    listener.close()


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    config = SimulatorConfig(symbols=SYMBOLS, rate=2_000.0)
    addresses: SimulatorAddresses = await tasks.start(Simulator(config, CLOCK).run)
    return addresses


async def post(addresses: SimulatorAddresses, path: str, body: dict[str, object]) -> None:
    async with httpx2.AsyncClient(
        base_url=addresses.control_url, trust_env=False, timeout=TIMEOUT_S
    ) as control:
        (await control.post(path, json=body)).raise_for_status()


async def list_symbol(addresses: SimulatorAddresses, **more: object) -> None:
    await post(addresses, "/sim/listings", {"venue": "perp", "symbol": "NEWUSDT", **more})


async def test_a_listing_and_each_change_of_it_is_a_notice(simulator: SimulatorAddresses) -> None:
    """Unknown words are kept as they are; COIN-M contracts on the stream are not ours."""
    async with listening(simulator.perp_ws_url) as listener:
        await listener.event(ConnectionOpened)
        coin = {"venue": "perp", "symbol": "SOLUSD_PERP", "coin_margined": True, "quote": "USD"}
        await post(simulator, "/sim/listings", coin)
        await list_symbol(simulator, status="PENDING_TRADING")
        changes: list[dict[str, object]] = [
            {"status": "TRADING"},
            {"delivery_ms": 1_900_000_000_000},
            {"status": "ODD"},
        ]
        for change in changes:
            await post(simulator, "/sim/symbols/perp/NEWUSDT", change)
        notices = [await listener.notices.receive() for _ in range(4)]
        report = listener.news.report()

    assert {each.instrument for each in notices} == {NEW}
    assert [each.status for each in notices] == ["PENDING_TRADING", "TRADING", "TRADING", "ODD"]
    assert notices[2].delivery_ms == 1_900_000_000_000
    assert notices[0].contract_type == "PERPETUAL"
    assert all(each.ts > 0 for each in notices)
    assert (report.connected, report.level, report.notices) == (True, Level.GREEN, 4)


async def test_a_lost_connection_is_dialled_again(simulator: SimulatorAddresses) -> None:
    async with listening(simulator.perp_ws_url) as listener:
        opened = await listener.event(ConnectionOpened)
        await post(simulator, "/sim/faults", {"on": "ws:perp", "do": "disconnect"})
        await listener.event(ConnectionLost)
        lost = listener.news.report()
        await listener.event(ConnectionOpened)
        await list_symbol(simulator)
        notice = await listener.notices.receive()

    assert opened == ConnectionOpened(CONNECTION, Venue.PERP, ())
    assert (lost.connected, lost.level) == (False, Level.YELLOW)
    assert notice.instrument == NEW


async def test_what_cannot_be_read_costs_no_other_notice() -> None:
    """Bad messages are counted, and named once; the stream may carry a list, too."""
    good = b'{"e":"contractInfo","E":7,"s":"NEWUSDT","ct":"PERPETUAL","cs":"TRADING","st":1}'
    bad = [
        b'{"e":"contractInfo","cs":"TRADING"}',
        b'{"e":"contractInfo","s":"A B","cs":"TRADING"}',
        b'{"e":"contractInfo","s":7,"cs":"TRADING"}',
        b'{"e":"contractInfo","s":"AUSDT","dt":"soon"}',
        b"null",
        b"[" * 100_000,
        b"[%b,7]" % good,
    ]
    pieces = [ACKNOWLEDGED, b"".join([*(message(each) for each in bad), message(good)])]
    async with raw_exchange(pieces) as exchange, listening(exchange.url) as listener:
        await exchange.wait_for_frame(TEXT)
        await listener.event(ConnectionOpened)
        exchange.send_next()
        notices = [await listener.notices.receive() for _ in range(2)]
        report = listener.news.report()

    assert notices == [ListingNotice(NEW, "TRADING", "PERPETUAL", None, 7)] * 2
    assert (report.connected, report.notices, report.unusable) == (True, 2, 6)
    assert {row.source for row in listener.unusable} == {"stream !contractInfo"}


async def test_a_stream_that_is_silent_for_days_is_connected() -> None:
    """The subscription is acknowledged, on the only path that delivers it."""
    async with raw_exchange([b"", ACKNOWLEDGED]) as exchange, listening(exchange.url) as own:
        request = msgspec.json.decode(await exchange.wait_for_frame(TEXT))
        before = own.news.report()
        exchange.send_next()
        await own.event(ConnectionOpened)
        after = own.news.report()

    assert (request["method"], request["params"]) == ("SUBSCRIBE", ["!contractInfo"])
    assert not before.connected
    assert "not connected" in before.sentence
    assert after.connected


async def perp_sockets(feed: FeedHarness) -> dict[str, int]:
    reply = (await feed.control.get("/sim/status")).raise_for_status().json()
    return {each["on"]: each["subscriptions"] for each in reply["venues"]["perp"]["open"]}


async def sync_when_announced(syncs: RunSyncs) -> None:
    """As the job does."""
    while True:
        version = syncs.notices.version
        result = await syncs.sync_announced()
        wait_ms = result.again_ms or HOUR_MS
        await syncs.notices.wait_after(CLOCK, wait_ms, version=version)


@asynccontextmanager
async def followed(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> AsyncIterator[tuple[FeedHarness, Follower]]:
    """A feed of all symbols that follows the simulator's listings."""
    follower, endpoints = Follower(), simulator_endpoints(simulator)
    async with (
        BinanceInstrumentSource(endpoints, weight_budgets(CLOCK)) as source,
        listening(simulator.perp_ws_url) as listener,
        feed_harness(tasks, simulator, run=False) as feed,
        anyio.create_task_group() as own,
    ):
        await listener.event(ConnectionOpened)
        catalog, changes, registry = InstrumentCatalog(), ChangeSignal(), FakeInstrumentRegistry()
        sync = SyncInstruments(
            source,
            registry,
            clock=CLOCK,
            record=lambda *_: None,
            risk_limits=None,
            on_refused=lambda _: None,
            wake_readers=changes.notify,
        )
        syncs = RunSyncs(sync, catalog, (Venue.PERP,))
        follow = FollowRegistry(
            registry,
            source,
            catalog,
            venues=(Venue.PERP,),
            clock=CLOCK,
            changes=changes,
            retries=QUICK_RECONNECT.backoff,
        )
        listener.on_notice.append(syncs.on_notice)
        serving = ServeFeed(
            feed.feed,
            catalog,
            ConstantChoice(parse_symbol_filter("*", Venue)),
            held=HoldSymbols(),
            shard=SINGLE_SHARD,
            follower=follower,
            report_unknown_contract=lambda *_: None,
            report_kept=lambda _: None,
        )
        own.start_soon(follow.run)
        own.start_soon(sync_when_announced, syncs)
        own.start_soon(serving.run)
        yield feed, follower
        own.cancel_scope.cancel()


async def quoted(feed: FeedHarness, *names: str) -> None:
    wanted = {InstrumentId(Venue.PERP, Symbol(name)) for name in names}
    await feed.drain_until(lambda seen: wanted <= {quote.instrument for quote in seen})


async def test_a_listed_symbol_is_quoted_and_a_delisted_one_unsubscribed(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """By themselves, and on the sockets that are open."""
    async with followed(tasks, simulator) as (feed, follower):
        await quoted(feed, *SYMBOLS)
        before = await perp_sockets(feed)
        await list_symbol(simulator, status="PENDING_TRADING")
        await post(simulator, "/sim/symbols/perp/NEWUSDT", {"status": "TRADING"})
        await quoted(feed, *SYMBOLS, "NEWUSDT")
        listed = await perp_sockets(feed)
        await post(simulator, "/sim/symbols/perp/NEWUSDT", {"status": "SETTLING"})
        while await perp_sockets(feed) != before:
            await feed.drain_until(lambda seen: len(seen) > 0)
        await quoted(feed, *SYMBOLS)

    assert listed.keys() == before.keys()
    assert sorted(listed.values()) == [1, 3]
    assert follower.added[-1] == NEW
    assert follower.removed == [(NEW, NOT_TRADING)]
    assert feed.feed.counters.reconnects == 0
