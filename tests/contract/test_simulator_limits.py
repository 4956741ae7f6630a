"""Rate limits and bans of the simulator, over the wire and at its control plane."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.simulator.config import SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock
from tests.simulator_client import SimulatorClient, simulator_client

CLOCK = SystemClock()

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
TIME, FUNDING = "/fapi/v1/time", "/fapi/v1/fundingInfo"
OTHER_ADDRESS = "127.0.0.2"


class Limited:
    """A simulator whose limits a test makes small."""

    def __init__(self, sim: SimulatorClient) -> None:
        self.sim = sim

    async def limit(self, refusals_before_ban: int = 10, **limits: int) -> None:
        """Set limits; `futures_weight` is the bucket `futures.weight`."""
        named = {name.replace("_", "."): limit for name, limit in limits.items()}
        body = {"limits": named, "refusals_before_ban": refusals_before_ban}
        status, answer = await self.sim.control("POST", "/sim/limits", body)
        assert status == 200, answer

    async def statuses(self, venue: str, path: str, times: int) -> list[int]:
        return [(await self.sim.rest(venue, path))[0] for _ in range(times)]

    async def bucket(self, name: str) -> dict[str, Any]:
        _, status = await self.sim.control("GET", "/sim/status")
        found: dict[str, Any] = status["limits"]["buckets"][name]
        return found


@pytest.fixture
async def limited(tasks: TaskGroup) -> AsyncIterator[Limited]:
    """No window ends while a test runs."""
    config = SimulatorConfig(symbols=("BTCUSDT",), rate=0.001)
    addresses = await tasks.start(Simulator(config, CLOCK).run)
    async with simulator_client(msgspec.structs.asdict(addresses)) as sim:
        ahead_ms = HOUR_MS - CLOCK.now_ms() % HOUR_MS
        await sim.control("POST", "/sim/clock", {"offset_ms": ahead_ms})
        yield Limited(sim)


async def test_the_limits_are_those_of_binance_and_listed_as_there(limited: Limited) -> None:
    """The listing names neither the funding bucket, nor those of /sapi, nor dials."""
    _, view = await limited.sim.control("GET", "/sim/limits")
    small = {"futures.weight": 77, "spot.weight": 88, "spot.raw": 99}
    futures_orders = {"futures.orders_10s": 66, "futures.orders_1m": 55}
    orders = futures_orders | {"spot.orders_10s": 44, "spot.orders_1d": 33}
    await limited.sim.control("POST", "/sim/limits", {"limits": small | orders})
    listed = {
        row["limit"]
        for venue, path in (("perp", "/fapi/v1"), ("perp", "/dapi/v1"), ("spot", "/api/v3"))
        for row in (await limited.sim.rest(venue, f"{path}/exchangeInfo"))[1]["rateLimits"]
    }

    limits = {
        name: (bucket["limit"], bucket["window_ms"] / MINUTE_MS)
        for name, bucket in view["buckets"].items()
    }
    assert limits == {
        "spot.weight": (6_000, 1),
        "spot.raw": (300_000, 5),
        "spot.dials": (300, 5),
        "spot.orders_10s": (100, 10_000 / MINUTE_MS),
        "spot.orders_1d": (200_000, 24 * 60),
        "sapi.ip": (12_000, 1),
        "sapi.uid": (180_000, 1),
        "futures.weight": (2_400, 1),
        "futures.funding": (500, 5),
        "futures.dials": (300, 5),
        "futures.orders_10s": (300, 10_000 / MINUTE_MS),
        "futures.orders_1m": (1_200, 1),
    }
    assert listed == {33, 44, 55, 66, 77, 88, 99}


async def test_weight_of_fapi_and_dapi_is_one_and_a_400_costs_as_much(limited: Limited) -> None:
    await limited.sim.rest("perp", TIME)
    await limited.sim.rest("perp", "/dapi/v1/time")
    status, _, headers = await limited.sim.rest("perp", "/fapi/v1/depth?symbol=NONE&limit=1000")

    assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (400, "22")
    bucket = await limited.bucket("futures.weight")
    assert (bucket["counted"], bucket["highest"], bucket["passed"]) == (22, 22, 0)


async def test_a_client_that_goes_on_after_429_is_banned(limited: Limited) -> None:
    """With the time to wait in a header each time, the end of the ban in the body, too."""
    await limited.limit(futures_weight=3, refusals_before_ban=2)
    statuses = await limited.statuses("perp", TIME, 7)
    _, body, headers = await limited.sim.rest("perp", TIME)
    _, view = await limited.sim.control("GET", "/sim/limits")

    assert statuses == [200, 200, 200, 429, 429, 418, 418]
    (refused,) = view["refused"]
    until_ms = refused.pop("banned_until_ms")
    assert refused == {
        "server": "rest:perp",
        "address": "127.0.0.1",
        "refusals": 2,
        "bans": 1,
        "while_banned": 2,
    }
    assert body["code"] == -1003
    assert f"IP banned until {until_ms}." in body["msg"]
    assert 0 < int(headers["Retry-After"]) <= 120
    assert (await limited.bucket("futures.weight"))["passed"] == 3
    assert await limited.statuses("spot", "/api/v3/time", 1) == [200]


async def test_a_429_says_when_the_minute_ends(limited: Limited) -> None:
    await limited.limit(futures_weight=1)
    await limited.sim.rest("perp", TIME)
    status, body, headers = await limited.sim.rest("perp", TIME)

    assert (status, body["code"]) == (429, -1003)
    assert 0 < int(headers["Retry-After"]) <= 60
    assert headers["X-MBX-USED-WEIGHT-1M"] == "2"


async def test_funding_requests_have_a_bucket_without_a_header(limited: Limited) -> None:
    await limited.limit(futures_funding=2)
    statuses = await limited.statuses("perp", FUNDING, 2)
    refused = await limited.sim.rest("perp", FUNDING)

    assert [*statuses, refused[0]] == [200, 200, 429]
    assert refused[2]["X-MBX-USED-WEIGHT-1M"] == "0"
    assert await limited.statuses("perp", TIME, 1) == [200]


async def test_addresses_are_told_apart(limited: Limited) -> None:
    await limited.limit(futures_weight=2)
    assert await limited.statuses("perp", TIME, 3) == [200, 200, 429]

    connector = aiohttp.TCPConnector(local_addr=(OTHER_ADDRESS, 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        other = Limited(SimulatorClient(session, limited.sim.urls))
        assert await other.statuses("perp", TIME, 2) == [200, 200]

    bucket = await limited.bucket("futures.weight")
    used = {address: use["used"] for address, use in bucket["by_address"].items()}
    assert used == {"127.0.0.1": 3, OTHER_ADDRESS: 2}
    assert (bucket["counted"], bucket["highest"], bucket["passed"]) == (5, 3, 1)


@pytest.mark.parametrize(("venue", "path"), [("spot", "/ws"), ("perp", "/public/ws")])
async def test_dials_are_limited_also_those_that_fail(
    limited: Limited, venue: str, path: str
) -> None:
    bucket = f"{'spot' if venue == 'spot' else 'futures'}.dials"
    await limited.limit(**{bucket.replace(".", "_"): 3}, refusals_before_ban=1)
    await limited.sim.arm(f"ws:{venue}", "refuse:503")
    statuses = []
    for _ in range(5):
        try:
            async with limited.sim.connect(venue, f"{path}/btcusdt@bookTicker"):
                statuses.append(101)
        except aiohttp.WSServerHandshakeError as error:
            statuses.append(error.status)

    assert statuses == [503, 101, 101, 429, 418]
    assert (await limited.bucket(bucket))["passed"] == 2


async def test_what_was_counted_can_be_forgotten(limited: Limited) -> None:
    """Bans are over then; the limits stay."""
    await limited.limit(futures_weight=1, refusals_before_ban=0)
    assert await limited.statuses("perp", TIME, 3) == [200, 418, 418]
    await limited.sim.control("DELETE", "/sim/limits")

    assert await limited.statuses("perp", TIME, 2) == [200, 418]


@pytest.mark.parametrize(
    "body",
    [
        {"limits": {"futures.wait": 3}},
        {"limits": {"futures.weight": 0}},
        {"refusals_before_ban": -1},
        {"limit": {}},
    ],
)
async def test_a_wrong_limit_is_refused_with_what_is_allowed(
    limited: Limited, body: dict[str, Any]
) -> None:
    status, answer = await limited.sim.control("POST", "/sim/limits", body)

    assert status == 400
    assert "futures.orders_10s, futures.orders_1m; refusals_before_ban" in answer["error"]
