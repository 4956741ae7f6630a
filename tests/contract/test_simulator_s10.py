"""The stand-in for S10: what it serves, what it announces, and what it refuses."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from tests.contract.redis_cluster import Addresses
from tests.processes import simulator_process
from tests.time_limits import TIMEOUT_S

Reply = tuple[int, dict[str, Any]]


class StandIn:
    """A client of `GET /active` and of the control plane."""

    def __init__(self, urls: dict[str, str], http: httpx2.AsyncClient) -> None:
        self._urls = urls
        self._http = http

    async def active(self) -> Reply:
        return _read(await self._http.get(f"{self._urls['s10_url']}/active"))

    async def post(self, path: str, body: object) -> Reply:
        return _read(await self._http.post(self._urls["control_url"] + path, json=body))


def _read(reply: httpx2.Response) -> Reply:
    try:
        return reply.status_code, msgspec.json.decode(reply.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return reply.status_code, {}


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with simulator_process("--symbols", "BTCUSDT", "--s10") as process:
        yield process.ready


@pytest.fixture
async def s10(urls: dict[str, str]) -> AsyncIterator[StandIn]:
    async with httpx2.AsyncClient(timeout=TIMEOUT_S) as http:
        yield StandIn(urls, http)


async def test_revisions_count_on_and_fields_that_are_left_out_stay(s10: StandIn) -> None:
    _, first = await s10.active()
    assert [row["symbol"] for row in first["instruments"]] == ["BTCUSDT", "BTCUSDT"]

    await s10.post("/sim/s10", {"defaults": {"spread_bp_limit": 8}})
    _, second = await s10.active()
    assert second == {
        **first,
        "rev": first["rev"] + 1,
        "defaults": {"spread_bp_limit": 8},
    }

    await s10.post("/sim/s10", {"rev": 0, "instruments": ["bad"]})
    assert (await s10.active())[1] == {**second, "rev": 0, "instruments": ["bad"]}

    await s10.post("/sim/s10", {"instruments": []})
    assert (await s10.active())[1]["rev"] == second["rev"] + 1


async def test_a_fault_on_active_acts_on_it_alone(s10: StandIn) -> None:
    await s10.post("/sim/faults", {"on": "rest:spot", "do": "status:500"})
    await s10.post("/sim/faults", {"on": "GET /active", "do": "status:503"})

    assert [(await s10.active())[0] for _ in range(2)] == [503, 200]


async def test_revisions_are_announced_in_the_named_cluster(
    s10: StandIn, redis_cluster: Addresses
) -> None:
    async with connect_cluster(redis_cluster) as client:
        for key in ("cfg:active_rev", "cfg:events"):
            await client.execute_command("DEL", key)
        _, shown = await s10.post("/sim/s10/redis", {"addresses": str(redis_cluster[0])})
        assert (shown["announced"], shown["error"]) == (1, "")
        await s10.post("/sim/s10", {"rev": 41})
        await s10.post("/sim/s10", {"rev": 42, "announce": False})

        assert await client.execute_command("GET", "cfg:active_rev") == "41"
        entries = await client.execute_command("XRANGE", "cfg:events", "-", "+")
        _, newest = entries[-1]
        assert list(newest) == ["rev", "ts"]
        assert newest["rev"] == "41"
        for key in ("cfg:active_rev", "cfg:events"):
            await client.execute_command("DEL", key)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/sim/s10", {"rev": -1}, "rev: whole number from 0"),
        ("/sim/s10", {"symbols": []}, "instruments: list"),
        ("/sim/s10/redis", {}, "host:port,host:port"),
        ("/sim/s10/redis", {"addresses": "localhost"}, "'localhost' is not the address"),
        ("/sim/s10/redis", {"addresses": ""}, "is not the address"),
    ],
)
async def test_a_bad_body_is_refused_with_what_is_allowed(
    s10: StandIn, path: str, body: object, words: str
) -> None:
    status, reply = await s10.post(path, body)

    assert status == 400
    assert words in reply["error"]


async def test_a_redis_that_does_not_answer_is_shown(s10: StandIn) -> None:
    status, shown = await s10.post("/sim/s10/redis", {"addresses": "127.0.0.1:1"})

    assert status == 200
    assert "127.0.0.1:1" in shown["error"]
