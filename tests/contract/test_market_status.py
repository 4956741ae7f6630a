"""What every `MarketStatus` does, over memory and over real Redis Clusters."""

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
from chimera_s1.domain.ports.market_status import MarketStatus
from tests.contract.redis_cluster import Addresses
from tests.fakes.market_status import MemoryMarketStatus

MAXLEN = 300
FIELDS = ["ts", "symbol", "state", "since", "cause"]
TS = 1_772_514_460_893


class Status(Struct):
    """A market status, and how a test looks at what was written of a venue."""

    port: MarketStatus
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
async def redis_status(addresses: Addresses, patience_s: float = 5.0) -> AsyncIterator[Status]:
    async with connect_cluster(addresses) as writing, connect_cluster(addresses) as reading:

        async def written(venue: Venue) -> list[StatusChange]:
            name = f"mkt:status:{venue.value}"
            entries = await reading.execute_command("XRANGE", name, "-", "+")
            return [read_change(fields) for _, fields in entries]

        port = RedisMarketStatus(writing, maxlen=MAXLEN, timeout_s=patience_s)
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
        redis_status(embedded.addresses, patience_s=1.0) as status,
    ):
        node = embedded.nodes[0]

        async def on() -> None:
            await node.start()
            await wait_until_healthy(embedded.nodes, replicas=0)

        status.switch_off, status.switch_on = node.stop, on
        yield status


_numbers = count(TS)


def changes(number: int, state: Liveness = Liveness.QUIET) -> tuple[StatusChange, ...]:
    """Changes like no others: their times tell them apart."""
    return tuple(
        StatusChange(next(_numbers), "BTCUSDT", state, TS - 10, "perp-0: cut, by “name” = 5")
        for _ in range(number)
    )


@pytest.mark.parametrize("state", Liveness)
async def test_a_change_is_written_with_every_field(status: Status, state: Liveness) -> None:
    """Exactly `ts symbol state since cause`, in this order, as text."""
    wanted = changes(1, state)
    await status.port.append(Venue.PERP, wanted)

    assert wanted == tuple((await status.written(Venue.PERP))[-1:])


async def test_changes_keep_their_order_within_and_between_calls(status: Status) -> None:
    """What was offered first is read first."""
    first, second = changes(40), changes(3)
    await status.port.append(Venue.SPOT, first)
    await status.port.append(Venue.SPOT, second)

    assert (*first, *second) == tuple((await status.written(Venue.SPOT))[-43:])


async def test_calls_at_the_same_time_do_not_mix(status: Status) -> None:
    """Whoever comes first, each call's changes stand together."""
    calls = [changes(20) for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        for each in calls:
            tasks.start_soon(status.port.append, Venue.SPOT, each)
    written = tuple((await status.written(Venue.SPOT))[-100:])
    together = {written[at : at + 20] for at in range(0, 100, 20)}

    assert set(calls) == together


async def test_each_venue_has_a_stream_of_its_own(status: Status) -> None:
    """What is said of perpetuals says nothing of spot."""
    (wanted,) = changes(1)
    await status.port.append(Venue.PERP, [wanted])

    assert wanted in await status.written(Venue.PERP)
    assert wanted not in await status.written(Venue.SPOT)


async def test_nothing_to_tell_writes_nothing(status: Status) -> None:
    """An empty call is no entry and no error."""
    before = await status.written(Venue.PERP)
    await status.port.append(Venue.PERP, ())

    assert before == await status.written(Venue.PERP)


async def test_a_status_stream_is_bounded(redis_single_node: Addresses) -> None:
    """Redis trims whole nodes of 100 entries: at most that many stay beyond the bound."""
    async with redis_status(redis_single_node) as status:
        wanted = changes(MAXLEN * 3)
        await status.port.append(Venue.PERP, wanted)
        written = await status.written(Venue.PERP)

    assert MAXLEN <= len(written) <= MAXLEN + 100
    assert wanted[-MAXLEN:] == tuple(written[-MAXLEN:])


async def test_a_store_that_is_gone_is_said_to_be_and_used_again(breakable: Status) -> None:
    """The caller is told, may offer the same again, and nothing of it is written twice."""
    assert breakable.switch_off is not None
    assert breakable.switch_on is not None
    before, wanted = changes(1), changes(3)
    await breakable.port.append(Venue.PERP, before)
    await breakable.switch_off()
    with pytest.raises(PublisherUnavailableError):
        await breakable.port.append(Venue.PERP, wanted)
    await breakable.switch_on()
    with anyio.fail_after(30):
        while True:
            try:
                await breakable.port.append(Venue.PERP, wanted)
            except PublisherUnavailableError:
                continue
            break

    # What was written before is gone with a server that keeps nothing.
    assert wanted == tuple((await breakable.written(Venue.PERP))[-3:])
    assert set(await breakable.written(Venue.PERP)) <= {*before, *wanted}
