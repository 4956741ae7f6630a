"""The states of quotes in `tail`, read from a real Redis."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.adapters.redis.quote_entry import quote_fields
from chimera_s1.app.cli.tail.quote_rows import QuoteRows
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.instrument_selection import EVERY_SYMBOL, parse_symbol_filter
from chimera_s1.domain.market.liveness import Liveness
from tests.fakes.manual_clock import ManualClock
from tests.sample_quotes import TS, entry, quote

NAMES = ("perp/BTCUSDT", "spot/BTCUSDT", "spot/ETHUSDT")
READER = ("+@read", "+@keyspace", "+@connection", "+cluster", "+command", "~mkt:events:*")


@pytest.fixture(scope="module")
def redis(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """One for all tests: each begins with an empty one."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), binary=redis_binary)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server) as running:
        yield running


@pytest.fixture
async def client(redis: EmbeddedRedis) -> AsyncIterator[ClusterClient]:
    async with connect_cluster(redis.addresses) as client:
        await client.flushall()
        for name in NAMES:
            fields = [text for pair in quote_fields(quote(name)) for text in pair]
            stream = f"mkt:events:{name.replace('/', ':')}"
            await client.execute_command("XADD", stream, f"{TS}-0", *fields)
        yield client


def rows_at(client: ClusterClient, now_ms: int) -> QuoteRows:
    return QuoteRows(client, parse_symbol_filter(EVERY_SYMBOL, tuple(Venue)), ManualClock(now_ms))


async def states(rows: QuoteRows) -> list[str]:
    return [row.cells["state"] for row in await rows.read()]


async def test_a_quote_has_the_state_that_the_service_has_written_last(
    client: ClusterClient,
) -> None:
    status = RedisMarketStatus(client, maxlen=100)
    rows = rows_at(client, TS)
    assert await states(rows) == ["UNKNOWN", "UNKNOWN", "UNKNOWN"]

    await status.append(Venue.SPOT, [entry(each, Liveness.LIVE) for each in ("BTCUSDT", "ETHUSDT")])
    assert await states(rows) == ["UNKNOWN", "LIVE", "LIVE"]
    await status.append(Venue.SPOT, [entry("ETHUSDT", Liveness.STALE)])
    assert await states(rows) == ["UNKNOWN", "LIVE", "STALE"]
    assert await states(rows_at(client, TS)) == ["UNKNOWN", "LIVE", "STALE"]


async def test_nothing_written_for_long_is_not_live(client: ClusterClient) -> None:
    assert await states(rows_at(client, TS + 10_001)) == ["SILENT", "SILENT", "SILENT"]


async def test_quotes_are_shown_where_their_status_may_not_be_read(client: ClusterClient) -> None:
    (address,) = set(client.slot_owners().values())
    (node,) = client.get_nodes()
    await client.execute_command(
        "ACL", "SETUSER", "quotes", "on", ">pass", *READER, target_nodes=node
    )
    async with connect_cluster([address], user="quotes", read_password=lambda: "pass") as reader:
        rows = rows_at(reader, TS)
        assert await states(rows) == ["UNREADABLE", "UNREADABLE", "UNREADABLE"]
    assert rows.trouble.startswith("the states may be old: ")
    assert "permission" in rows.trouble
