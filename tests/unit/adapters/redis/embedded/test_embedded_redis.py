"""Real redis-server processes: start, watch, stop, and orphans."""

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess, kill_orphan
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from tests.processes import ProcessEnds, is_running
from tests.time_limits import TIMEOUT_S

ROOT = Path(__file__).parents[5]
TEST_RUN = """
import sys, signal
from pathlib import Path
from tests.contract.redis_cluster import running

with running(Path(sys.argv[1]), Path(sys.argv[2]), masters=3, replicas=0):
    print("ready", flush=True)
    signal.pause()
"""


def free_port() -> int:
    """With room for its bus port. Another process could take it before it is used; this is rare."""
    with ExitStack() as probes:
        while True:
            probe = probes.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = int(probe.getsockname()[1])
            if port < 55_535:
                return port


@asynccontextmanager
async def one_server(binary: Path, directory: Path) -> AsyncIterator[ServerProcess]:
    """A server without slots starts immediately; a cluster needs 2 s."""
    server = ServerProcess(binary, directory, free_port(), ())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_one_node_serves_every_slot_and_ends_with_the_block(
    redis_binary: Path, tmp_path: Path
) -> None:
    """On the given port; writable when the block starts, not running after it."""
    port = free_port()
    async with EmbeddedRedis(tmp_path / "new" / "s", binary=redis_binary, port=port) as embedded:
        (node,) = embedded.nodes
        pid = node.pid
        assert pid is not None
        assert [str(address) for address in embedded.addresses] == [f"127.0.0.1:{port}"]
        info = await node.execute("CLUSTER INFO")
        assert (info["cluster_state"], info["cluster_slots_ok"]) == ("ok", "16384")
        assert await node.execute("SET", "k", "v")

    assert not is_running(pid)
    assert node.pid is None


async def test_replicas_are_assigned_to_masters_round_robin(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Each replica is linked and every node knows all others. The chosen ports and their bus ports
    are below the ephemeral range.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, replicas=3) as embedded:
        roles = [(await node.execute("INFO"))["role"] for node in embedded.nodes]
        replica_ports = [
            (await node.execute("INFO"))["slave0"]["port"] for node in embedded.nodes[:3]
        ]
        known = [len(await node.execute("CLUSTER NODES")) for node in embedded.nodes]

    assert roles == ["master"] * 3 + ["slave"] * 3
    assert replica_ports == [node.address.port for node in embedded.nodes[3:]]
    ports = {address.port for address in embedded.addresses}

    assert known == [6] * 6
    assert len(ports) == 6
    assert all(10_240 <= port < 22_768 for port in ports)


@pytest.mark.parametrize("too_high", [60_000, None])
async def test_an_unavailable_port_is_a_configuration_error(
    redis_binary: Path, tmp_path: Path, too_high: int | None
) -> None:
    """In use, or without room for the bus port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = too_high or taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            async with EmbeddedRedis(tmp_path, binary=redis_binary, port=port):
                pytest.fail("the port was not free")


async def test_an_unwritable_directory_is_a_configuration_error(
    redis_binary: Path, tmp_path: Path
) -> None:
    """A file has the name of the directory (permissions do not stop root)."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="make it writable or choose another directory"):
        async with EmbeddedRedis(tmp_path / "file" / "state", binary=redis_binary):
            pytest.fail("there is no such directory")


async def test_a_directory_has_one_owner(redis_binary: Path, tmp_path: Path) -> None:
    """A second service with the same state directory does not touch the server of the first."""
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as first:
        pid = first.nodes[0].pid
        with pytest.raises(ConfigurationError, match="another process"):
            async with EmbeddedRedis(tmp_path, binary=redis_binary):
                pytest.fail("two owners")
        assert first.nodes[0].pid == pid
        assert await first.nodes[0].execute("PING")


async def test_a_start_failure_reports_the_last_log_line(
    tmp_path: Path, redis_binary: Path
) -> None:
    with pytest.raises(PublisherUnavailableError) as caught:
        async with EmbeddedRedis(tmp_path, binary=redis_binary, options=("--no-such-option", "1")):
            pytest.fail("the server has no such option")

    log = tmp_path / "node-0" / "redis.log"
    last_line = [line for line in log.read_text().splitlines() if line.strip()][-1]
    assert last_line in str(caught.value)
    assert str(log) in str(caught.value)


