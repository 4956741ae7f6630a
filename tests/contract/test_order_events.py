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
from chimera_s1.domain.ledger.relayed_entry import RelayedEntry
from chimera_s1.domain.ports.order_events import (
    ExecutedOrder,
    OcoChanged,
    OcoState,
    OrderEventKind,
    OrderEvents,
    PublishedEvent,
    StopChanged,
    StopState,
)
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
STOP = StopChanged(
    at_ms=1_772_514_460_893,
    source="s1",
    entry_id="e-1",
    symbol="BTCUSDT",
    venue="perp",
    state=StopState.ARMED,
    client_algo_id="s1-e-1-s1",
    trigger_price=Decimal("66000.10"),
    qty=Decimal("0.500"),
    event_id="f-1",
)
OCO = OcoChanged(
    at_ms=1_772_514_460_893,
    source="s1",
    entry_id="e-1",
    symbol="BTCUSDT",
    state=OcoState.GUARD,
    order_list_id="",
    tp_price=Decimal("7E+4"),
    sl_trigger_price=Decimal("66000.10"),
    qty=Decimal("0.500"),
    event_id="f-1",
)
STREAMS: dict[str, PublishedEvent] = {
    "orders:executed": FILL,
    "risk:sl_arm": STOP,
    "spot:oco:armed": OCO,
}
each_stream = pytest.mark.parametrize("stream", STREAMS)


class Events(Struct):
    """The port, and a function that reads the event ids of a stream."""

    port: OrderEvents
    event_ids: Callable[[str], Awaitable[list[str]]]
    fail: Callable[[], Awaitable[None]]


@asynccontextmanager
async def memory_events() -> AsyncIterator[Events]:
    port = MemoryOrderEvents()

    async def event_ids(stream: str) -> list[str]:
        return [event.event_id for event in port.entries(stream)]

    async def fail() -> None:
        port.unavailable = True

    yield Events(port, event_ids, fail)


@asynccontextmanager
async def redis_events(addresses: Addresses) -> AsyncIterator[Events]:
    async with connect_cluster(addresses) as writing, connect_cluster(addresses) as reading:

        async def event_ids(stream: str) -> list[str]:
            entries = await reading.execute_command("XRANGE", stream, "-", "+")
            return [fields["event_id"] for _, fields in entries]

        async def fail() -> None:
            for stream in STREAMS:
                await reading.execute_command("SET", stream, "no stream")

        await delete_streams(reading)  # what other tests have written
        yield Events(RedisOrderEvents(writing, maxlen=MAXLEN), event_ids, fail)
        await delete_streams(reading)


async def delete_streams(client: ClusterClient) -> None:
    for stream in STREAMS:
        await client.delete(stream)


@pytest.fixture(params=["memory", "cluster"])
async def events(request: pytest.FixtureRequest, redis_cluster: Addresses) -> AsyncIterator[Events]:
    memory = request.param == "memory"
    async with memory_events() if memory else redis_events(redis_cluster) as events:
        yield events


def with_id(event: PublishedEvent, event_id: str = "") -> PublishedEvent:
    return replace(event, event_id=event_id or uuid4().hex)


@each_stream
async def test_entries_are_appended_in_order_and_a_repeated_one_twice(
    events: Events, stream: str
) -> None:
    for event_id in ("f-1", "f-2", "f-1"):
        await events.port.publish(with_id(STREAMS[stream], event_id))

    assert await events.event_ids(stream) == ["f-1", "f-2", "f-1"]


async def test_each_kind_of_event_has_its_stream(events: Events) -> None:
    written = [await events.port.publish(event) for event in STREAMS.values()]

    assert [entry.stream for entry in written] == list(STREAMS)
    for stream in STREAMS:
        assert await events.event_ids(stream) == ["f-1"]


@each_stream
async def test_contains_is_true_for_a_stored_entry_only(events: Events, stream: str) -> None:
    event = STREAMS[stream]
    first = await events.port.publish(with_id(event))
    second = await events.port.publish(with_id(event))

    assert first != second
    assert await events.port.contains(first)
    assert await events.port.contains(second)
    assert not await events.port.contains(RelayedEntry(stream, f"9{second.entry_id}"))


@each_stream
async def test_a_failure_is_an_error_of_the_port(events: Events, stream: str) -> None:
    await events.fail()

    with pytest.raises(PublisherUnavailableError, match=stream):
        await events.port.publish(with_id(STREAMS[stream]))


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


async def test_the_streams_of_protection_hold_exactly_these_fields(
    redis_cluster: Addresses, client: ClusterClient
) -> None:
    async with redis_events(redis_cluster) as events:
        await events.port.publish(STOP)
        await events.port.publish(OCO)
        ((_, stop),) = await client.execute_command("XRANGE", "risk:sl_arm", "-", "+")
        ((_, oco),) = await client.execute_command("XRANGE", "spot:oco:armed", "-", "+")

    assert list(stop.items()) == [
        ("ts", "1772514460893"),
        ("source", "s1"),
        ("entry_id", "e-1"),
        ("symbol", "BTCUSDT"),
        ("venue", "perp"),
        ("state", "ARMED"),
        ("client_algo_id", "s1-e-1-s1"),
        ("trigger_price", "66000.1"),
        ("qty", "0.5"),
        ("event_id", "f-1"),
    ]
    assert list(oco.items()) == [
        ("ts", "1772514460893"),
        ("source", "s1"),
        ("entry_id", "e-1"),
        ("symbol", "BTCUSDT"),
        ("state", "GUARD"),
        ("order_list_id", ""),
        ("tp_price", "70000"),
        ("sl_trigger_price", "66000.1"),
        ("qty", "0.5"),
        ("event_id", "f-1"),
    ]


async def test_the_stream_is_bounded_and_a_trimmed_entry_is_not_lost(
    redis_cluster: Addresses, client: ClusterClient
) -> None:
    """Redis trims whole blocks of 100 entries."""
    async with redis_events(redis_cluster) as events:
        first = await events.port.publish(with_id(FILL))
        for _ in range(MAXLEN + 250):
            await events.port.publish(with_id(FILL))
        length = await client.execute_command("XLEN", "orders:executed")

        assert MAXLEN <= length <= MAXLEN + 100
        assert await events.port.contains(first)
