"""Two services on one ArangoDB and one Redis: settlements from estimate to stream, each once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from msgspec import Struct
from redis.asyncio import Redis

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS, MINUTE_MS
from tests.arango_double import arango_double
from tests.contract.service_process import (
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, simulator_client
from tests.time_limits import TIMEOUT_S

TOKEN, RECORD = make_token(
    "oper", b"o" * 32, actor="ops", scopes=[Scope.READ, Scope.JOBS_RUN], created_at=0
)
INCOME = "GET /fapi/v1/income"
STREAM = "mkt:events:funding:BTCUSDT"
DAYS = 2
RATE = 60
"""How much faster than ours the exchange's clock runs."""


class Site(Struct):
    """The services, their exchange, database and Redis."""

    services: tuple[Service, Service]
    clients: tuple[httpx2.AsyncClient, httpx2.AsyncClient]
    sim: SimulatorClient
    redis: Redis
    events: StreamReader

    async def realised(self, funding_time: int = 0) -> dict[str, str]:
        """The next event of a realised rate; of this settlement if a time is given."""
        while True:
            _, fields = await self.events.next()
            time = int(fields["funding_time"])
            if "rate_real" in fields and abs(time - (funding_time or time)) < MINUTE_MS:
                return fields

    async def health(self, number: int) -> dict[str, Any]:
        reply: dict[str, Any] = (await self.clients[number].get("/health")).json()
        return reply

    async def job(self, number: int, name: str) -> dict[str, Any]:
        [found] = [job for job in (await self.health(number))["jobs"] if job["name"] == name]
        return dict(found)

    async def owner(self, asked: int = 0) -> int:
        """The number of the instance that runs the jobs, as the instance *asked* says, once the
        first run is stored.
        """
        while "owner" not in (job := await self.job(asked, "funding.settlements")):
            pass
        name: str = job["owner"]
        pids = [each.process.pid for each in self.services]
        return pids.index(int(name.split("-")[-2]))

    async def records(self, number: int) -> list[dict[str, Any]]:
        _, clock = await self.sim.control("GET", "/sim/status")
        start = clock["clock"]["now_ms"] - 30 * DAY_MS
        reply = await self.clients[number].get(f"/xchg/funding/BTCUSDT?limit=1000&start={start}")
        assert reply.status_code == HTTPStatus.OK, reply.text
        rows: list[dict[str, Any]] = reply.json()["records"]
        return rows

    async def metric(self, number: int, line: str) -> float:
        """The value of the line of /metrics that begins so."""
        page = (await self.clients[number].get("/metrics")).text.splitlines()
        [found] = [each for each in page if each.startswith(f"{line} ")]
        return float(found.split()[-1])

    async def next_settlement(self) -> int:
        """Move the exchange's clock to a minute before the next settlement of BTCUSDT, and have it
        run fast; return the time of the settlement.
        """
        _, clock = await self.sim.control("POST", "/sim/clock", {"rate": 1})
        now: int = clock["now_ms"]
        due = (now // (8 * HOUR_MS) + 1) * 8 * HOUR_MS
        offset = clock["offset_ms"] + due - now - MINUTE_MS
        await self.sim.control("POST", "/sim/clock", {"rate": RATE, "offset_ms": offset})
        return due


@pytest.fixture
async def site(redis_binary: Path, tmp_path: Path) -> AsyncIterator[Site]:
    write_token_file(tmp_path / "tokens.json", [RECORD])
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path / "redis", binary=redis_binary)
        )
        [address] = redis.addresses
        simulator = await stack.enter_async_context(simulator_process("--symbols", "4"))
        sim = await stack.enter_async_context(simulator_client(simulator.ready))
        await sim.arm(INCOME, "code:-2015", times=1_000)
        double = stack.enter_context(arango_double(coordinators=1))
        environ = {
            **simulated(simulator.ready, "BTCUSDT"),
            "S1_BINANCE_KEY": simulator.ready["api_key"],
            "S1_BINANCE_SECRET": simulator.ready["api_secret"],
            "S1_REDIS_ADDRESSES": str(address),
            "S1_DB_ARANGO_URI": double.urls[0],
            "S1_DB_ARANGO_USER": "root",
            "S1_API_TOKENS_FILE": str(tmp_path / "tokens.json"),
            "S1_FUNDING_DAYS": str(DAYS),
        }
        one, other = [
            await stack.enter_async_context(service_process(tmp_path / name, environ))
            for name in ("one", "other")
        ]
        redis_client = await stack.enter_async_context(redis_at(address.port))
        clients = [
            await stack.enter_async_context(
                httpx2.AsyncClient(
                    base_url=await service.url(),
                    headers={"Authorization": f"Bearer {TOKEN}"},
                    timeout=TIMEOUT_S,
                )
            )
            for service in (one, other)
        ]
        with anyio.fail_after(3 * TIMEOUT_S):
            yield Site(
                (one, other),
                (clients[0], clients[1]),
                sim,
                redis_client,
                StreamReader(redis_client, STREAM),
            )


