"""Real redis-server processes: started, watched, stopped, and never left behind."""

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess, kill_orphan
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from tests.processes import is_running

OWNER = """
import sys, anyio
from pathlib import Path
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess

async def main():
    directory, binary, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    server = ServerProcess(binary, directory / "node-0", port, ())
    await server.start()
    print(server.pid, flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


def free_port() -> int:
    """With room for its bus port; somebody else may take it before it is used, once in
    a blue moon.
    """
    with ExitStack() as probes:
        while True:
            probe = probes.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = int(probe.getsockname()[1])
            if port < 55_535:
                return port


@asynccontextmanager
async def one_server(binary: Path, directory: Path) -> AsyncIterator[ServerProcess]:
    """A server without slots: it runs at once, where a cluster needs its 2 s."""
    server = ServerProcess(binary, directory, free_port(), ())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_one_node_serves_every_slot_and_ends_with_the_block(
    redis_binary: Path, tmp_path: Path
) -> None:
    """On the port that was named; writable when the block begins, gone when it ends."""
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


async def test_replicas_follow_masters_in_turn(redis_binary: Path, tmp_path: Path) -> None:
    """Masters share the slots; each replica is linked and every node knows them all. The chosen
    ports and their bus ports stay below those that outgoing connections take.
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


@pytest.mark.parametrize("beyond", [60_000, None])
async def test_a_port_that_cannot_be_used_is_a_matter_of_settings(
    redis_binary: Path, tmp_path: Path, beyond: int | None
) -> None:
    """Taken by somebody else, or without room for the bus port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = beyond or taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            async with EmbeddedRedis(tmp_path, binary=redis_binary, port=port):
                pytest.fail("the port was not free")


async def test_a_directory_that_cannot_be_written_is_a_matter_of_settings(
    redis_binary: Path, tmp_path: Path
) -> None:
    """A file stands where the directory should be (permissions do not stop root, this does)."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="make it writable or choose another directory"):
        async with EmbeddedRedis(tmp_path / "file" / "state", binary=redis_binary):
            pytest.fail("there is no such directory")


async def test_a_directory_has_one_owner(redis_binary: Path, tmp_path: Path) -> None:
    """A second service with the same state directory leaves the first one's server alone."""
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as first:
        pid = first.nodes[0].pid
        with pytest.raises(ConfigurationError, match="another process"):
            async with EmbeddedRedis(tmp_path, binary=redis_binary):
                pytest.fail("two owners")
        assert first.nodes[0].pid == pid
        assert await first.nodes[0].execute("PING")


async def test_a_server_that_does_not_start_says_why(tmp_path: Path, redis_binary: Path) -> None:
    """The error holds the server's last words and the path of its log."""
    with pytest.raises(PublisherUnavailableError) as caught:
        async with EmbeddedRedis(tmp_path, binary=redis_binary, options=("--no-such-option", "1")):
            pytest.fail("the server knows no such option")

    log = tmp_path / "node-0" / "redis.log"
    last_line = [line for line in log.read_text().splitlines() if line.strip()][-1]
    assert last_line in str(caught.value)
    assert str(log) in str(caught.value)


async def test_a_server_that_dies_is_named(redis_binary: Path, tmp_path: Path) -> None:
    """SIGKILL, as by the kernel when memory runs out."""
    async with EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as embedded:
        victim = embedded.nodes[1]
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(victim.kill)
                with pytest.raises(PublisherUnavailableError) as caught:
                    await embedded.watch()

        assert str(victim.address) in str(caught.value)
        assert "SIGKILL" in str(caught.value)


async def test_a_server_that_is_stopped_is_no_surprise(redis_binary: Path, tmp_path: Path) -> None:
    """`watch` ends without an error when every server was stopped on purpose."""
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(embedded.watch)
                await embedded.nodes[0].stop()


async def test_a_hanging_server_is_stopped_too(redis_binary: Path, tmp_path: Path) -> None:
    """A process that was stopped by SIGSTOP does not hear SIGTERM before it is woken."""
    async with one_server(redis_binary, tmp_path) as server:
        pid = server.pid
        assert pid is not None
        server.pause()

    assert not is_running(pid)


async def left_behind(binary: Path, directory: Path) -> int:
    """Process id of a server whose owner was killed by SIGKILL and could not clean up."""
    owner = [sys.executable, "-c", OWNER, str(directory), str(binary), str(free_port())]
    async with await anyio.open_process(owner, stderr=None) as process:
        assert process.stdout is not None
        with anyio.fail_after(20):
            leftover = int(await process.stdout.receive())
        process.kill()
    assert is_running(leftover)
    return leftover


async def test_the_server_of_a_killed_owner_is_ended_by_the_next(
    redis_binary: Path, tmp_path: Path
) -> None:
    """Who takes over the directory ends what was left in it, and starts its own."""
    leftover = await left_behind(redis_binary, tmp_path)

    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        assert not is_running(leftover)
        assert await embedded.nodes[0].execute("PING")


async def test_a_leftover_that_hangs_is_ended_too(redis_binary: Path, tmp_path: Path) -> None:
    """Stopped by SIGSTOP before its owner died."""
    leftover = await left_behind(redis_binary, tmp_path)
    os.kill(leftover, signal.SIGSTOP)

    assert await kill_orphan(tmp_path / "node-0") == leftover
    assert not is_running(leftover)


async def test_a_stranger_with_a_reused_process_id_is_left_alone(tmp_path: Path) -> None:
    """A process id file may outlive its process; its number may be anybody's by now."""
    async with await anyio.open_process(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], cwd=tmp_path
    ) as stranger:
        (tmp_path / "redis.pid").write_text(f"{stranger.pid}\n")

        assert await kill_orphan(tmp_path) is None
        assert is_running(stranger.pid)
        assert not (tmp_path / "redis.pid").exists()
        stranger.kill()


@pytest.mark.parametrize("content", [None, "", "not a number"])
async def test_a_broken_process_id_file_is_no_obstacle(tmp_path: Path, content: str | None) -> None:
    """A crash may leave an empty file."""
    if content is not None:
        (tmp_path / "redis.pid").write_text(content)

    assert await kill_orphan(tmp_path) is None


async def test_a_node_keeps_its_place_over_a_restart(redis_binary: Path, tmp_path: Path) -> None:
    """Killed and started again on the same port, it is the same node with the same slots."""
    async with one_server(redis_binary, tmp_path) as server:
        identity = await server.execute("CLUSTER", "MYID")
        await server.execute("CLUSTER", "ADDSLOTS", 1, 2, 3)
        await server.kill()
        assert server.pid is None
        await server.start()

        assert await server.execute("CLUSTER", "MYID") == identity
        assert (await server.execute("CLUSTER INFO"))["cluster_slots_assigned"] == "3"
