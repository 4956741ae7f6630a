"""The contract of `FundingEvents`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import blake2b
from itertools import count
from pathlib import Path

import anyio
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.funding_events import RedisFundingEvents
from chimera_s1.domain.errors import PublisherRefusedError, PublisherUnavailableError
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_events import FundingEvent, UnwrittenEvents
from tests.contract.redis_cluster import PARTIAL_COVERAGE, Addresses
from tests.fakes.funding_events import FakeFundingEvents
from tests.time_limits import TIMEOUT_S

MAXLEN = 300
TS = 1_772_505_380_000
FUNDING_TIME = 1_772_506_400_000
ESTIMATE_FIELDS = ["ts", "symbol", "rate_est", "funding_time", "rate_type", "event_id"]


class Streams(Struct):
    """The port, and a function that reads the entries of a symbol's stream."""

    port: RedisFundingEvents | FakeFundingEvents
    written: Callable[[Symbol], Awaitable[list[FundingEvent]]]
    refuse: Callable[[Symbol], Awaitable[None]]


def memory_streams() -> Streams:
    fake = FakeFundingEvents()

    async def written(symbol: Symbol) -> list[FundingEvent]:
        return [event for event in fake.events if event.symbol == symbol]

    async def refuse(symbol: Symbol) -> None:
        fake.refused.add(symbol)

    return Streams(fake, written, refuse)


def read_event(fields: Mapping[str, str]) -> FundingEvent:
    order = ["ts", "symbol", "rate_est", "rate_real", "amount_usdt", *ESTIMATE_FIELDS[3:]]
    assert list(fields) == [name for name in order if name in fields]
    assert {*ESTIMATE_FIELDS} <= {*fields}
    numbers = {"ts": int(fields["ts"]), "funding_time": int(fields["funding_time"])}
    return FundingEvent(**{**fields, **numbers})  # type: ignore[arg-type]  # (checked above)


@asynccontextmanager
async def redis_streams(addresses: Addresses, timeout_s: float = 5.0) -> AsyncIterator[Streams]:
    async with connect_cluster(addresses) as writing, connect_cluster(addresses) as reading:

        async def written(symbol: Symbol) -> list[FundingEvent]:
            name = f"mkt:events:funding:{symbol}"
            entries = await reading.execute_command("XRANGE", name, "-", "+")
            return [read_event(fields) for _, fields in entries]

        async def refuse(symbol: Symbol) -> None:
            await reading.execute_command("SET", f"mkt:events:funding:{symbol}", "no stream")

        port = RedisFundingEvents(writing, maxlen=MAXLEN, timeout_s=timeout_s)
        yield Streams(port, written, refuse)


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def streams(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[Streams]:
    if request.param == "memory":
        yield memory_streams()
        return
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with redis_streams(addresses) as opened:
        yield opened


_numbers = count(TS)


def symbol() -> Symbol:
    """Of no other test; they spread over the nodes."""
    number = next(_numbers).to_bytes(8, "big")
    return Symbol(f"F{blake2b(number, digest_size=6).hexdigest().upper()}USDT")


def estimate(of: Symbol) -> FundingEvent:
    ts = next(_numbers)
    return FundingEvent(
        ts=ts,
        symbol=of,
        rate_est="0.00038167",
        funding_time=FUNDING_TIME,
        rate_type="Regular",
        event_id=f"{of}-{FUNDING_TIME}-est-{ts}",
    )


def realised(of: Symbol, amount: str = "-1.25") -> FundingEvent:
    return FundingEvent(
        ts=FUNDING_TIME,
        symbol=of,
        rate_est="",
        rate_real="-0.000375",
        amount_usdt=amount,
        funding_time=FUNDING_TIME,
        rate_type="Special",
        event_id=f"{of}-{FUNDING_TIME}-Special-1",
    )


async def test_an_event_is_written_with_its_fields_in_their_order(streams: Streams) -> None:
    """What is empty is left out, except `rate_est`; symbols may have any letters."""
    name = Symbol(f"币安{symbol()}")
    events = [estimate(name), realised(name), realised(name, amount="")]
    await streams.port.publish(events)

    assert await streams.written(name) == events


async def test_events_keep_their_order_within_and_between_calls(streams: Streams) -> None:
    names = [symbol() for _ in range(20)]
    first = [estimate(name) for _ in range(3) for name in names]
    second = [estimate(name) for name in names]
    await streams.port.publish(first)
    assert await streams.port.try_publish(second) == UnwrittenEvents()

    for name in names:
        assert await streams.written(name) == [e for e in [*first, *second] if e.symbol == name]


async def test_more_events_than_one_pipeline_takes_are_written(streams: Streams) -> None:
    events = [estimate(symbol()) for _ in range(930)]
    await streams.port.publish(events)

    for event in (events[0], events[499], events[500], events[-1]):
        assert await streams.written(event.symbol) == [event]


async def test_an_empty_call_writes_nothing(streams: Streams) -> None:
    await streams.port.publish([])
    assert await streams.port.try_publish([]) == UnwrittenEvents()


async def test_a_stream_that_refuses_its_entry_keeps_no_other_from_being_written(
    streams: Streams,
) -> None:
    """The server's own words name the stream."""
    bad, good = symbol(), symbol()
    await streams.refuse(bad)
    events = [estimate(bad), estimate(good), estimate(bad)]
    tried = await streams.port.try_publish(events)
    with pytest.raises(PublisherRefusedError, match=bad):
        await streams.port.publish(events)

    assert tried.events == (events[0], events[2])
    assert "WRONGTYPE" in tried.cause
    assert bad in tried.cause
    assert await streams.written(good) == [events[1], events[1]]


async def test_a_funding_stream_is_bounded(redis_single_node: Addresses) -> None:
    """Redis trims whole nodes of 100 entries, so up to 100 more stay."""
    name = symbol()
    async with redis_streams(redis_single_node) as streams:
        events = [estimate(name) for _ in range(MAXLEN * 3)]
        await streams.port.publish(events)
        written = await streams.written(name)

    assert MAXLEN <= len(written) <= MAXLEN + 100
    assert written[-MAXLEN:] == events[-MAXLEN:]


async def test_a_node_that_is_down_keeps_no_other_from_being_written(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Only what its node did not take is reported, and it is written when the node is back."""
    embedded = EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, options=PARTIAL_COVERAGE)
    async with embedded, redis_streams(embedded.addresses, timeout_s=2.0) as streams:
        events = [estimate(symbol()) for _ in range(40)]
        await streams.port.publish(events)
        await embedded.nodes[1].stop()
        tried = await streams.port.try_publish(events)
        with pytest.raises(PublisherUnavailableError):
            await streams.port.publish(events)
        again = await streams.port.try_publish(events)
        await embedded.nodes[1].start()
        await wait_until_healthy(embedded.nodes, replicas=0)
        with anyio.fail_after(TIMEOUT_S):
            left = tried.events
            while left:
                left = (await streams.port.try_publish(left)).events
        written = [await streams.written(event.symbol) for event in tried.events]

    assert 0 < len(tried.events) < len(events)
    assert {*again.events} == {*tried.events}
    assert str(embedded.addresses[1]) in tried.cause
    # The server persists nothing, so earlier entries of that node are lost.
    assert all(entries[-1] == event for entries, event in zip(written, tried.events, strict=True))
