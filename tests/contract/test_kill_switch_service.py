"""The kill switch and a real service: publication stops and lets go again, everything else stays
right. Every update is published (window 0): an entry's id is the receipt of its quote.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgspec
import pytest
from msgspec import Struct
from redis.asyncio import Redis

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1_client import (
    EntriesMissing,
    QuoteReader,
    RedisAccess,
    State,
    read_quotes,
)
from tests.contract.service_process import (
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

STREAM = "mkt:events:spot:BTCUSDT"
STATUS = "mkt:status:spot"


class Site(Struct):
    """Where a service publishes one stream, and a reader of `mkt:status`."""

    state_dir: Path
    environ: dict[str, str]
    redis: Redis
    status: StreamReader

    @asynccontextmanager
    async def serving(self, **more: str) -> AsyncIterator[tuple[Service, "Desk"]]:
        async with (
            service_process(self.state_dir, {**self.environ, **more}) as service,
            httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http,
        ):
            yield service, Desk(http)

    async def marker(self, state: str) -> dict[str, str]:
        """The next entry of `mkt:status` with *state* and the cause `kill_switch`."""
        while True:
            _, fields = await self.status.next()
            if fields["state"] == state and fields["cause"].startswith("kill_switch: "):
                return fields

    async def receipts(self, after_ms: int = 0) -> list[int]:
        """When the quotes on the stream were received, those after *after_ms*, epoch ms."""
        entries: Any = await self.redis.xrange(STREAM, min=f"{after_ms + 1}-0")
        return [int(entry_id.partition("-")[0]) for entry_id, _ in entries]


class Desk(Struct):
    """HTTP of a service."""

    http: httpx2.AsyncClient

    async def shows_a_quote_after(self, after_ms: int) -> None:
        """Feeds are drained: wait until `/xchg/quotes/stream` has a newer quote."""
        with anyio.fail_after(TIMEOUT_S):
            async with self.http.stream("GET", "/xchg/quotes/stream") as events:
                async for line in events.aiter_lines():
                    if '"mid"' in line and msgspec.json.decode(line[6:])["ts"] > after_ms:
                        return

    async def statuses(self) -> list[tuple[str, str]]:
        """Of `/xchg/status`: symbol and state of each row."""
        reply = (await self.http.get("/xchg/status")).json()
        return [(row["symbol"], row["state"]) for row in reply["statuses"]]

    async def levels(self) -> dict[str, str]:
        reply = (await self.http.get("/health")).json()
        return {each["name"]: each["level"] for each in reply["components"]}


@pytest.fixture
async def site(tmp_path: Path, redis_binary: Path) -> AsyncIterator[Site]:
    async with (
        simulator_process("--symbols", "BTCUSDT", "--rate", "50") as simulator,
        EmbeddedRedis(tmp_path / "redis", binary=redis_binary) as cluster,
        redis_at(cluster.addresses[0].port) as redis,
    ):
        environ = {
            **simulated(simulator.ready, "spot/BTCUSDT"),
            "S1_VENUES": "spot",
            "S1_CONFLATION_MS": "0",
            "S1_REDIS_ADDRESSES": str(cluster.addresses[0]),
        }
        yield Site(tmp_path / "state", environ, redis, StreamReader(redis, STATUS))


async def test_the_switch_stops_publication_and_nothing_else_and_lets_go_again(site: Site) -> None:
    access = RedisAccess(addresses=site.environ["S1_REDIS_ADDRESSES"])
    async with (
        site.serving() as (_, desk),
        read_quotes(access, ["spot/BTCUSDT"]) as client,
    ):
        await _until(client, State.LIVE)
        await site.redis.set("kill_switch", "on")
        gap = await site.marker("GAP")
        stopped_ms = int(gap["since"])
        assert (gap["symbol"], int(gap["ts"])) == ("*", stopped_ms)

        await desk.shows_a_quote_after(stopped_ms + 1_000)
        assert await site.receipts(stopped_ms) == []
        await _until(client, State.GAP, gap["cause"])
        levels = await desk.levels()
        assert levels.pop("kill_switch") == "ORANGE"
        assert "RED" not in {levels["publisher"], levels["redis"], levels["feed.spot"]}
        assert (await desk.http.get("/ready")).status_code == 200
        assert (await desk.statuses())[0] == ("*", "GAP")

        await site.redis.delete("kill_switch")
        resumed = await site.marker("RESUMED")
        assert (resumed["since"], resumed["cause"]) == (gap["since"], gap["cause"])
        await StreamReader(site.redis, STREAM, after=f"{stopped_ms + 1}-0").next()
        assert min(await site.receipts(stopped_ms)) > stopped_ms + 1_000
        assert [symbol for symbol, _ in await desk.statuses()] == ["BTCUSDT"]
        await _until(client, State.LIVE)
        assert (await desk.levels())["kill_switch"] == "GREEN"

    entries: Any = await site.redis.xrange(STREAM)
    times = [int(fields["ts"]) for _, fields in entries]
    assert times == sorted(times)


async def test_a_service_that_starts_and_ends_under_the_switch_writes_no_quote(site: Site) -> None:
    """The switch is read before the first write, and the last flush writes nothing."""
    await site.redis.set("kill_switch", "on")
    async with site.serving() as (service, desk):
        stopped_ms = int((await site.marker("GAP"))["since"])
        await desk.shows_a_quote_after(stopped_ms)
        await service.readiness(200)
        assert await service.stop() == 0

    assert await site.receipts() == []


async def test_a_standby_takes_over_under_the_switch_and_ends_the_gap_of_the_killed_publisher(
    site: Site, tmp_path: Path
) -> None:
    """With `slow` it writes the newest quote once an interval: most updates are on no stream."""
    slow = {"S1_KILL_SWITCH_MODE": "slow", "S1_KILL_SWITCH_SLOW_MS": "1000"}
    async with (
        site.serving() as (first, desk),
        site.serving(S1_STATE_DIR=str(tmp_path / "second"), **slow) as (second, _),
    ):
        await desk.shows_a_quote_after(0)
        await second.logged("standby: ")
        await site.redis.set("kill_switch", "on")
        gaps = [await site.marker("GAP")]
        first.process.kill()
        await first.ended()
        await second.logged("publishing in place of ")
        gaps.append(await site.marker("GAP"))
        assert gaps[1]["cause"].endswith("allows one write every 1000 ms")

        entries: Any = await site.redis.xrevrange(STREAM, count=1)
        written = StreamReader(site.redis, STREAM, after=entries[0][0])
        updates = [int((await written.next())[0].partition("-")[2]) for _ in range(2)]
        assert updates[1] - updates[0] > 1

        await site.redis.delete("kill_switch")
        ended = [await site.marker("RESUMED") for _ in gaps]

    assert sorted(map(_period, ended)) == sorted(map(_period, gaps))


def _period(marker: dict[str, str]) -> tuple[str, str]:
    return marker["since"], marker["cause"]


async def _until(client: QuoteReader, state: State, cause: str = "") -> None:
    """Wait until an update of the client says so."""
    with anyio.fail_after(TIMEOUT_S):
        async for update in client:
            if isinstance(update, EntriesMissing):
                pytest.fail(f"{update}")
            condition = update.condition
            if condition.state == state and condition.cause.startswith(cause):
                return
