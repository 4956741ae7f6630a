"""The contract of `OrderEvents`, over memory and over a real Redis Cluster."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import uuid4

import pytest
from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.order_events import RedisOrderEvents
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.order_events import ExecutedOrder, OrderEventKind, OrderEvents
from tests.contract.redis_cluster import Addresses
from tests.fakes.order_events import MemoryOrderEvents

MAXLEN = 300
FILL = ExecutedOrder(
    at_ms=1_772_514_460_893,
    source="s1",
    entry_id="e-1",
    symbol="BTCUSDT",
    venue="perp",
    kind=OrderEventKind.FILL,
    client_order_id="s1-e-1-0",
    order_id="4711",
    side="BUY",
    status="PARTIALLY_FILLED",
    price=Decimal("67403.80"),
    qty=Decimal("1E-8"),
    filled_qty=Decimal("0.500"),
    avg_price=Decimal("1E+5"),
    event_id="f-1",
)


class Events(Struct):
    """The port, and a function that reads the event ids of its entries."""

    port: OrderEvents
    event_ids: Callable[[], Awaitable[list[str]]]
    fail: Callable[[], Awaitable[None]]


@asynccontextmanager
async def memory_events() -> AsyncIterator[Events]:
    port = MemoryOrderEvents()

    async def event_ids() -> list[str]:
        return [event.event_id for event in port.events]

    async def fail() -> None:
        port.unavailable = True

    yield Events(port, event_ids, fail)


@asynccontextmanager
async def redis_events(addresses: Addresses) -> AsyncIterator[Events]:
    async with connect_cluster(addresses) as writing, connect_cluster(addresses) as reading:

        async def event_ids() -> list[str]:
            entries = await reading.execute_command("XRANGE", "orders:executed", "-", "+")
            return [fields["event_id"] for _, fields in entries]

        async def fail() -> None:
            await reading.execute_command("SET", "orders:executed", "no stream")

        await reading.delete("orders:executed")  # what other tests have written
        yield Events(RedisOrderEvents(writing, maxlen=MAXLEN), event_ids, fail)
        await reading.delete("orders:executed")


@pytest.fixture(params=["memory", "cluster"])
async def events(request: pytest.FixtureRequest, redis_cluster: Addresses) -> AsyncIterator[Events]:
    memory = request.param == "memory"
    async with memory_events() if memory else redis_events(redis_cluster) as events:
        yield events


def fill(event_id: str = "") -> ExecutedOrder:
    return replace(FILL, event_id=event_id or uuid4().hex)


async def test_entries_are_appended_in_order_and_a_repeated_one_twice(events: Events) -> None:
    for event_id in ("f-1", "f-2", "f-1"):
        await events.port.publish(fill(event_id))

    assert await events.event_ids() == ["f-1", "f-2", "f-1"]


async def test_contains_is_true_for_a_stored_entry_only(events: Events) -> None:
    first, second = await events.port.publish(fill()), await events.port.publish(fill())

    assert first != second
    assert await events.port.contains(first)
    assert await events.port.contains(second)
    assert not await events.port.contains(f"9{second}")


async def test_a_failure_is_an_error_of_the_port(events: Events) -> None:
    await events.fail()

    with pytest.raises(PublisherUnavailableError, match="orders:executed"):
        await events.port.publish(fill())


@pytest.fixture
async def client(redis_cluster: Addresses) -> AsyncIterator[ClusterClient]:
    async with connect_cluster(redis_cluster) as client:
        yield client


async def test_the_stream_holds_exactly_these_fields(
    redis_cluster: Addresses, client: ClusterClient
) -> None:
    """Names and order that other services parse; numbers in plain decimal."""
    async with redis_events(redis_cluster) as events:
        await events.port.publish(FILL)
        await events.port.publish(replace(FILL, kind=OrderEventKind.REJECT, reason="post_only"))
        entries = await client.execute_command("XRANGE", "orders:executed", "-", "+")

    filled, rejected = (fields for _, fields in entries)
    assert list(filled.items()) == [
        ("ts", "1772514460893"),
        ("source", "s1"),
        ("entry_id", "e-1"),
        ("symbol", "BTCUSDT"),
        ("venue", "perp"),
        ("kind", "FILL"),
        ("client_order_id", "s1-e-1-0"),
        ("order_id", "4711"),
        ("side", "BUY"),
        ("status", "PARTIALLY_FILLED"),
        ("price", "67403.8"),
        ("qty", "0.00000001"),
        ("filled_qty", "0.5"),
        ("avg_price", "100000"),
        ("event_id", "f-1"),
    ]
    assert list(rejected.items())[-2:] == [("reason", "post_only"), ("event_id", "f-1")]


async def test_the_stream_is_bounded_and_a_trimmed_entry_is_not_lost(
    redis_cluster: Addresses, client: ClusterClient
) -> None:
    """Redis trims whole blocks of 100 entries."""
    async with redis_events(redis_cluster) as events:
        first = await events.port.publish(fill())
        for _ in range(MAXLEN + 250):
            await events.port.publish(fill())
        length = await client.execute_command("XLEN", "orders:executed")

        assert MAXLEN <= length <= MAXLEN + 100
        assert await events.port.contains(first)
