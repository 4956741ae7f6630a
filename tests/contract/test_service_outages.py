"""The service while a dependency is absent, killed, or refuses it: it reports that, waits and
recovers.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Collection
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from tests.contract.service_process import (
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import ChimeraProcess, is_running, simulator_process
from tests.time_limits import TIMEOUT_S

SYMBOL = ("--symbols", "BTCUSDT", "--rate", "50")
FEEDS = {"feed.spot", "feed.perp"}
MARKETS = {"market.spot", "market.perp"}
SECRET = "correct horse/battery"


@pytest.fixture
async def node(redis_binary: Path, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A Redis Cluster of one node that a test may break."""
    async with EmbeddedRedis(tmp_path / "cluster", binary=redis_binary) as cluster:
        yield cluster.nodes[0]


@asynccontextmanager
async def simulator_again(ready: dict[str, str]) -> AsyncIterator[ChimeraProcess]:
    """A simulator on the ports of one that was stopped."""
    ports = [
        option
        for name, url in ready.items()
        if name.endswith("_url")
        for option in (f"--{name.removesuffix('_url').replace('_', '-')}-port", _port(url))
    ]
    async with simulator_process(*SYMBOL, *ports) as process:
        assert process.ready == ready
        yield process


def _port(url: str) -> str:
    return str(urlsplit(url).port)


def only(*names: str) -> Callable[[AbstractSet[str]], bool]:
    """Exactly these components are red."""
    return {*names}.__eq__


def beside(node: ServerProcess, ready: dict[str, str], **more: str) -> dict[str, str]:
    """Settings for a simulator and an external Redis."""
    return {**simulated(ready, "BTCUSDT"), "S1_REDIS_ADDRESSES": str(node.address), **more}


async def kinds_until(reader: StreamReader, kind: str, connections: Collection[str]) -> list[str]:
    """The events of each of *connections* up to its first *kind*, as `connection kind`,
    in order.
    """
    waiting = set(connections)
    kinds: list[str] = []
    while waiting:
        _, fields = await reader.next()
        detail: dict[str, Any] = httpx2.Response(200, text=fields["detail_json"]).json()
        name = detail.get("connection", "")
        if name in waiting:
            kinds.append(f"{name} {fields['kind']}")
        if fields["kind"] == kind:
            waiting.discard(name)
    return kinds


async def test_killed_exchange_is_reported_and_reconnected(
    node: ServerProcess, tmp_path: Path
) -> None:
    """Not ready while the feeds are dead, alive all the time, and ready again by itself."""
    connections = ("spot-0", "perp-0")
    async with (
        simulator_process(*SYMBOL) as first,
        service_process(tmp_path, beside(node, first.ready)) as service,
        redis_at(node.address.port) as redis,
    ):
        await service.readiness(200)
        events = StreamReader(redis, "ops:events")
        await kinds_until(events, "ws.opened", connections)

        assert await first.stop(signal.SIGKILL) == -signal.SIGKILL
        # The instruments are blind a few seconds after their feeds are lost, or were before.
        body = await service.readiness(503, lambda red: FEEDS <= red <= FEEDS | MARKETS)
        await kinds_until(events, "ws.lost", connections)
        assert "feed.spot" in body["detail"]

        async with simulator_again(first.ready):
            await service.readiness(200)
            kinds = await kinds_until(events, "ws.opened", connections)
            _, quote = await StreamReader(redis, "mkt:events:perp:BTCUSDT", after="$").next()

        assert quote["symbol"] == "BTCUSDT"
        for name in connections:
            own = [entry.removeprefix(f"{name} ") for entry in kinds if entry.startswith(name)]
            assert set(own[:-1]) <= {"ws.lost"}
            assert own[-1] == "ws.opened"


async def until_state(reader: StreamReader, states: Collection[str]) -> None:
    """Read `mkt:status` up to an entry with one of *states*."""
    while (await reader.next())[1]["state"] not in states:
        pass


