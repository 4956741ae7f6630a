"""Reading quotes with `chimera_s1_client` from a real Redis Cluster that trims, moves and fails."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.adapters.redis.quote_entry import quote_fields
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1_client import (
    ConditionChanged,
    EntriesMissing,
    InvalidArgumentError,
    Quote,
    QuoteReader,
    ReaderOptions,
    RedisAccess,
    Update,
    read_quotes,
)
from tests.contract.redis_cluster import key_slot, replicated
from tests.contract.service_process import service_process, simulated
from tests.processes import ChimeraProcess
from tests.sample_quotes import TS, quote
from tests.time_limits import TIMEOUT_S

NAMES = ("spot/BTCUSDT", "perp/BTCUSDT", "perp/BNBUSDT")
"""Their streams are on three nodes of a cluster of three."""

OPTIONS = ReaderOptions(poll_s=0.01, silent_after_s=1e9)
GONE = "spot-0: connection lost"


class Redis:
    """A cluster that a test may break, and a writer of what the service would write."""

    def __init__(self, cluster: EmbeddedRedis, client: ClusterClient) -> None:
        self.nodes = cluster.nodes
        self.access = RedisAccess(addresses=",".join(map(str, cluster.addresses)))
        self.client = client
        self._status = RedisMarketStatus(client, maxlen=1000)

    async def write(
        self, name: str, number: int, *, ts: int = 0, source: str = "binance.spot.bookTicker"
    ) -> None:
        """Write quote *number* of an instrument; its id is *number* ms after the first window."""
        given = quote(name, ts=ts or TS + number, bid=100.0 + number, source=source)
        fields = [text for pair in quote_fields(given) for text in pair]
        await self.write_fields(name, number, *fields)

    async def write_fields(self, name: str, number: int, *fields: str) -> None:
        await self.client.execute_command("XADD", stream(name), f"{TS + number}-0", *fields)

    async def report(self, state: Liveness, symbol: str, *, at: int, cause: str = GONE) -> None:
        change = StatusChange(TS + at, symbol, state, TS + 1, cause)
        await self._status.append(Venue.SPOT, [change])


def stream(name: str) -> str:
    return f"mkt:events:{name.replace('/', ':')}"


@pytest.fixture(scope="module")
async def cluster(
    redis_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedRedis]:
    """Three masters and three replicas."""
    directory = tmp_path_factory.mktemp("client")
    async with EmbeddedRedis(directory, binary=redis_binary, masters=3, replicas=3) as running:
        yield running


@pytest.fixture
async def redis(cluster: EmbeddedRedis) -> AsyncIterator[Redis]:
    async with connect_cluster(cluster.addresses) as client:
        await client.flushall(target_nodes=client.PRIMARIES)
        yield Redis(cluster, client)


async def next_of(quotes: QuoteReader, wanted: Callable[[Update], bool]) -> Update:
    with anyio.fail_after(TIMEOUT_S):
        async for update in quotes:
            if wanted(update):
                return update
    raise AssertionError("the reader ended")


async def next_quotes(quotes: QuoteReader, count: int) -> list[Quote]:
    found = [await next_of(quotes, lambda each: isinstance(each, Quote)) for _ in range(count)]
    return [each for each in found if isinstance(each, Quote)]


async def next_condition(quotes: QuoteReader, state: str, name: str = NAMES[0]) -> ConditionChanged:
    def wanted(update: Update) -> bool:
        return (
            isinstance(update, ConditionChanged)
            and str(update.instrument) == name
            and update.condition.state == state
        )

    found = await next_of(quotes, wanted)
    assert isinstance(found, ConditionChanged)
    return found


async def all_silent(quotes: QuoteReader) -> None:
    """Wait until the stream of each of NAMES was read."""
    unread = set(NAMES)
    while unread:
        update = await next_of(quotes, lambda each: isinstance(each, ConditionChanged))
        assert isinstance(update, ConditionChanged)
        if update.condition.state == "SILENT":
            unread.discard(str(update.instrument))


def number(each: Quote) -> int:
    return int(each.entry_id.partition("-")[0]) - TS


async def test_quotes_of_several_nodes_arrive_once_and_in_order(redis: Redis) -> None:
    assert len({key_slot(stream(name)) * 3 // 16384 for name in NAMES}) == 3
    async with read_quotes(redis.access, NAMES, OPTIONS) as quotes:
        await all_silent(quotes)
        for each in range(1, 8):
            for name in NAMES:
                await redis.write(name, each)
        found = await next_quotes(quotes, 21)

        for name in NAMES:
            assert [number(q) for q in found if str(q.instrument) == name] == list(range(1, 8))
        newest = quotes.newest(NAMES[0])
        assert newest is not None
        assert (newest.bid, newest.source) == (107.0, "binance.spot.bookTicker")


async def test_a_reader_continues_where_another_one_stopped(redis: Redis) -> None:
    for each in (1, 2, 3):
        await redis.write(NAMES[0], each)
    async with read_quotes(redis.access, NAMES[:1], OPTIONS) as quotes:
        assert [number(q) for q in await next_quotes(quotes, 1)] == [3]
        positions = quotes.positions()
    for each in (4, 5):
        await redis.write(NAMES[0], each)
    continued = replace(OPTIONS, positions=positions)
    async with read_quotes(redis.access, NAMES[:1], continued) as quotes:
        assert [number(q) for q in await next_quotes(quotes, 2)] == [4, 5]

    await redis.client.xtrim(stream(NAMES[0]), maxlen=1, approximate=False)
    async with read_quotes(redis.access, NAMES[:1], continued) as quotes:
        missing = await next_of(quotes, lambda each: isinstance(each, EntriesMissing))
        assert isinstance(missing, EntriesMissing)
        assert missing.after_id == f"{TS + 3}-0"
        assert [number(q) for q in await next_quotes(quotes, 1)] == [5]
        assert quotes.counters.missing == 1


async def test_what_is_no_quote_of_the_exchange_is_left_out_and_counted(redis: Redis) -> None:
    await redis.write(NAMES[0], 1)
    async with read_quotes(redis.access, NAMES[:1], OPTIONS) as quotes:
        await next_quotes(quotes, 1)
        await redis.write(NAMES[0], 2, source="replay.spot.bookTicker")
        await redis.write_fields(NAMES[0], 3, "src", "binance.spot.bookTicker", "ts", "soon")
        await redis.write(NAMES[0], 4)
        fields = [text for pair in quote_fields(quote(bid=104.0, ts=TS + 4)) for text in pair]
        await redis.write_fields(NAMES[0], 5, *fields)
        await redis.write(NAMES[0], 6)

        assert [number(q) for q in await next_quotes(quotes, 2)] == [4, 6]
        counters = quotes.counters
        assert (counters.other_origin, counters.malformed, counters.repeated) == (1, 1, 1)


async def test_each_quote_has_the_condition_that_the_service_reports(redis: Redis) -> None:
    await redis.report(Liveness.LIVE, "BTCUSDT", at=1)
    await redis.write(NAMES[0], 1)
    async with read_quotes(redis.access, NAMES[:1], OPTIONS) as quotes:
        [first] = await next_quotes(quotes, 1)
        assert (first.condition.state, first.condition.trusted) == ("LIVE", True)

        await redis.report(Liveness.STALE, "BTCUSDT", at=2)
        assert not (await next_condition(quotes, "STALE")).condition.trusted
        held = quotes.newest(NAMES[0])
        assert held is not None
        assert held.condition.state == "STALE"

        await redis.report(Liveness.LIVE, "BTCUSDT", at=3)
        await next_condition(quotes, "LIVE")
        await redis.report(Liveness.GAP, "*", at=4)
        assert (await next_condition(quotes, "GAP")).condition.cause == GONE
        await redis.report(Liveness.RESUMED, "*", at=5)
        await next_condition(quotes, "LIVE")


async def test_a_cluster_that_is_down_is_a_state_and_no_error() -> None:
    nowhere = RedisAccess(addresses="127.0.0.1:1", password="hunter2")
    async with read_quotes(nowhere, NAMES, OPTIONS) as quotes:
        shown = await next_condition(quotes, "UNREADABLE")
    assert "127.0.0.1:1" in shown.condition.cause
    assert "hunter2" not in f"{nowhere!r} {shown!r}"


async def test_an_error_of_the_block_stays_what_it_is() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with read_quotes(RedisAccess(addresses="127.0.0.1:1"), NAMES, OPTIONS):
            raise LookupError("mine")


@pytest.mark.parametrize("addresses", ["127.0.0.1", "redis://u:hunter2@a:1", ""])
async def test_a_malformed_address_is_refused_and_not_shown(addresses: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        await read_quotes(RedisAccess(addresses=addresses), NAMES).__aenter__()
    assert "hunter2" not in str(refused.value)


async def test_a_stream_that_cannot_be_read_delays_no_other(redis: Redis) -> None:
    """Its name is taken by a value of another type; the other stream is on the same node."""
    same_node = "spot/ETHUSDT"
    await redis.client.set(stream(NAMES[0]), "x")
    async with read_quotes(redis.access, [NAMES[0], same_node], OPTIONS) as quotes:
        assert "WRONGTYPE" in (await next_condition(quotes, "UNREADABLE")).condition.cause
        await redis.write(same_node, 1)
        assert [str(q.instrument) for q in await next_quotes(quotes, 1)] == [same_node]


async def test_a_killed_node_loses_and_repeats_no_quote(redis: Redis) -> None:
    """Its replica takes over while the reader reads."""
    owner = redis.client.get_node_from_key(stream(NAMES[0]))
    assert owner is not None
    master = next(node for node in redis.nodes if node.address.port == int(owner.port))
    replica = await replica_of(redis, master)
    async with read_quotes(redis.access, NAMES, OPTIONS) as quotes:
        for name in NAMES:
            await redis.write(name, 1)
        await next_quotes(quotes, 3)
        await replicated(master, replica)
        await master.kill()
        try:
            await next_condition(quotes, "UNREADABLE")
            with anyio.fail_after(TIMEOUT_S):
                await written_after_failover(redis)
            found = await next_quotes(quotes, 1)
            assert [(str(q.instrument), number(q)) for q in found] == [(NAMES[0], 2)]
            assert quotes.counters.missing == 0
        finally:
            await master.start()


async def test_a_killed_service_is_silent_and_comes_back(
    redis: Redis, treasury_exchange: ChimeraProcess, tmp_path: Path
) -> None:
    """It wrote no GAP: its quotes look fresh until the client misses what it always writes."""
    environ = {
        **simulated(treasury_exchange.ready, "BTCUSDT"),
        "S1_REDIS_ADDRESSES": redis.access.addresses,
    }
    options = replace(OPTIONS, silent_after_s=1.5)
    async with read_quotes(redis.access, NAMES[:1], options) as quotes:
        async with service_process(tmp_path / "a", environ) as service:
            await next_condition(quotes, "LIVE")
            service.process.kill()
            await next_condition(quotes, "SILENT")
        async with service_process(tmp_path / "b", environ):
            while not (await next_quotes(quotes, 1))[0].condition.trusted:
                pass


async def written_after_failover(redis: Redis) -> None:
    while True:
        try:
            with redis.client.translate_errors():
                await redis.write(NAMES[0], 2)
        except PublisherUnavailableError:
            continue
        return


async def replica_of(redis: Redis, master: ServerProcess) -> ServerProcess:
    """The server that replicates *master*."""
    for node in redis.nodes:
        if (await node.execute("ROLE"))[:3] == ["slave", "127.0.0.1", master.address.port]:
            return node
    raise AssertionError("no replica")