async def test_watch_names_a_server_that_died(redis_binary: Path, tmp_path: Path) -> None:
    """SIGKILL, as from the kernel when memory runs out."""
    async with EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as embedded:
        victim = embedded.nodes[1]
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(victim.kill)
                with pytest.raises(PublisherUnavailableError) as caught:
                    await embedded.watch()

        assert str(victim.address) in str(caught.value)
        assert "SIGKILL" in str(caught.value)


async def test_watch_returns_when_a_server_is_stopped_on_purpose(
    redis_binary: Path, tmp_path: Path
) -> None:
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as group:
                group.start_soon(embedded.watch)
                await embedded.nodes[0].stop()


async def test_a_hanging_server_is_stopped(redis_binary: Path, tmp_path: Path) -> None:
    """A process under SIGSTOP handles SIGTERM only after SIGCONT."""
    async with one_server(redis_binary, tmp_path) as server:
        pid = server.pid
        assert pid is not None
        server.pause()

    assert not is_running(pid)


def pids_in(directory: Path) -> list[int]:
    return [int(file.read_text()) for file in directory.glob("node-*/redis.pid")]


async def test_the_servers_of_a_killed_test_run_end_with_it(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Started by the fixture's own code, in a thread, as pytest does; one hangs."""
    run = ending_with_parent([sys.executable, "-c", TEST_RUN, str(redis_binary), str(tmp_path)])
    async with await anyio.open_process(run, cwd=ROOT, stderr=None) as process:
        assert process.stdout is not None
        with anyio.fail_after(TIMEOUT_S):
            await process.stdout.receive()
        pids = pids_in(tmp_path)
        os.kill(pids[0], signal.SIGSTOP)
        with ProcessEnds(pids) as servers:
            process.kill()
            await servers.wait()

    assert len(pids) == 3


@asynccontextmanager
async def orphan(binary: Path, directory: Path) -> AsyncIterator[int]:
    """Process id of a server that did not end with its owner, in the place of the first node; a
    system other than Linux does not end it.
    """
    node = directory / "node-0"
    node.mkdir()
    command = [str(binary), "--port", str(free_port()), "--save", ""]
    async with await anyio.open_process(command, cwd=node) as process:
        (node / "redis.pid").write_text(f"{process.pid}\n")
        try:
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def test_an_orphaned_server_is_killed_by_the_next_owner(
    redis_binary: Path, tmp_path: Path
) -> None:
    async with (
        orphan(redis_binary, tmp_path) as orphan_pid,
        EmbeddedRedis(tmp_path, binary=redis_binary) as embedded,
    ):
        assert not is_running(orphan_pid)
        assert await embedded.nodes[0].execute("PING")


async def test_a_hanging_orphan_is_killed(redis_binary: Path, tmp_path: Path) -> None:
    """Under SIGSTOP."""
    async with orphan(redis_binary, tmp_path) as orphan_pid:
        os.kill(orphan_pid, signal.SIGSTOP)

        assert await kill_orphan(tmp_path / "node-0") == orphan_pid
        assert not is_running(orphan_pid)


async def test_an_unrelated_process_with_a_reused_process_id_is_not_killed(tmp_path: Path) -> None:
    """A process id file may outlive its process."""
    async with await anyio.open_process(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], cwd=tmp_path
    ) as unrelated:
        (tmp_path / "redis.pid").write_text(f"{unrelated.pid}\n")

        assert await kill_orphan(tmp_path) is None
        assert is_running(unrelated.pid)
        assert not (tmp_path / "redis.pid").exists()
        unrelated.kill()


@pytest.mark.parametrize("content", [None, "", "not a number"])
async def test_a_broken_process_id_file_is_ignored(tmp_path: Path, content: str | None) -> None:
    """A crash may leave an empty file."""
    if content is not None:
        (tmp_path / "redis.pid").write_text(content)

    assert await kill_orphan(tmp_path) is None


async def test_a_node_keeps_its_id_and_slots_over_a_restart(
    redis_binary: Path, tmp_path: Path
) -> None:
    async with one_server(redis_binary, tmp_path) as server:
        identity = await server.execute("CLUSTER", "MYID")
        await server.execute("CLUSTER", "ADDSLOTS", 1, 2, 3)
        await server.kill()
        assert server.pid is None
        await server.start()

        assert await server.execute("CLUSTER", "MYID") == identity
        assert (await server.execute("CLUSTER INFO"))["cluster_slots_assigned"] == "3"