async def test_half_a_second_of_disconnect_calls_no_operator(
    node: ServerProcess, tmp_path: Path
) -> None:
    """Consumers know at once; the service stays ready, and the log has one line."""
    patient = {
        "S1_HEALTH_GRACE_MAX_MS": "60000",
        "S1_RECONNECT_BASE_MS": "600",
        "S1_RECONNECT_MAX_WAIT_MS": "600",
    }
    fault = {"on": "ws:spot", "do": "disconnect"}
    async with (
        simulator_process(*SYMBOL) as exchange,
        service_process(tmp_path, beside(node, exchange.ready, **patient)) as service,
        redis_at(node.address.port) as redis,
        httpx2.AsyncClient(base_url=exchange.ready["control_url"], timeout=TIMEOUT_S) as control,
        httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http,
    ):
        await service.readiness(200)
        events = StreamReader(redis, "ops:events")
        status = StreamReader(redis, "mkt:status:spot")
        await kinds_until(events, "ws.opened", ["spot-0"])
        await until_state(status, {"LIVE", "QUIET"})

        (await control.post("/sim/faults", json=fault)).raise_for_status()
        await until_state(status, {"BLIND"})
        during = await http.get("/ready")
        assert await kinds_until(events, "ws.opened", ["spot-0"]) == [
            "spot-0 ws.lost",
            "spot-0 ws.opened",
        ]
        await until_state(status, {"LIVE", "QUIET"})
        fired = (await control.get("/sim/faults")).json()["faults"][0]["fired"]
        assert await service.stop() == 0

    text = [line["message"] for line in service.lines]
    lost, stopping = (
        next(number for number, line in enumerate(text) if part in line)
        for part in ("spot-0 lost", "SIGTERM: stopping")
    )
    assert fired == 1
    assert during.status_code == 200, during.text
    names = ("spot-0", "feed.spot", "market.spot")
    assert not [line for line in text[lost + 1 : stopping] if line.startswith(names)]


async def mode_changes(reader: StreamReader, last: str) -> list[str]:
    """The trading modes entered, up to *last*."""
    entered: list[str] = []
    while last not in entered:
        _, fields = await reader.next()
        if fields["kind"] == "mode.changed":
            entered.append(httpx2.Response(200, text=fields["detail_json"]).json()["to"])
    return entered


async def mode_in_health(service: Service) -> str:
    async with httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as client:
        return str((await client.get("/health")).json()["mode"])


async def test_feeds_out_of_retries_leave_the_service_in_manage_only_until_they_are_back(
    node: ServerProcess, tmp_path: Path
) -> None:
    """The mode follows the connections at once, in health and as an event."""
    impatient = {"S1_RECONNECT_N_MAX": "0", "S1_RECONNECT_SCAN_MS": "100"}
    async with (
        simulator_process(*SYMBOL) as first,
        service_process(tmp_path, beside(node, first.ready, **impatient)) as service,
        redis_at(node.address.port) as redis,
    ):
        await service.readiness(200)
        events = StreamReader(redis, "ops:events")
        assert await first.stop(signal.SIGKILL) == -signal.SIGKILL
        assert await mode_changes(events, "MANAGE_ONLY") == ["MANAGE_ONLY"]
        assert await mode_in_health(service) == "MANAGE_ONLY"

        async with simulator_again(first.ready):
            assert await mode_changes(events, "NORMAL") == ["NORMAL"]
            assert await mode_in_health(service) == "NORMAL"


