"""One of three masters fails: the streams of the other two have every window and every update.

No call ever times out here, so that anything that waits for the failing node waits for ever. The
windows are closed by hand, the next one when the quotes of the healthy nodes are acknowledged.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import chain
from operator import attrgetter
from pathlib import Path

import anyio
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient, close_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import HOST, ServerProcess
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.operations.health import Level
from tests.contract.quote_stores import (
    INDEPENDENT_NODES,
    MAXLEN,
    REDIS_PUBLISHERS,
    QuoteStore,
    fresh_instruments,
    make_quote,
    redis_store,
    stored_bids,
)
from tests.contract.redis_cluster import Addresses
from tests.contract.tcp_proxy import TcpProxy
from tests.contract.test_quote_publisher_faults import served_by
from tests.fakes.manual_clock import ManualClock
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.quote_admission import AdmitAll
from tests.time_limits import TIMEOUT_S

ROUNDS = 4
EVERY_NODE, HEALTHY = (0, 1, 2), (1, 2)
QUOTE_ORDER = attrgetter("update_id")
FOREVER_S = 600.0
OPTIONS = ("--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")


class Publishing:
    """One window's `PublishQuotes` on a cluster; the first instrument is on the failing node."""

    def __init__(self, window: int, publisher: NodeQuotePublisher) -> None:
        names = fresh_instruments(60)
        self.instruments = [served_by(third, names)[0] for third in range(3)]
        self.offered: list[Quote] = []
        self.clock = ManualClock()
        self._window = window
        self._feed = ScriptedMarketFeed(Venue.SPOT, every_update=window == 0)
        self.acknowledged: set[Quote] = set()
        self._changed = anyio.Event()
        self.publishing = PublishQuotes(
            [self._feed],
            publisher,
            QuoteBoard(),
            clock=self.clock,
            window=WindowMs(window),
            admission=AdmitAll(),
            observe_latency=lambda _: None,
            acknowledged_watchers=[self._observe],
        )

    async def publish_round(self, nodes: Sequence[int]) -> None:
        """A quote of each stream, in its own window; until those on *nodes* are acknowledged."""
        quotes = [make_quote(each, self.clock.now_ms()) for each in self.instruments]
        for quote in quotes:
            self._feed.receive(quote)
        self.offered += quotes
        wanted = {quotes[node] for node in nodes}
        with anyio.fail_after(TIMEOUT_S):
            await self.clock.advance(self._window or 10)
            while not wanted <= self.acknowledged:
                self._changed = anyio.Event()
                await self._changed.wait()

    def _observe(self, quotes: Sequence[Quote]) -> None:
        self.acknowledged.update(quotes)
        self._changed.set()


async def play_rounds(windows: Sequence[Publishing]) -> None:
    """All windows at once; nothing on the first node is acknowledged meanwhile."""

    async def play(each: Publishing) -> None:
        first = len(each.offered)
        for _ in range(ROUNDS):
            await each.publish_round(HEALTHY)
        late = each.offered[first :: len(EVERY_NODE)]
        assert len(late) == ROUNDS
        assert not each.acknowledged & set(late), "the fault had no effect"

    async with anyio.create_task_group() as tasks:
        for each in windows:
            tasks.start_soon(play, each)


class Fault(Struct, frozen=True):
    name: str
    begin: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


def faults(node: ServerProcess, proxy: TcpProxy) -> list[Fault]:
    """Of *node*, which clients reach through *proxy*; the last one is for ever."""

    async def nothing() -> None:
        return

    async def pause() -> None:
        node.pause()

    async def resume() -> None:
        node.resume()

    async def swallow() -> None:
        proxy.black_hole()

    async def release() -> None:
        proxy.release()

    return [
        Fault("SIGSTOP", pause, resume),
        Fault("black hole", swallow, release),
        Fault("SIGKILL", node.kill, nothing),
    ]