async def test_settlements_reach_store_and_stream_once_whichever_instance_runs_the_jobs(
    site: Site,
) -> None:
    """In one pair of services, because starting them takes longest."""
    for _ in range(DAYS * 3):
        await site.realised()
    await rates_are_kept_without_the_permission_to_read_income(site)
    await a_settlement_becomes_a_row_and_an_event(site)
    survivor = await another_instance_goes_on_when_the_owner_is_killed(site)
    await the_last_days_are_completed(site, survivor)
    await every_row_is_an_event_that_can_be_recognized(site, survivor)
    await the_metrics_say_what_was_done(site, survivor)


async def rates_are_kept_without_the_permission_to_read_income(site: Site) -> None:
    while (await site.job(0, "funding.backfill"))["result"] != "ok":
        pass
    owner = await site.owner()
    components = (await site.health(owner))["components"]
    [found] = [each for each in components if each["name"] == "funding"]
    assert found["level"] == "YELLOW"
    assert "amounts" in found["detail"]
    assert "-2015" in found["detail"]
    assert min(await site.sim.fired()) > 0


async def a_settlement_becomes_a_row_and_an_event(site: Site) -> None:
    due = await site.next_settlement()

    event = await site.realised(due)

    assert event["rate_est"], "estimated while the services listened"
    assert event["event_id"] == f"BTCUSDT-{event['funding_time']}-Regular-1"
    for number in range(2):
        row = (await site.records(number))[-1]
        assert str(row["funding_time"]) == event["funding_time"]
        assert (row["rate_text"], row["rate_est_text"]) == (event["rate_real"], event["rate_est"])


async def another_instance_goes_on_when_the_owner_is_killed(site: Site) -> int:
    owner = await site.owner()
    site.services[owner].process.kill()
    survivor = 1 - owner
    due = await site.next_settlement()

    event = await site.realised(due)

    assert event["rate_est"]
    assert await site.owner(survivor) == survivor
    return survivor


async def the_last_days_are_completed(site: Site, survivor: int) -> None:
    """The job of every 8 hours, which follows our clock and not the exchange's."""
    client = site.clients[survivor]
    assert (await client.post("/xchg/jobs/funding.complete/run")).status_code == 202
    while (job := await site.job(survivor, "funding.complete"))["result"] != "ok":
        assert job["failures"] == 0, job
    assert job["detail"].startswith("read 8 days from ")
    assert "no gap" in job["detail"]


async def every_row_is_an_event_that_can_be_recognized(site: Site, survivor: int) -> None:
    entries: Any = await site.redis.xrange(STREAM)
    events: dict[str, dict[str, str]] = {}
    for _, fields in entries:
        if "rate_real" in fields:
            assert events.setdefault(fields["event_id"], fields) == fields
    announced = {(each["funding_time"], each["rate_real"]) for each in events.values()}
    first = min(int(time) for time, _ in announced)
    rows = [row for row in await site.records(survivor) if row["funding_time"] >= first]
    assert announced == {(str(row["funding_time"]), row["rate_text"]) for row in rows}
    assert len(announced) > DAYS * 3, "the older ones of the last 8 days, too"
    estimates = [fields for _, fields in entries if "rate_real" not in fields]
    assert estimates
    assert all("-est-" in fields["event_id"] for fields in estimates)


async def the_metrics_say_what_was_done(site: Site, survivor: int) -> None:
    assert await site.metric(survivor, "s1_funding_settlement_delay_seconds_count") > 0
    assert await site.metric(survivor, 's1_funding_requests_total{job="funding.complete"}') > 0
    assert await site.metric(survivor, "s1_funding_history_rows_passed_over_total") > 0
    assert await site.metric(survivor, "s1_funding_gaps") == 0