async def test_killed_redis_is_reported_and_gets_missed_events(
    node: ServerProcess, tmp_path: Path
) -> None:
    """Events wait for the store and arrive in order; quotes flow again."""
    async with (
        simulator_process(*SYMBOL) as exchange,
        service_process(tmp_path, beside(node, exchange.ready)) as service,
        httpx2.AsyncClient(base_url=exchange.ready["control_url"], timeout=TIMEOUT_S) as control,
    ):
        await service.readiness(200)
        async with redis_at(node.address.port) as redis:
            await kinds_until(StreamReader(redis, "ops:events"), "ws.opened", ["spot-0"])
        await node.kill()
        await service.readiness(503, only("redis"))

        fault = {"on": "ws:spot", "do": "disconnect"}
        (await control.post("/sim/faults", json=fault)).raise_for_status()
        await service.logged("spot-0 lost")
        await node.start()
        await service.readiness(200)

        fired = (await control.get("/sim/faults")).json()["faults"][0]["fired"]
        async with redis_at(node.address.port) as redis:
            events = StreamReader(redis, "ops:events")
            # The opening of before the fault comes first where Redis had not got it yet.
            await kinds_until(events, "ws.lost", ["spot-0"])
            kinds = await kinds_until(events, "ws.opened", ["spot-0"])
            _, quote = await StreamReader(redis, "mkt:events:spot:BTCUSDT").next()

    assert fired == 1
    assert kinds[-1] == "spot-0 ws.opened"
    assert quote["symbol"] == "BTCUSDT"


async def test_a_killed_embedded_redis_is_started_again(tmp_path: Path) -> None:
    """The data of Redis is lost; the service continues."""
    async with (
        simulator_process(*SYMBOL) as exchange,
        service_process(tmp_path, simulated(exchange.ready, "BTCUSDT")) as service,
    ):
        await service.readiness(200)
        port = await service.redis_port()
        [server] = service.children()
        os.kill(server, signal.SIGKILL)
        await service.logged("signal SIGKILL")
        await service.readiness(503, only("redis"))
        await service.readiness(200)
        async with redis_at(port) as redis:
            _, quote = await StreamReader(redis, "mkt:events:spot:BTCUSDT").next()
        [successor] = service.children()

        assert successor != server
        assert not is_running(server)
        assert quote["symbol"] == "BTCUSDT"


async def test_dependencies_may_be_absent_at_the_start(node: ServerProcess, tmp_path: Path) -> None:
    """Without exchange and Redis it starts, reports what is missing, and becomes ready once they
    are available.
    """
    async with simulator_process(*SYMBOL) as first:
        ready = first.ready
    await node.kill()

    async with service_process(tmp_path, beside(node, ready)) as service:
        await service.readiness(503, only(*FEEDS, "redis"))
        async with simulator_again(ready):
            for name in ("spot-0", "perp-0"):
                await service.logged(f"{name}: delivering")
            await service.readiness(503, only("redis"))
            await node.start()
            await service.readiness(200)
            async with redis_at(node.address.port) as redis:
                events = StreamReader(redis, "ops:events")
                kinds = await kinds_until(events, "ws.opened", ["spot-0", "perp-0"])
                for venue in ("spot", "perp"):
                    await StreamReader(redis, f"mkt:events:{venue}:BTCUSDT").next()

    assert {"spot-0 ws.opened", "perp-0 ws.opened"} == set(kinds)


async def test_changed_password_is_reported_and_can_be_corrected(
    node: ServerProcess, tmp_path: Path
) -> None:
    """The service continues without its store, names the setting to check, and shows no secret."""
    await node.execute("CONFIG", "SET", "requirepass", SECRET)
    async with (
        redis_at(node.address.port, SECRET) as admin,
        simulator_process(*SYMBOL) as exchange,
        service_process(tmp_path, beside(node, exchange.ready, S1_REDIS_PASS=SECRET)) as service,
    ):
        await service.readiness(200)
        await admin.config_set("requirepass", "another")
        await admin.client_kill_filter(_type="normal", skipme=True)
        body = await service.readiness(503, only("redis"))
        assert "S1_REDIS_PASS" in body["detail"]

        await admin.config_set("requirepass", SECRET)
        await service.readiness(200)
        assert await service.stop() == 0

    assert_not_shown(service, body)


def assert_not_shown(service: Service, body: dict[str, Any]) -> None:
    """Neither the log nor an answer has the secret, in any spelling."""
    for spelling in (SECRET, SECRET.replace("/", "%2F"), "battery"):
        assert spelling not in service.output
        assert spelling not in str(body)
