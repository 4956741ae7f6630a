"""The contract of `OperationsLog`, over memory and over real Redis Clusters."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.operations_log import RedisOperationsLog
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.ports.operations_log import (
    OperationsEvent,
    OperationsLog,
    RoundTripEntry,
    RoundTripSummary,
)
from tests.contract.redis_cluster import Addresses
from tests.fakes.operations_log import MemoryOperationsLog

MAXLEN = 300


class Log(Struct):
    """A log, and a function that reads its entries."""

    port: OperationsLog
    events: Callable[[], Awaitable[list[OperationsEvent]]]
    round_trips: Callable[[], Awaitable[tuple[list[RoundTripEntry], RoundTripSummary | None]]]
    messages_per_s: Callable[[], Awaitable[float | None]]
    switch_off: Callable[[], Awaitable[None]] | None = None
    switch_on: Callable[[], Awaitable[None]] | None = None


@asynccontextmanager
async def memory_log() -> AsyncIterator[Log]:
    log = MemoryOperationsLog()

    async def events() -> list[OperationsEvent]:
        return log.events

    async def round_trips() -> tuple[list[RoundTripEntry], RoundTripSummary | None]:
        return log.round_trips, log.summary

    async def messages_per_s() -> float | None:
        return log.messages_per_s

    async def switch_off() -> None:
        log.unavailable = True

    async def switch_on() -> None:
        log.unavailable = False

    yield Log(log, events, round_trips, messages_per_s, switch_off, switch_on)


def read_event(fields: dict[str, str]) -> OperationsEvent:
    detail = json.loads(fields["detail_json"])
    return OperationsEvent(detail.pop("event_id"), int(fields["ts"]), fields["kind"], detail)


def read_round_trip(fields: dict[str, str]) -> RoundTripEntry:
    rtt_ms, process_ms = float(fields["rtt_ms"]), float(fields["process_ms"])
    ts = int(fields["ts"])
    return RoundTripEntry(ts, fields["connection"], fields["venue"], rtt_ms, process_ms)


@asynccontextmanager
async def redis_log(addresses: Addresses) -> AsyncIterator[Log]:
    async with connect_cluster(addresses) as writing, connect_cluster(addresses) as reading:

        async def events() -> list[OperationsEvent]:
            entries = await reading.execute_command("XRANGE", "ops:events", "-", "+")
            return [read_event(fields) for _, fields in entries]

        async def round_trips() -> tuple[list[RoundTripEntry], RoundTripSummary | None]:
            name = "metrics:events:s1.ws_rtt"
            entries = await reading.execute_command("XRANGE", name, "-", "+")
            found = await reading.execute_command("HGETALL", "metrics:s1:ws_rtt")
            summary = RoundTripSummary(float(found["p50"]), float(found["p95"]), int(found["n"]))
            return [read_round_trip(fields) for _, fields in entries], summary

        async def messages_per_s() -> float | None:
            return float(await reading.execute_command("GET", "s1.mkt_throughput"))

        for key in ("ops:events", "metrics:events:s1.ws_rtt", "metrics:s1:ws_rtt"):
            await reading.delete(key)  # what other tests have written
        log = RedisOperationsLog(writing, maxlen=MAXLEN)
        yield Log(log, events, round_trips, messages_per_s)


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def log(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[Log]:
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with memory_log() if request.param == "memory" else redis_log(addresses) as log:
        yield log


@pytest.fixture(params=["memory", "redis"])
async def breakable(
    request: pytest.FixtureRequest, redis_binary: Path, tmp_path: Path
) -> AsyncIterator[Log]:
    if request.param == "memory":
        async with memory_log() as log:
            yield log
        return
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
        redis_log(embedded.addresses) as log,
    ):

        async def switch_on() -> None:
            await embedded.nodes[0].start()
            await wait_until_healthy(embedded.nodes, replicas=0)

        log.switch_off, log.switch_on = embedded.nodes[0].stop, switch_on
        yield log


def event_of(kind: str, ts: int = 1_772_514_460_893) -> OperationsEvent:
    return OperationsEvent(
        event_id=uuid4().hex,
        ts=ts,
        kind=kind,
        detail={"connection": "spot-0", "retries": 11, "wait_ms": 0.5, "ok": False, "why": None},
    )


async def test_events_are_appended_whole_and_in_order(log: Log) -> None:
    """The recorded events are the last ones of the stream."""
    recorded = [event_of("ws.lost"), event_of("ws.fatal"), event_of("ws.recovered")]

    for event in recorded:
        await log.port.record(event)

    assert (await log.events())[-3:] == recorded


async def test_contains_is_true_for_a_stored_entry(log: Log) -> None:
    first = await log.port.record(event_of("ws.opened"))
    second = await log.port.record(event_of("ws.lost"))

    assert first != second
    assert await log.port.contains(first)
    assert await log.port.contains(second)


async def test_contains_is_false_for_a_lost_entry(breakable: Log) -> None:
    """The embedded server persists nothing."""
    assert breakable.switch_off is not None
    assert breakable.switch_on is not None
    entry_id = await breakable.port.record(event_of("ws.opened"))
    await breakable.switch_off()
    await breakable.switch_on()
    if isinstance(breakable.port, MemoryOperationsLog):
        breakable.port.events.clear()

    assert not await breakable.port.contains(entry_id)
    newer = await breakable.port.record(event_of("ws.opened"))
    assert await breakable.port.contains(newer)


async def test_contains_is_true_for_a_trimmed_entry(redis_single_node: Addresses) -> None:
    async with redis_log(redis_single_node) as log:
        entry_id = await log.port.record(event_of("ws.opened"))
        for _ in range(3 * MAXLEN):
            await log.port.record(event_of("ws.lost"))

        assert len(await log.events()) < 3 * MAXLEN
        assert await log.port.contains(entry_id)


async def test_round_trips_are_appended_and_the_summary_is_replaced(log: Log) -> None:
    entry = RoundTripEntry(1_772_514_460_893, "perp-3", "perp", 12.75, 10.0)
    await log.port.record_round_trip(entry, RoundTripSummary(1.0, 2.0, 3))

    await log.port.record_round_trip(entry, RoundTripSummary(10.5, 20.25, 1000))

    entries, summary = await log.round_trips()
    assert entries[-1] == entry
    assert summary == RoundTripSummary(10.5, 20.25, 1000)


async def test_throughput_is_replaced(log: Log) -> None:
    await log.port.record_throughput(1.0)
    await log.port.record_throughput(1234.5)

    assert await log.messages_per_s() == 1234.5


async def test_writing_resumes_when_an_unavailable_log_is_back(breakable: Log) -> None:
    """Every write raises `PublisherUnavailableError`; the caller's event is written later."""
    assert breakable.switch_off is not None
    assert breakable.switch_on is not None
    event = event_of("ws.fatal")
    await breakable.port.record_throughput(1.0)
    await breakable.switch_off()

    with pytest.raises(PublisherUnavailableError):
        await breakable.port.record(event)
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.record_round_trip(
            RoundTripEntry(1, "spot-0", "spot", 1.0, 1.0), RoundTripSummary(1.0, 1.0, 1)
        )
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.record_throughput(2.0)

    await breakable.switch_on()
    await breakable.port.record(event)
    assert (await breakable.events())[-1] == event