@asynccontextmanager
async def publishing(
    window: int, addresses: Addresses, behind: dict[tuple[str, int], tuple[str, int]]
) -> AsyncIterator[Publishing]:
    client = ClusterClient(
        addresses,
        address_remap=lambda address: behind.get(address, address),
        decode_responses=True,
        protocol=2,
    )
    node_publisher = NodeQuotePublisher(
        client,
        maxlen=MAXLEN,
        window=WindowMs(window),
        clock=SystemClock(),
        draw=lambda: 0.5,
        timeout_s=FOREVER_S,
        reply_timeout_s=FOREVER_S,
    )
    try:
        async with client, node_publisher, anyio.create_task_group() as tasks:
            made = Publishing(window, node_publisher)
            tasks.start_soon(made.publishing.run)
            await made.clock.wait_for_sleeper()
            await made.publish_round(EVERY_NODE)
            yield made
            tasks.cancel_scope.cancel()
    finally:
        await close_cluster(client)


async def test_streams_of_healthy_masters_have_no_hole(redis_binary: Path, tmp_path: Path) -> None:
    """Windows of 0, 50 and 1000 ms; a master that is stopped, unreachable without a refusal, or
    killed. It is reported as the only failing one, with its address.
    """
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, options=OPTIONS)
        )
        failing = redis.nodes[0]
        listener = await stack.enter_async_context(await anyio.create_tcp_listener(local_host=HOST))
        proxy = TcpProxy(listener)
        proxying = await stack.enter_async_context(anyio.create_task_group())
        proxying.start_soon(proxy.serve, failing.address)
        behind = {(HOST, failing.address.port): (HOST, proxy.address.port)}
        windows = [
            await stack.enter_async_context(publishing(window, redis.addresses, behind))
            for window in (0, 50, 1000)
        ]
        reading = await stack.enter_async_context(redis_store(redis.addresses, "official"))
        # redis-py asks any node for the list of commands before its first one.
        await check_healthy_streams(windows[0], reading)
        stack.callback(resume_if_running, failing)
        stack.callback(proxy.release)

        for fault in faults(failing, proxy):
            await fault.begin()
            await play_rounds(windows)
            await fault.end()
            if fault.name != "SIGKILL":
                for each in windows:
                    await each.publish_round(EVERY_NODE)

        for each in windows:
            await check_healthy_streams(each, reading)
            with anyio.fail_after(TIMEOUT_S):
                while not each.publishing.report().failing_nodes:
                    await each.publish_round(HEALTHY)
            report = each.publishing.report()
            assert (report.level, report.failing_nodes, report.nodes) == (Level.ORANGE, 1, 3)
            assert str(proxy.address) in report.cause
        proxying.cancel_scope.cancel()


def resume_if_running(node: ServerProcess) -> None:
    with suppress(ProcessLookupError):
        node.resume()


async def check_healthy_streams(each: Publishing, store: QuoteStore) -> None:
    for node in HEALTHY:
        instrument = each.instruments[node]
        offered = [quote.bid for quote in each.offered if quote.instrument == instrument]
        assert await stored_bids(store.reader, instrument) == offered


@pytest.mark.parametrize("publisher", REDIS_PUBLISHERS)
async def test_a_publisher_names_the_nodes_it_keeps_apart(
    publisher: str, redis_cluster: Addresses
) -> None:
    """One that cannot keep them apart names one node for all."""
    quotes = [make_quote(each) for each in fresh_instruments(60)]
    async with redis_store(redis_cluster, publisher) as store:
        assert (await store.publisher.publish(quotes)).published == len(quotes)
        nodes, parts = set(store.publisher.nodes()), store.publisher.by_node(quotes)
        problems = [await store.publisher.ping(node) for node in nodes]

    assert len(nodes) == (3 if INDEPENDENT_NODES[publisher] else 1)
    assert parts.keys() == nodes
    assert sorted(quotes, key=QUOTE_ORDER) == sorted(chain(*parts.values()), key=QUOTE_ORDER)
    assert set(problems) == {""}
