"""Every implementation of the quote ports, for the suites."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import anyio
from msgspec import Struct

from chimera_s1.adapters.redis.addresses import RedisAddress
from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.publisher.node_quote_publisher import NodeQuotePublisher
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import EVERY_UPDATE, WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import QuotePublisher
from chimera_s1.domain.ports.quote_reader import QuoteReader
from tests.fakes.quote_streams import (
    MemoryQuotePublisher,
    MemoryQuoteReader,
    MemoryQuoteStreams,
)
from tests.time_limits import TIMEOUT_S

MAXLEN = 300
SOURCE = "binance.spot.bookTicker"

PublisherFactory = Callable[
    [ClusterClient, int, float, WindowMs], NodeQuotePublisher | OfficialQuotePublisher
]

REDIS_PUBLISHERS: dict[str, PublisherFactory] = {
    "official": lambda client, maxlen, timeout_s, window: OfficialQuotePublisher(
        client, maxlen=maxlen, window=window, timeout_s=timeout_s
    ),
    "node": lambda client, maxlen, timeout_s, window: NodeQuotePublisher(
        client,
        maxlen=maxlen,
        window=window,
        clock=SystemClock(),
        draw=random.random,
        timeout_s=timeout_s,
    ),
}
"""Arguments: client, maxlen, timeout in s, window."""


INDEPENDENT_NODES = {"official": False, "node": True}
"""Whether a call waits for the nodes of its own quotes only. redis-py follows ASK only on a client
that does nothing else, so calls of the official publisher run one after another.
"""


class QuoteStore(Struct):
    """A publisher, a reader of the same streams, and how to stop and start the store."""

    publisher: QuotePublisher
    reader: QuoteReader
    stop: Callable[[], Awaitable[None]] | None = None
    start: Callable[[], Awaitable[None]] | None = None


@asynccontextmanager
async def memory_store() -> AsyncIterator[QuoteStore]:
    streams = MemoryQuoteStreams(maxlen=MAXLEN)

    async def off() -> None:
        streams.unavailable = True

    async def on() -> None:
        streams.unavailable = False

    yield QuoteStore(
        MemoryQuotePublisher(streams, EVERY_UPDATE), MemoryQuoteReader(streams), off, on
    )


@asynccontextmanager
async def redis_store(
    addresses: Sequence[RedisAddress],
    publisher: str,
    *,
    timeout_s: float = 2.0,
    window: WindowMs = EVERY_UPDATE,
) -> AsyncIterator[QuoteStore]:
    """A publisher and a reader, each with its own client."""
    async with AsyncExitStack() as stack:
        writing = await stack.enter_async_context(connect_cluster(addresses))
        reading = await stack.enter_async_context(connect_cluster(addresses))
        quote_publisher = REDIS_PUBLISHERS[publisher](writing, MAXLEN, timeout_s, window)
        await stack.enter_async_context(quote_publisher)
        yield QuoteStore(quote_publisher, RedisQuoteReader(reading))


@asynccontextmanager
async def stoppable_redis_store(
    binary: Path, directory: Path, publisher: str
) -> AsyncIterator[QuoteStore]:
    """A cluster of one node that can be stopped and started."""
    async with EmbeddedRedis(directory, binary=binary) as embedded:
        node = embedded.nodes[0]

        async def on() -> None:
            await node.start()
            await wait_until_healthy(embedded.nodes, replicas=0)

        async with redis_store(embedded.addresses, publisher) as store:
            store.stop, store.start = node.stop, on
            yield store


def fresh_instruments(number: int, venue: Venue = Venue.SPOT) -> list[InstrumentId]:
    """Instruments that no other test uses, in order."""
    prefix = uuid4().hex[:12].upper()
    return [InstrumentId(venue, Symbol(f"{prefix}{index:04d}USDT")) for index in range(number)]


_updates = count(1)


def make_quote(instrument: InstrumentId, ts: int = 1_772_514_460_893) -> Quote:
    """A quote with a unique bid."""
    update = next(_updates)
    return Quote(
        instrument=instrument,
        ts=ts,
        bid=float(update),
        bid_qty=2.5,
        ask=update + 0.25,
        ask_qty=1.5,
        source=SOURCE,
        update_id=update,
        received_ms=ts,
    )


async def stored_bids(reader: QuoteReader, instrument: InstrumentId) -> list[float]:
    """The bids on a stream, oldest first."""
    entries = await reader.history(instrument, 10_000)
    return [float(dict(entry.fields)["bid1"]) for entry in entries]


async def problem_of(publisher: QuotePublisher) -> str:
    """The first problem of a node; empty if all accept writes."""
    if not publisher.nodes() and (unknown := await publisher.ping("")):
        return unknown
    problems = [await publisher.ping(node) for node in publisher.nodes()]
    return next(filter(None, problems), "")


async def publish_until_acknowledged(publisher: QuotePublisher, quotes: Sequence[Quote]) -> int:
    """Publish *quotes* until all are acknowledged, and return the number of incomplete calls."""
    failures = 0
    pending = tuple(quotes)
    with anyio.fail_after(TIMEOUT_S):
        while pending:
            pending = (await publisher.publish(pending)).unpublished
            failures += bool(pending)
    return failures
