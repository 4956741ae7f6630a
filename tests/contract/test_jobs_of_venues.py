"""A spot-only and a perp-only service on one store: neither needs the other."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.identifiers import Venue
from tests.arango_double import arango_double
from tests.contract.service_process import service_process, simulated
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

TOKEN, TRADER = make_token(
    "trader", b"t" * 32, actor="ops", scopes=[Scope.ORDERS_TRADE], created_at=0
)


async def sync_job(url: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(base_url=url, timeout=TIMEOUT_S) as http:
        jobs = (await http.get("/health")).json()["jobs"]
    found: dict[str, Any] = next(job for job in jobs if job["name"] == "instruments.sync")
    return found


async def reconciled_venues(url: str) -> list[str]:
    """Of a round of the execution capability that could read everything."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S) as http:
        reply = (await http.post("/xchg/reconcile")).raise_for_status().json()
    assert not [problem for each in reply["venues"] for problem in each["problems"]]
    return [each["venue"] for each in reply["venues"]]


async def test_each_syncs_the_venue_that_it_serves(redis_binary: Path, tmp_path: Path) -> None:
    """Ready means that each has the instruments of its venue, from a sync of its own. With a key,
    each also follows the orders of its venue.
    """
    async with AsyncExitStack() as stack:
        double = stack.enter_context(arango_double(coordinators=1))
        simulator = await stack.enter_async_context(
            simulator_process("--symbols", "BTCUSDT", "--rate", "5")
        )
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path / "redis", binary=redis_binary)
        )
        base = {
            "S1_REDIS_ADDRESSES": str(redis.addresses[0]),
            "S1_DB_ARANGO_URI": ",".join(double.urls),
            "S1_DB_ARANGO_USER": "root",
            "S1_BINANCE_KEY": simulator.ready["api_key"],
            "S1_BINANCE_SECRET": simulator.ready["api_secret"],
            "S1_API_TOKENS_FILE": str(tmp_path / "tokens.json"),
        }
        write_token_file(tmp_path / "tokens.json", [TRADER])
        services = {}
        for venue in Venue:
            environ = {
                **simulated(simulator.ready, f"{venue}/BTCUSDT"),
                **base,
                "S1_VENUES": venue.value,
            }
            process = service_process(tmp_path / venue, environ)
            services[venue] = await stack.enter_async_context(process)

        owners = set()
        for venue, service in services.items():
            await service.readiness(200)
            job = await sync_job(await service.url())
            assert job["result"] == "ok"
            assert job["detail"].startswith(f"{venue.value}: ")
            owners.add(job["owner"])
            assert await reconciled_venues(await service.url()) == [venue.value]

        assert len(owners) == len(services)
