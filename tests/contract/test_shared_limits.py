"""Instances as real processes behind one address: a ban heard by one, limits divided by all."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from tests.contract.service_process import Service, redis_at, service_process, simulated
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

BAN_S = 600
BANNED = "spot: no requests and no dials for"


class Site(Struct):
    """Starts instances that share simulator and Redis."""

    start: Callable[[str], Any]
    control: httpx2.AsyncClient
    redis: Any


@pytest.fixture
async def site(redis_binary: Path, tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            simulator_process("--symbols", "BTCUSDT", "--rate", "5")
        )
        redis = await stack.enter_async_context(
            EmbeddedRedis(tmp_path / "redis", binary=redis_binary)
        )
        environ = {
            **simulated(simulator.ready, "spot/BTCUSDT"),
            "S1_VENUES": "spot",
            "S1_REDIS_ADDRESSES": str(redis.addresses[0]),
        }

        async def start(name: str) -> Service:
            return await stack.enter_async_context(service_process(tmp_path / name, environ))

        control = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=simulator.ready["control_url"], timeout=TIMEOUT_S)
        )
        client = await stack.enter_async_context(redis_at(redis.addresses[0].port))
        yield Site(start, control, client)


async def limits_sentence(service: Service) -> str:
    async with httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http:
        components = (await http.get("/health")).json()["components"]
    found: str = next(each["detail"] for each in components if each["name"] == "limits.spot")
    return found


async def test_a_ban_heard_by_one_instance_holds_all_and_those_that_start_later(
    site: Site,
) -> None:
    """One request of one instance is answered 418. When one of them is killed, the other one holds
    on, and a third one sends no request at all.
    """
    one, other = await site.start("one"), await site.start("other")
    for service in (one, other):
        await service.url()

    fault = {"on": "rest:spot", "do": f"ban:{BAN_S}", "times": 1}
    (await site.control.post("/sim/faults", json=fault)).raise_for_status()
    for service in (one, other):
        await service.logged(BANNED)
    listed = (await site.control.get("/sim/faults")).json()["faults"]
    assert [each["fired"] for each in listed] == [1]
    assert "requests" in await site.redis.hgetall("s1:hold:simulator:spot")
    assert 0 < await site.redis.pttl("s1:hold:simulator:spot") <= (BAN_S + 1) * 1_000

    os.kill(one.process.pid, signal.SIGKILL)
    fault = {"on": "rest:spot", "do": "status:500", "times": 1_000}
    (await site.control.post("/sim/faults", json=fault)).raise_for_status()
    third = await site.start("third")
    await third.logged(BANNED)
    held = await limits_sentence(third)
    assert "IP banned until" in held
    assert "IP banned until" in await limits_sentence(other)
    listed = (await site.control.get("/sim/faults")).json()["faults"]
    assert [each["fired"] for each in listed if each["do"] == "status:500"] == [0]
