"""The contract of `MarketStatus`, over memory and over real Redis Clusters."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import anyio
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.cluster_assembly import wait_until_healthy
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from tests.contract.redis_cluster import Addresses
from tests.fakes.market_status import MemoryMarketStatus
from tests.time_limits import TIMEOUT_S

MAXLEN = 300
FIELDS = ["ts", "symbol", "state", "since", "cause"]
TS = 1_772_514_460_893


class Status(Struct):
    """A market status, and a function that reads the entries of a venue."""

    port: RedisMarketStatus | MemoryMarketStatus
    written: Callable[[Venue], Awaitable[list[StatusChange]]]
    switch_off: Callable[[], Awaitable[None]] | None = None
    switch_on: Callable[[], Awaitable[None]] | None = None


@asynccontextmanager
async def memory_status() -> AsyncIterator[Status]:
    status = MemoryMarketStatus()

    async def written(venue: Venue) -> list[StatusChange]:
        return [change for of, change in status.changes if of is venue]

    async def off() -> None:
        status.unavailable = True

    async def on() -> None:
        status.unavailable = False

    yield Status(status, written, off, on)


def read_change(fields: dict[str, str]) -> StatusChange:
    assert list(fields) == FIELDS
    return StatusChange(
        int(fields["ts"]),
        fields["symbol"],
        Liveness(fields["state"]),
        int(fields["since"]),
        fields["cause"],
    )


@asynccontextmanager
async def redis_status(addresses: Addresses, timeout_s: float = 5.0) -> AsyncIterator[Status]:
    async with connect_cluster(addresses) as writing, connect_cluster(addresses) as reading:

        async def written(venue: Venue) -> list[StatusChange]:
            name = f"mkt:status:{venue.value}"
            entries = await reading.execute_command("XRANGE", name, "-", "+")
            return [read_change(fields) for _, fields in entries]

        port = RedisMarketStatus(writing, maxlen=MAXLEN, timeout_s=timeout_s)
        yield Status(port, written)


@pytest.fixture(params=["memory", "single_node", "cluster"])
async def status(
    request: pytest.FixtureRequest, redis_single_node: Addresses, redis_cluster: Addresses
) -> AsyncIterator[Status]:
    addresses = redis_cluster if request.param == "cluster" else redis_single_node
    async with memory_status() if request.param == "memory" else redis_status(addresses) as status:
        yield status


@pytest.fixture(params=["memory", "redis"])
async def breakable(
    request: pytest.FixtureRequest, redis_binary: Path, tmp_path: Path
) -> AsyncIterator[Status]:
    if request.param == "memory":
        async with memory_status() as status:
            yield status
        return
    async with (
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
        redis_status(embedded.addresses, timeout_s=1.0) as status,
    ):
        node = embedded.nodes[0]

        async def on() -> None:
            await node.start()
            await wait_until_healthy(embedded.nodes, replicas=0)

        status.switch_off, status.switch_on = node.stop, on
        yield status


_numbers = count(TS)


def changes(number: int, state: Liveness = Liveness.QUIET) -> tuple[StatusChange, ...]:
    """Changes with unique times."""
    return tuple(
        StatusChange(next(_numbers), "BTCUSDT", state, TS - 10, "perp-0: cut, by “name” = 5")
        for _ in range(number)
    )


@pytest.mark.parametrize("state", Liveness)
async def test_a_change_is_written_with_every_field(status: Status, state: Liveness) -> None:
    """Exactly `ts symbol state since cause`, in this order, as text."""
    appended = changes(1, state)
    await status.port.append(Venue.PERP, appended)

    assert appended == tuple((await status.written(Venue.PERP))[-1:])


async def test_changes_keep_their_order_within_and_between_calls(status: Status) -> None:
    first, second = changes(40), changes(3)
    await status.port.append(Venue.SPOT, first)
    await status.port.append(Venue.SPOT, second)

    assert (*first, *second) == tuple((await status.written(Venue.SPOT))[-43:])


async def test_changes_of_concurrent_calls_are_not_interleaved(status: Status) -> None:
    """In any order of the calls, the changes of one call are consecutive."""
    calls = [changes(20) for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        for each in calls:
            tasks.start_soon(status.port.append, Venue.SPOT, each)
    written = tuple((await status.written(Venue.SPOT))[-100:])
    together = {written[at : at + 20] for at in range(0, 100, 20)}

    assert set(calls) == together


async def test_each_venue_has_a_stream_of_its_own(status: Status) -> None:
    (appended,) = changes(1)
    await status.port.append(Venue.PERP, [appended])

    assert appended in await status.written(Venue.PERP)
    assert appended not in await status.written(Venue.SPOT)


async def test_an_empty_call_writes_nothing(status: Status) -> None:
    before = await status.written(Venue.PERP)
    await status.port.append(Venue.PERP, ())

    assert before == await status.written(Venue.PERP)


async def test_gaps_without_their_resumed_are_open(status: Status) -> None:
    def marker(state: Liveness, since: int, cause: str = "switch: on") -> StatusChange:
        return StatusChange(TS, "*", state, since, cause)

    venue, other = Venue.SPOT, marker(Liveness.GAP, 2, "no instance published")
    ended, left, repeated = (marker(Liveness.GAP, since) for since in (1, 2, 3))
    resumed = marker(Liveness.RESUMED, 1)
    await status.port.append(venue, [ended, left, *changes(3), resumed, other, repeated, repeated])
    await status.port.append(venue, [marker(Liveness.RESUMED, 2, "no instance published")])
    await status.port.append(Venue.PERP, [marker(Liveness.RESUMED, 2)])

    assert await status.port.open_gaps(venue, "switch: ") == (left, repeated)


@pytest.mark.parametrize(
    "fields",
    [
        ("note", "tried by hand"),
        ("state", "GAP", "cause", "switch: on"),
        ("ts", "now", "symbol", "*", "state", "GAP", "since", "x", "cause", "switch: on"),
        ("state", "RESUMED", "cause", "switch: on"),
    ],
)
async def test_entries_of_others_are_no_open_gaps(
    redis_single_node: Addresses, fields: tuple[str, ...]
) -> None:
    async with connect_cluster(redis_single_node) as client:
        await client.execute_command("DEL", "mkt:status:spot")
        await client.execute_command("XADD", "mkt:status:spot", "*", *fields)
        port = RedisMarketStatus(client, maxlen=MAXLEN)

        assert await port.open_gaps(Venue.SPOT, "switch: ") == ()


async def test_a_status_stream_is_bounded(redis_single_node: Addresses) -> None:
    """Redis trims whole nodes of 100 entries, so up to 100 more stay."""
    async with redis_status(redis_single_node) as status:
        appended = changes(MAXLEN * 3)
        await status.port.append(Venue.PERP, appended)
        written = await status.written(Venue.PERP)

    assert MAXLEN <= len(written) <= MAXLEN + 100
    assert appended[-MAXLEN:] == tuple(written[-MAXLEN:])


async def test_an_unavailable_store_raises_and_is_used_again_when_back(breakable: Status) -> None:
    """The call raises; the same changes can be appended later, and are written once."""
    assert breakable.switch_off is not None
    assert breakable.switch_on is not None
    before, appended = changes(1), changes(3)
    await breakable.port.append(Venue.PERP, before)
    await breakable.switch_off()
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.append(Venue.PERP, appended)
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.open_gaps(Venue.PERP, "switch: ")
    await breakable.switch_on()
    with anyio.fail_after(TIMEOUT_S):
        while True:
            try:
                await breakable.port.append(Venue.PERP, appended)
            except PublisherUnavailableError:
                continue
            break

    # The server persists nothing, so earlier changes are lost.
    assert appended == tuple((await breakable.written(Venue.PERP))[-3:])
    assert set(await breakable.written(Venue.PERP)) <= {*before, *appended}
