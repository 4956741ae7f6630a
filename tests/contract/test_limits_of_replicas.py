"""Three services behind one address: the exchange's own count says that no limit was passed.

The simulator counts by its rule, with limits so small that clock, registry and treasury want far
more than there is. A hold that one service hears is obeyed by all.
"""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from tests.contract.service_process import (
    Service,
    service_process,
    simulated,
)
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

SERVICES = 3
OPERATOR_TOKEN, OPERATOR = make_token(
    "operator", b"o" * 32, actor="on-call", scopes=[Scope.JOBS_RUN, Scope.READ], created_at=0
)
LIMITS = {"futures.weight": 200, "futures.funding": 16, "spot.weight": 1_200, "sapi.ip": 600}
LIST_SPOT = 20
REFUSED = 503


class Replicas(Struct):
    """Services that share the address and a Redis, each with a store of its own."""

    services: list[Service]
    control: httpx2.AsyncClient

    async def limits(self) -> dict[str, Any]:
        view: dict[str, Any] = (await self.control.get("/sim/limits")).raise_for_status().json()
        return view

    async def counted(self, bucket: str) -> int:
        """A request of before is counted by the time of the second answer."""
        await self.limits()
        return int((await self.limits())["buckets"][bucket]["counted"])

    async def sync_until_refused(self, venue: str) -> list[str]:
        """Each service reads the listing of *venue* until it may no more; why it may not."""
        why: list[str] = []
        async with anyio.create_task_group() as tasks:

            async def sync(service: Service) -> None:
                async with httpx2.AsyncClient(
                    base_url=await service.url(),
                    timeout=TIMEOUT_S,
                    headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"},
                ) as http:
                    while True:
                        answer = await http.post("/xchg/instruments/sync", params={"venue": venue})
                        if answer.status_code == REFUSED:
                            why.append(answer.json()["detail"])
                            return
                        assert answer.status_code == 200, answer.text

            for service in self.services:
                tasks.start_soon(sync, service)
        return why


@pytest.fixture
async def replicas(redis_binary: Path, tmp_path: Path) -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            simulator_process("--symbols", "BTCUSDT,ETHUSDT", "--rate", "20")
        )
        ready = simulator.ready
        control = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=ready["control_url"], timeout=TIMEOUT_S)
        )
        (await control.post("/sim/limits", json={"limits": LIMITS})).raise_for_status()
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path / "redis", binary=redis_binary)
        )
        write_token_file(tmp_path / "tokens.json", [OPERATOR])
        environ = {
            **simulated(ready),
            "S1_REQUEST_LIMITS": ",".join(f"{name}={limit}" for name, limit in LIMITS.items()),
            "S1_REDIS_ADDRESSES": str(redis.addresses[0]),
            "S1_API_TOKENS_FILE": str(tmp_path / "tokens.json"),
            "S1_CLOCK_PATROL_MS": "5000",
        }
        key = {"S1_BINANCE_KEY": ready["api_key"], "S1_BINANCE_SECRET": ready["api_secret"]}
        services = [
            await stack.enter_async_context(
                service_process(tmp_path / f"{number}", environ | ({} if number else key))
            )
            for number in range(SERVICES)
        ]
        for service in services:
            for name in ("spot-0", "perp-0"):
                await service.logged(f"{name}: delivering")
        await services[0].logged("is claimed by this installation")
        yield Replicas(services, control)


async def test_the_sum_of_three_services_passes_no_limit_of_the_exchange(
    replicas: Replicas,
) -> None:
    fault = {"on": "rest:spot", "do": "rate-limit:300", "times": 1}
    (await replicas.control.post("/sim/faults", json=fault)).raise_for_status()
    for service in replicas.services:
        await service.logged("spot: no requests")
    held = await replicas.counted("spot.weight")
    refusals = await replicas.sync_until_refused("spot")
    assert len(refusals) == SERVICES
    assert all("rate limited for another" in each for each in refusals), refusals
    assert await replicas.counted("spot.weight") == held

    refusals = await replicas.sync_until_refused("perp")
    replicas.services.pop().process.send_signal(signal.SIGKILL)
    refusals += await replicas.sync_until_refused("perp")
    assert len(refusals) == SERVICES + SERVICES - 1
    assert all("not sent: listings needs 1 of futures.weight" in each for each in refusals), (
        refusals
    )

    limits = await replicas.limits()
    buckets = limits["buckets"]
    assert not {name: each for name, each in buckets.items() if each["passed"]}
    assert limits["refused"] == []
    assert buckets["spot.weight"]["counted"] > LIST_SPOT * SERVICES
    assert buckets["futures.funding"]["highest"] > SERVICES
    assert buckets["futures.weight"]["highest"] > LIMITS["futures.weight"] // 3
    for name in ("spot.dials", "futures.dials"):
        assert buckets[name]["counted"] >= SERVICES, name
    assert buckets["sapi.ip"]["counted"] > 0