@pytest.fixture
async def client(redis_cluster: Addresses) -> AsyncIterator[ClusterClient]:
    async with connect_cluster(redis_cluster) as client:
        yield client


async def test_the_streams_hold_exactly_these_fields(
    redis_cluster: Addresses, client: ClusterClient
) -> None:
    """Names and order that other services parse; numbers in plain decimal."""
    async with redis_log(redis_cluster) as log:
        await log.port.record(OperationsEvent("e-1", 17, "feed.lost", {"cause": 'naïve "x"'}))
        await log.port.record_round_trip(
            RoundTripEntry(18, "spot-0", "spot", 0.00001, 10.0), RoundTripSummary(1e-7, 25.0, 4)
        )
        await log.port.record_throughput(120.0)

    ((_, event),) = await client.execute_command("XREVRANGE", "ops:events", "+", "-", "COUNT", 1)
    ((_, trip),) = await client.execute_command(
        "XREVRANGE", "metrics:events:s1.ws_rtt", "+", "-", "COUNT", 1
    )
    assert list(event.items()) == [
        ("ts", "17"),
        ("source", "s1"),
        ("kind", "feed.lost"),
        ("detail_json", '{"event_id":"e-1","cause":"naïve \\"x\\""}'),
    ]
    assert list(trip.items()) == [
        ("ts", "18"),
        ("connection", "spot-0"),
        ("venue", "spot"),
        ("rtt_ms", "0.00001"),
        ("process_ms", "10"),
    ]
    summary = await client.execute_command("HGETALL", "metrics:s1:ws_rtt")
    assert summary == {"p50": "0.0000001", "p95": "25", "n": "4"}
    assert await client.execute_command("GET", "s1.mkt_throughput") == "120"


async def test_operational_streams_are_bounded(
    redis_cluster: Addresses, client: ClusterClient
) -> None:
    """Redis trims whole blocks of 100 entries; the newest stays."""
    async with redis_log(redis_cluster) as log:
        for number in range(MAXLEN + 250):
            await log.port.record(event_of("ws.lost", ts=number))

    length = await client.execute_command("XLEN", "ops:events")
    ((_, newest),) = await client.execute_command("XREVRANGE", "ops:events", "+", "-", "COUNT", 1)
    assert MAXLEN <= length <= MAXLEN + 100
    assert newest["ts"] == str(MAXLEN + 249)
